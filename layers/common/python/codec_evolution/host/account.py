"""The account under which the program acts."""

from __future__ import annotations

import os
import pwd


class AccountError(Exception):
    """The account of the configuration cannot be used."""


def become(user: str) -> None:
    """Act as the host's own account from here on; an empty name changes nothing.

    Root remains only as the saved user id. `processes` takes it up again in a child that either gives up all rights at
    once or restarts our own unit.

    Raises
    ------
    AccountError
        There is no such account, it is root, or this program may not become it.
    """
    if not user:
        return
    try:
        facts = pwd.getpwnam(user)
    except KeyError:
        raise AccountError(f"there is no account {user}") from None
    if facts.pw_uid == 0:
        raise AccountError("the host's own account must not be root")
    try:
        os.setgroups([])
        os.setresgid(facts.pw_gid, facts.pw_gid, 0)
        os.setresuid(facts.pw_uid, facts.pw_uid, 0)
    except PermissionError:
        raise AccountError(f"this program may not become {user}; start it as root") from None
    os.umask(0o022)
