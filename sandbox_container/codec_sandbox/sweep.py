"""Removes what a worker left behind before the next one starts."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import stat
import sys
from collections.abc import Container, Iterator
from pathlib import Path

from codec_sandbox import layers, syscalls

# Unused in systemd's plan of user ids (https://systemd.io/UIDS-GIDS); where a container maps fewer, its dynamic users.
_UNUSED_UIDS, _DYNAMIC_UIDS = range(1_879_048_192, 2_147_483_647), range(61_184, 65_520)
_WRITABLE = ("/tmp", "/var/tmp", "/dev/shm")
_IPC_RMID = 0  # shmctl(2), msgctl(2), semctl(2)
# keyctl(2)
_KEYCTL_CLEAR, _KEYCTL_GET_PERSISTENT = 7, 22
_PROCESS_KEYRING, _USER_KEYRING, _USER_SESSION_KEYRING, _OUR_USER = -2, -4, -5, -1
_IDENTIFIER = {"shm": "shmid", "msg": "msqid", "sem": "semid"}


def throwaway_uids() -> Iterator[int]:
    """Yield user ids for workers from a random start. None of them belongs to an account."""
    span = _UNUSED_UIDS if _is_mapped(_UNUSED_UIDS[-1]) else _DYNAMIC_UIDS
    start = random.SystemRandom().randrange(len(span))
    for step in itertools.count():
        yield span[(start + step) % len(span)]


def _is_mapped(uid: int) -> bool:
    """Whether this user namespace maps `uid`."""
    try:
        rows = [
            map(int, row.split())
            for row in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
        ]
    except OSError:
        return False
    return any(first <= uid < first + count for first, _, count in rows)


class Sweep:
    """Records the state before a worker runs, and restores it afterwards.

    With a throw-away user, everything that belongs to that user is removed. Without one, names are removed only inside
    Lambda, where nobody else has this user, and only if no layer kept the worker from creating any: elsewhere they may
    be a person's files.

    Parameters
    ----------
    uid : int or None
        Throw-away user of the worker.

    Attributes
    ----------
    owner : int
        User whose files and objects are looked at.
    active : bool
        Whether anything is removed here at all.
    before : set
        (kind, name) of what existed before, where the user is shared.
    """

    def __init__(self, uid: int | None) -> None:
        self.uid = uid
        self.owner = uid if uid is not None else os.geteuid()
        self.active = sys.platform == "linux" and (uid is not None or layers.platform() == "lambda")
        shared = uid is None and self.active
        self.before = set(self._present() if shared else ())
        self._modes = dict(self._own_directories()) if shared else {}

    def run(self, layers_in_force: Container[str]) -> None:
        """Remove what is new: processes, files, System V objects, keys.

        Parameters
        ----------
        layers_in_force : container of str
            Of the worker. With Landlock or seccomp it could not create a name.
        """
        self._kill_processes()
        held = "seccomp" in layers_in_force or "landlock" in layers_in_force
        if not self.active or (self.uid is None and held):
            return
        for kind, name in set(self._present()) - self.before:
            with contextlib.suppress(OSError):
                _remove(kind, name)
        if self.uid is None:
            _clear_keyrings()
            for directory, mode in self._modes.items():
                _reset(directory, mode)

    def _own_directories(self) -> Iterator[tuple[str, int]]:
        """Yield the writable directories that belong to this user, who can mark them, with their modes."""
        for directory in _WRITABLE:
            with contextlib.suppress(OSError):
                found = os.stat(directory)  # noqa: PTH116
                if found.st_uid == self.owner:
                    yield directory, stat.S_IMODE(found.st_mode)

    def _present(self) -> Iterator[tuple[str, str]]:
        for directory in _WRITABLE:
            with contextlib.suppress(OSError), os.scandir(directory) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        if entry.stat(follow_symlinks=False).st_uid == self.owner:
                            yield "file", entry.path
        for kind in _IDENTIFIER:
            yield from ((kind, number) for number in self._ipc(kind))

    def _ipc(self, kind: str) -> Iterator[str]:
        try:
            table = Path(f"/proc/sysvipc/{kind}").read_text(encoding="ascii").splitlines()
        except OSError:
            return
        header = table[0].split()
        for row in table[1:]:
            fields = dict(zip(header, row.split(), strict=False))
            if int(fields["cuid"]) == self.owner:
                yield fields[_IDENTIFIER[kind]]

    def _kill_processes(self) -> None:
        """Kill every process of the throw-away user. There should be none, as a worker cannot start one."""
        if self.uid is None or sys.platform != "linux":
            return
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if entry.stat().st_uid == self.uid:
                        os.kill(int(entry.name), signal.SIGKILL)


def _clear_keyrings() -> None:
    """Clear the keyrings that outlive a process: the user's, its session's, and the persistent one."""
    persistent = syscalls.call("keyctl", _KEYCTL_GET_PERSISTENT, _OUR_USER, _PROCESS_KEYRING, 0, 0)
    for keyring in (_USER_KEYRING, _USER_SESSION_KEYRING, persistent):
        syscalls.call("keyctl", _KEYCTL_CLEAR, keyring, 0, 0, 0)


def _reset(directory: str, mode: int) -> None:
    """Reset what its owner can store in a directory's own metadata: mode, extended attributes and times."""
    with contextlib.suppress(OSError):
        os.chmod(directory, mode)  # noqa: PTH101
        for name in os.listxattr(directory):
            if name.startswith("user."):
                os.removexattr(directory, name)
        os.utime(directory)


def _remove(kind: str, name: str) -> None:
    if kind == "sem":
        syscalls.libc.semctl(int(name), 0, _IPC_RMID)
    elif kind in _IDENTIFIER:
        getattr(syscalls.libc, f"{kind}ctl")(int(name), _IPC_RMID, None)
    elif os.path.isdir(name) and not os.path.islink(name):  # noqa: PTH112, PTH114
        shutil.rmtree(name, ignore_errors=True)
    else:
        os.unlink(name)  # noqa: PTH108
