"""The zygote: started with an empty environment, imports the libraries once, and forks one worker per request.

It is trusted and runs no candidate. It has one thread, which makes the fork safe: after a parallel region a process has
a thread pool, and a child forked from it hangs.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys

from codec_sandbox import allocation, hardening, walls, warm, worker
from codec_sandbox.large_pages import LargePages
from codec_sandbox.limits import Limits


def main(descriptor: int, packages: str) -> None:
    """Serve forks on the control socket `descriptor` until the supervisor closes it.

    Parameters
    ----------
    descriptor : int
    packages : str
        As of `codec_sandbox.warm.import_libraries`.
    """
    serve(descriptor, prepare(packages))


def prepare(packages: str) -> LargePages:
    """Import and use everything that a worker may need, and leave nothing that it must not have.

    Returns
    -------
    LargePages
        Of this process's memory, for the zygote that it becomes or forks.
    """
    allocation.keep_freed_memory()
    warm.import_libraries(packages)
    warm.exercise()
    hardening.harden()
    for name in os.environ.keys() - walls.environment().keys():
        del os.environ[name]  # cv2 and torch set some of their own
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so copying, pages shared with the workers
    gc.enable()  # it was off while the imports ran, of whose time it would take a tenth
    return LargePages(_own_maps())


def _own_maps() -> list[str]:
    try:
        with open("/proc/self/maps") as maps:  # noqa: PTH123 - pathlib would import more into a worker
            return maps.readlines()
    except OSError:
        return []


def threads() -> int:
    """Return how many threads this process has."""
    return len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1  # noqa: PTH208


def serve(descriptor: int, pages: LargePages) -> None:
    """Serve forks of this process, which is prepared, on the control socket `descriptor`."""
    count, non_dumpable = threads(), walls.non_dumpable()
    with socket.socket(fileno=descriptor) as control:
        _send(control, {"threads": count, "non_dumpable": non_dumpable})
        if count == 1:
            Zygote(control, pages).serve()


def _wake(number: int, frame: object) -> None:
    """Handle SIGCHLD: `signal.set_wakeup_fd` does the work, but only if there is a handler."""


def _send(line: socket.socket, message: dict[str, object]) -> None:
    line.sendall(json.dumps(message).encode() + b"\n")


class Zygote:
    """Forks, reaps and kills workers.

    Each worker has a private socket to the supervisor, on which the zygote reports its end.

    Parameters
    ----------
    control : socket.socket
        Receives requests to fork.
    pages : LargePages
        Of this process.
    """

    def __init__(self, control: socket.socket, pages: LargePages) -> None:
        self.control, self.pages = control, pages
        self.lines: dict[int, socket.socket] = {}
        self.woken, waker = socket.socketpair()
        self.woken.setblocking(False)
        waker.setblocking(False)
        self._waker = waker  # signal.set_wakeup_fd does not keep it alive
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _wake)

    def serve(self) -> None:
        """Serve until the supervisor is gone, then kill every worker."""
        while True:
            poll = select.poll()
            by_number = {line.fileno(): pid for pid, line in self.lines.items()}
            for number in (self.control.fileno(), self.woken.fileno(), *by_number):
                poll.register(number, select.POLLIN)
            for number, _ in poll.poll():
                if number == self.control.fileno():
                    if not self.fork():
                        return self.kill_all()
                elif number == self.woken.fileno():
                    self.woken.recv(4096)
                elif by_number[number] in self.lines:
                    self.kill(by_number[number])
            self.reap()

    def fork(self) -> bool:
        """Fork a worker as the next message on the control socket asks; False if the supervisor is gone."""
        message, descriptors, _, _ = socket.recv_fds(self.control, 4096, 2)
        if not message:
            return False
        request = json.loads(message)
        memory, line = descriptors
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                worker.main(memory, Limits(**request["limits"]), request["uid"])
            finally:
                os._exit(4)
        os.close(memory)
        self.lines[pid] = socket.socket(fileno=line)
        _send(self.lines[pid], {"pid": pid})
        self.pages.forked()
        return True

    def kill(self, pid: int) -> None:
        """Kill a worker at the supervisor's request, or because the supervisor has closed its socket."""
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(OSError):
                kill(pid, signal.SIGKILL)
        self.lines[pid].setblocking(False)
        with contextlib.suppress(OSError):
            while self.lines[pid].recv(64):
                pass
        self.bury(pid)

    def reap(self) -> None:
        """Report the end of every worker that has ended by itself."""
        for pid in list(self.lines):
            self.bury(pid, os.WNOHANG)

    def bury(self, pid: int, options: int = 0) -> None:
        """Reap one worker, kill what is left of its process group, and report its end."""
        ended, status, usage = os.wait4(pid, options)
        if ended == 0:
            return
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)  # while the group has a member, no other group gets its number
        with contextlib.suppress(OSError), self.lines.pop(pid) as line:
            _send(line, {"status": status, "cpu_s": usage.ru_utime + usage.ru_stime})

    def kill_all(self) -> None:
        """Kill every worker."""
        for pid in list(self.lines):
            self.kill(pid)
