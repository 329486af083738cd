"""A zygote's template: imports the libraries once, for all zygotes of one machine, and forks each of them.

On a person's machine several environments of the benchmark run side by side, and each would import the same libraries
for seconds. On Lambda every environment is a machine of its own, and nothing starts a template.

The template is trusted, as the zygotes are: it runs no candidate, and serves whoever may open its socket, which lies in
a folder of its user. A worker has neither files nor sockets.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys

from codec_sandbox import walls
from codec_sandbox.large_pages import LargePages

TEMPLATE_VARIABLE = "CODEC_SANDBOX_TEMPLATE"
"""Names the socket of the template whose forks take the place of new zygotes; "" or none for no template."""

ANSWER_S = 60.0
"""Longest wait for a fork, in seconds: a template that has just been started still imports."""

_MESSAGE_BYTES = 4096


class Forked:
    """A zygote that a template has forked, with the methods of `subprocess.Popen` that its supervisor needs.

    Parameters
    ----------
    pid : int
    descriptor : int
        Of the process (pidfd_open(2)), so that no other process with its number is taken for it.
    """

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid, self._descriptor, self._ended = pid, descriptor, False

    def poll(self) -> int | None:
        """Return 0 once the process has ended, None before."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0.0)
        return None

    def wait(self, timeout: float) -> int:
        """Wait for its end; raises `subprocess.TimeoutExpired`."""
        if not self._ended:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLIN)
            if not poll.poll(timeout * 1000):
                raise subprocess.TimeoutExpired("zygote", timeout)
            self._ended = True
            os.close(self._descriptor)
        return 0

    def kill(self) -> None:
        """Kill it, if it has not ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)


def fork_zygote(packages: str, control: int, errors: int) -> Forked | None:
    """Have the template that `TEMPLATE_VARIABLE` names fork a zygote.

    Parameters
    ----------
    packages : str
        As of `codec_sandbox.zygote.main`; a template that has imported others forks none.
    control, errors : int
        Descriptors of its control socket and of its standard error.

    Returns
    -------
    Forked or None
        None where no template is named, or it cannot fork this one.
    """
    path = os.environ.get(TEMPLATE_VARIABLE, "")
    if not path:
        return None
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(ANSWER_S)
            line.connect(path)
            socket.send_fds(line, [json.dumps({"packages": packages}).encode()], [control, errors])
            message, descriptors, _, _ = socket.recv_fds(line, _MESSAGE_BYTES, 1)
    except OSError:
        return None
    return Forked(json.loads(message)["pid"], descriptors[0]) if descriptors else None


def main(descriptor: int, packages: str) -> None:
    """Import the libraries, then fork a zygote for each request until standard input ends.

    Parameters
    ----------
    descriptor : int
        Of a listening socket.
    packages : str
        As of `codec_sandbox.zygote.main`.
    """
    from codec_sandbox import zygote

    pages = zygote.prepare(packages)
    walls.non_dumpable()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the zygotes, so the kernel reaps them
    with socket.socket(fileno=descriptor) as listener:
        while zygote.threads() == 1:
            poll = select.poll()
            for each in (listener.fileno(), sys.stdin.fileno()):
                poll.register(each, select.POLLIN)
            if any(number != listener.fileno() for number, _ in poll.poll()):
                return
            line, _ = listener.accept()
            with line:
                _answer(listener, line, packages, pages)


def _answer(listener: socket.socket, line: socket.socket, packages: str, pages: LargePages) -> None:
    from codec_sandbox import zygote

    message, descriptors, _, _ = socket.recv_fds(line, _MESSAGE_BYTES, 2)
    try:
        if len(descriptors) != 2 or json.loads(message)["packages"] != packages:
            return
        control, errors = descriptors
        pid = os.fork()
        if pid == 0:
            try:
                listener.close()
                line.close()
                os.setsid()
                os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
                os.dup2(errors, sys.stderr.fileno())
                zygote.serve(control, pages)
            finally:
                os._exit(0)
        process = os.pidfd_open(pid)
        descriptors.append(process)
        socket.send_fds(line, [json.dumps({"pid": pid}).encode()], [process])
    finally:
        for each in descriptors:
            os.close(each)
