"""What a worker left behind is removed before the next one starts."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import sys
from collections.abc import Container, Iterator
from pathlib import Path

from codec_sandbox import layers, syscalls

# Left free by systemd's plan of user ids (systemd.io/UIDS-GIDS); and, where a container maps fewer, its dynamic users.
_UNUSED_UIDS, _DYNAMIC_UIDS = range(1_879_048_192, 2_147_483_647), range(61_184, 65_520)
_WRITABLE = ("/tmp", "/var/tmp", "/dev/shm")
_IPC_RMID = 0
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
        self.before = set() if uid is not None or not self.active else set(self._present())

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
            syscalls.call("keyctl", 7, -4, 0, 0, 0)  # KEYCTL_CLEAR of the user keyring

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


def _remove(kind: str, name: str) -> None:
    if kind == "sem":
        syscalls.libc.semctl(int(name), 0, _IPC_RMID)
    elif kind in _IDENTIFIER:
        getattr(syscalls.libc, f"{kind}ctl")(int(name), _IPC_RMID, None)
    elif os.path.isdir(name) and not os.path.islink(name):  # noqa: PTH112, PTH114
        shutil.rmtree(name, ignore_errors=True)
    else:
        os.unlink(name)  # noqa: PTH108
