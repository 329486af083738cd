"""Runs programs in the jail of `jail`, with limits on time and output, and leaves nothing running."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

JAIL = Path(__file__).with_name("jail.py")
"""The program that starts every other."""
OUTPUT_LIMIT_BYTES = 1 << 20
"""A program that writes more is killed."""
END_TIMEOUT_S = 5
"""How long the jail may take to end what it started."""
HEAD_CHARS, TAIL_CHARS = 4000, 4000
"""Of a long output, in an answer."""
PATH = "/usr/local/bin:/usr/bin:/bin"
"""Where programs are looked for."""


@dataclass(frozen=True)
class Output:
    """What a program did.

    Attributes
    ----------
    exit_code
        None when it was killed because of its time or its output.
    text
        Standard output and error together, at most a little over `OUTPUT_LIMIT_BYTES`.
    bytes
        Their size.
    ended
        ``ended``, or why it was killed.
    walls
        The walls that were in force, by name, in words.
    """

    exit_code: int | None
    text: str
    bytes: int
    ended: str
    duration_s: float
    walls: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as a part of an answer, with only head and tail of a long text."""
        cut = len(self.text) > HEAD_CHARS + TAIL_CHARS
        return {
            "exit_code": self.exit_code,
            "ended": self.ended,
            "bytes": self.bytes,
            "head": self.text[:HEAD_CHARS] if cut else self.text,
            "tail": self.text[-TAIL_CHARS:] if cut else "",
            "duration_s": round(self.duration_s, 3),
            "walls": dict(self.walls),
        }


@dataclass(frozen=True)
class Run:
    """One program to run.

    Attributes
    ----------
    argv
        Absolute path of the program first; nothing is interpreted by a shell.
    cwd
        Working folder; in a closed run also the only writable one.
    closed
        Whether it sees nothing of the machine but ``read_only`` and ``cwd``.
    read_only
        Folders that a closed run may read.
    environment
        Its variables, besides `PATH`, a home and a locale.
    privileged
        Whether it keeps the host's rights; only for managing our own units.
    strict
        Whether it must not start where it would have an account of value or a network.
    """

    argv: Sequence[str]
    cwd: Path
    timeout_s: float
    closed: bool = True
    read_only: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    privileged: bool = False
    strict: bool = False


def run(job: Run) -> Output:
    """Run a program until it ends, runs out of time, or writes too much; then kill all that it started."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="codec-evolution-root-") as root:
        spec = {
            "mode": "closed" if job.closed else "open",
            "argv": list(job.argv),
            "cwd": str(job.cwd),
            "root": root,
            "writable": str(job.cwd),
            "read_only": list(job.read_only),
            "environment": {"PATH": PATH, "HOME": "/tmp", "LC_ALL": "C.UTF-8", **job.environment},
            "privileged": job.privileged,
            "strict": job.strict,
            "cpu_s": max(int(job.timeout_s), 1),
        }
        report_read, report_write = os.pipe()
        spec["report_fd"] = report_write
        process = _start(report_write)
        os.close(report_write)
        try:
            text, count, ended = _collect(process, json.dumps(spec).encode(), began + job.timeout_s)
        finally:
            _kill(process)
        walls = _walls(report_read)
    code = process.returncode if ended == "ended" else None
    return Output(code, text, count, ended, time.monotonic() - began, walls)


def _start(report_write: int) -> subprocess.Popen[bytes]:
    def prepare() -> None:
        # This is what the host's own account keeps root as its saved id for: root can give up more rights.
        with suppress(OSError):
            os.setresuid(0, 0, 0)
            os.setresgid(0, 0, 0)

    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(JAIL)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": PATH},
        cwd="/",
        start_new_session=True,
        pass_fds=(report_write,),
        preexec_fn=prepare,
    )


def _collect(process: subprocess.Popen[bytes], spec: bytes, deadline: float) -> tuple[str, int, str]:
    assert process.stdin is not None and process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.write(spec)
        process.stdin.close()
    kept = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                return kept.decode("utf-8", "replace"), len(kept), "killed: its time was up"
            part = os.read(process.stdout.fileno(), 65536)
            if not part:
                break
            kept += part
            if len(kept) > OUTPUT_LIMIT_BYTES:
                return kept.decode("utf-8", "replace"), len(kept), "killed: its output was too long"
    try:
        process.wait(max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        return kept.decode("utf-8", "replace"), len(kept), "killed: its time was up"
    return kept.decode("utf-8", "replace"), len(kept), "ended"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the jail, which ends everything below it; then the whole session, in case the jail hangs."""
    with suppress(ProcessLookupError, PermissionError, subprocess.TimeoutExpired):
        process.terminate()
        process.wait(END_TIMEOUT_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _walls(report: int) -> dict[str, str]:
    with os.fdopen(report, "rb") as file:
        os.set_blocking(file.fileno(), False)
        data = file.read() or b"{}"
    try:
        return json.loads(data)
    except ValueError:
        return {}
