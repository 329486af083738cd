"""What a worker left behind is removed before the next one starts."""

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

# Left free by systemd's plan of user ids (systemd.io/UIDS-GIDS); and, where a container maps fewer, its dynamic users.
_UNUSED_UIDS, _DYNAMIC_UIDS = range(1_879_048_192, 2_147_483_647), range(61_184, 65_520)
_WRITABLE = ("/tmp", "/var/tmp", "/dev/shm")
_IPC_RMID = 0
_KEYCTL_CLEAR, _KEYCTL_GET_PERSISTENT = 7, 22
_PROCESS_KEYRING, _USER_KEYRING, _USER_SESSION_KEYRING, _OUR_USER = -2, -4, -5, -1
_IDENTIFIER = {"shm": "shmid", "msg": "msqid", "sem": "semid"}


def throwaway_uids() -> Iterator[int]:
    """User ids for workers, none of them anybody's, from a random start."""
    span = _UNUSED_UIDS if _is_mapped(_UNUSED_UIDS[-1]) else _DYNAMIC_UIDS
    start = random.SystemRandom().randrange(len(span))
    for step in itertools.count():
        yield span[(start + step) % len(span)]


def _is_mapped(uid: int) -> bool:
    """Whether this user namespace knows `uid`."""
    try:
        rows = [
            map(int, row.split())
            for row in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
        ]
    except OSError:
        return False
    return any(first <= uid < first + count for first, _, count in rows)


class Sweep:
    """Remembers the state before a worker, and restores it after.

    With a throw-away user everything of that user goes. Without one, names are removed only inside Lambda, where the
    user is nobody else's, and only if no layer kept the worker from making any: removing a person's files is not ours
    to do.

    Parameters
    ----------
    uid
        Throw-away user of the worker, or None.
    """

    def __init__(self, uid: int | None) -> None:
        self.uid = uid
        self.owner = uid if uid is not None else os.geteuid()
        self.active = sys.platform == "linux" and (uid is not None or layers.platform() == "lambda")
        shared = uid is None and self.active
        self.before = set(self._present()) if shared else set()
        self._modes = dict(self._own_directories()) if shared else {}

    def run(self, layers_in_force: Container[str]) -> None:
        """Remove what is new: processes, files, System V objects, keys.

        Parameters
        ----------
        layers_in_force
            Of the worker. Landlock or seccomp would have kept it from making a name.
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
        """The writable directories that are ours, and so ours to mark, with their modes."""
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
        """Kill every process of the throw-away user; a worker may start none, so there is none to be found."""
        if self.uid is None or sys.platform != "linux":
            return
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if entry.stat().st_uid == self.uid:
                        os.kill(int(entry.name), signal.SIGKILL)


def _clear_keyrings() -> None:
    """Forget the keys that outlive a process: of the user, of its session, and the persistent ones."""
    persistent = syscalls.call("keyctl", _KEYCTL_GET_PERSISTENT, _OUR_USER, _PROCESS_KEYRING, 0, 0)
    for keyring in (_USER_KEYRING, _USER_SESSION_KEYRING, persistent):
        syscalls.call("keyctl", _KEYCTL_CLEAR, keyring, 0, 0, 0)


def _reset(directory: str, mode: int) -> None:
    """Take off a directory what its owner can write on it: mode, extended attributes and times."""
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
