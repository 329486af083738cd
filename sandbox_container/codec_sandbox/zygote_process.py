"""The supervisor's handle on the zygote: starts it, asks it to fork, notices its death."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from codec_sandbox import template, walls
from codec_sandbox.faults import SandboxUnavailable
from codec_sandbox.limits import Limits

START_S = 120.0
"""Longest start of a zygote, in seconds."""

ANSWER_S = 5.0
"""Longest wait for a reply of the zygote, in seconds."""

_PROGRAM = (
    "import gc, sys; gc.disable(); sys.path[:0] = sys.argv[3:]; from codec_sandbox.{module} import main; "
    "main(int(sys.argv[1]), sys.argv[2])"
)
"""Its imports make much and free nothing, so the collector is off until `codec_sandbox.zygote.prepare` is done."""


def command(python: str, module: str, descriptor: int, packages: str) -> list[str]:
    """Return the command line of ``zygote`` or ``template``, the modules of this package that a process is started for.

    Parameters
    ----------
    python : str
        Its interpreter.
    descriptor, packages
        Of the module's ``main``.
    """
    # Not -I: it would ignore PYTHONHASHSEED, and the environment is ours.
    program = _PROGRAM.format(module=module)
    return [python, "-s", "-P", "-S", "-c", program, str(descriptor), packages, *library_paths()]


def library_paths() -> list[str]:
    """Return the directories that hold this package and the libraries, found without importing them."""
    paths = [str(Path(__file__).resolve().parent.parent)]
    for library in ("numpy", "cv2", "torch", "torchvision", "PIL"):
        spec = importlib.util.find_spec(library)
        if spec is not None and spec.origin is not None:
            paths.append(str(Path(spec.origin).parent.parent))
    return list(dict.fromkeys(paths))


def resolved(packages: str) -> str:
    """Return a folder of packages without links, which is replaced when other packages are approved; "" for none."""
    return os.path.realpath(packages) if packages else ""


class Line:
    """A socket that carries JSON messages, one per line, with a timeout on every read.

    Parameters
    ----------
    end : socket.socket
        Closed with the line.
    """

    def __init__(self, end: socket.socket) -> None:
        self.socket, self._pending = end, b""

    def read(self, seconds: float) -> dict[str, Any] | None:
        """Read the next message; None if none arrives within `seconds`.

        Raises
        ------
        EOFError
            The other end is gone.
        """
        end = time.monotonic() + seconds
        while b"\n" not in self._pending:
            self.socket.settimeout(max(end - time.monotonic(), 1e-6))
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                return None
            except OSError as error:
                raise EOFError from error
            if not data:
                raise EOFError
            self._pending += data
        message, _, self._pending = self._pending.partition(b"\n")
        return json.loads(message)

    def close(self) -> None:
        """Close the socket. The zygote then kills the worker of this line."""
        self.socket.close()


class ZygoteProcess:
    """A running zygote.

    Parameters
    ----------
    python : str
        Interpreter to start it with, where no template forks it.
    packages : str
        Folder of the packages that a person has approved for candidates; "" for none. Only the zygote reads it.

    Attributes
    ----------
    process : subprocess.Popen or Forked
    packages : str
        The folder that was imported from, without links.
    non_dumpable : str
        Whether the zygote's memory is closed to its user: ``ok`` or the reason why not.

    Raises
    ------
    SandboxUnavailable
        It does not start within `START_S`; the message has the end of its standard error.
    """

    def __init__(self, python: str = sys.executable, packages: str = "") -> None:
        self.packages = resolved(packages)
        try:
            self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        except OSError as error:
            raise SandboxUnavailable(f"there is no place for a temporary file: {error}") from error
        ours, theirs = socket.socketpair()
        self.control, self._lock = Line(ours), threading.Lock()
        try:
            forked = template.fork_zygote(self.packages, theirs.fileno(), self._errors.fileno())
            self.process = forked or self._started(python, theirs.fileno())
        except OSError as error:
            self.control.close()
            raise SandboxUnavailable(f"the zygote cannot be started: {error}") from error
        finally:
            theirs.close()
        self._await_ready()

    def _started(self, python: str, control: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command(python, "zygote", control, self.packages),
            env=walls.environment(),
            cwd="/",
            pass_fds=[control],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,
        )

    def _await_ready(self) -> None:
        try:
            ready = self.control.read(START_S)
        except EOFError:
            ready = None
        if ready is None or ready["threads"] != 1:
            self.kill()
            self._errors.seek(0)
            said = self._errors.read()[-1000:].decode("utf-8", "replace").strip()
            reason = "it has more than one thread, so a fork would hang" if ready else said or "no answer"
            raise SandboxUnavailable(f"the zygote did not start: {reason}")
        self.non_dumpable: str = ready["non_dumpable"]

    @property
    def alive(self) -> bool:
        """Whether the process is still running."""
        return self.process.poll() is None

    def fork(self, memory: int, limits: Limits, uid: int | None) -> tuple[int, Line]:
        """Fork a worker.

        Parameters
        ----------
        memory : int
            Descriptor of its channel's shared memory.
        limits : Limits
            Of its whole life.
        uid : int or None
            Throw-away user to become.

        Returns
        -------
        tuple
            Its process id and its private line.

        Raises
        ------
        SandboxUnavailable
            The zygote is dead or does not reply. It has been killed.
        """
        ours, theirs = socket.socketpair()
        line = Line(ours)
        message = json.dumps({"limits": asdict(limits), "uid": uid}).encode() + b"\n"
        try:
            with self._lock:
                self.control.socket.settimeout(ANSWER_S)
                socket.send_fds(self.control.socket, [message], [memory, theirs.fileno()])
                theirs.close()
                answer = line.read(ANSWER_S)
        except (OSError, EOFError):
            answer = None
        finally:
            theirs.close()
        if answer is None:
            line.close()
            self.kill()
            raise SandboxUnavailable("the zygote did not answer a request to fork; it was killed")
        return answer["pid"], line

    def kill(self) -> None:
        """Kill it and wait for its end. Its workers live on; whoever holds their process ids must kill them."""
        self.control.close()
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait(timeout=ANSWER_S)

    def close(self) -> None:
        """Let it kill its workers and end by itself; kill it if it does not."""
        self.control.close()
        try:
            self.process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self.kill()
        self._errors.close()
