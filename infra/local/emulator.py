"""The local AWS emulator (MiniStack) as a child process that ends with its parent.

It runs in an environment of its own (``emulator.lock``), listens on 127.0.0.1 only, gets none of our environment
variables, and keeps its state in one folder: S3 objects immediately, everything else when it is stopped by SIGTERM or
SIGINT. A SIGKILL of the emulator loses what DynamoDB wrote since the last stop.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import IO

from infra.errors import UserError

HOST = "127.0.0.1"
REGION = "us-east-1"
ACCOUNT = "000000000000"
"""Where the emulator listens, and the region and account that it pretends to be."""

STATE_FORMAT = "1"
"""To be increased when a new version can no longer read the stored state."""

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_PROBE_TIMEOUT_S = 2.0
_LOG_TAIL = 2000

# PR_SET_PDEATHSIG is 1: the kernel sends SIGTERM when the thread that started us ends. A parent that ended before the
# call is detected by its id.
_LAUNCHER = """
import ctypes, os, runpy, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
sys.argv = ["ministack"]
runpy.run_module("ministack", run_name="__main__")
"""


def answers(endpoint: str, timeout_s: float) -> bool:
    """Return whether an emulator answers at an address within so many seconds."""
    try:
        with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=timeout_s):
            return True
    except (OSError, ValueError, HTTPException):
        return False


class Emulator:
    """One MiniStack process over one state directory; use it as a context manager.

    Start it in a thread that lives at least as long as the emulator should: on Linux it gets SIGTERM when that thread
    or the whole process ends, however it ends.

    Parameters
    ----------
    state_dir : Path
        Where the state is kept between runs; created if missing.
    python : Path
        Interpreter of the emulator's own environment (``.emulator/bin/python``, made by ``make setup``).
    port : int
        0 picks a free one.
    wait_scale : float
        Factor for the waits of state machines (retry intervals), 0 to 1.
    """

    def __init__(self, state_dir: Path, *, python: Path, port: int = 0, wait_scale: float = 1.0) -> None:
        self.root = state_dir.resolve() / "emulator"
        self.log_file = self.root / "emulator.log"
        self._python = python
        self._port = port
        self._wait_scale = wait_scale
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    @property
    def endpoint(self) -> str:
        """Address for every client: ``http://127.0.0.1:<port>``."""
        return f"http://{HOST}:{self._port}"

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the running emulator."""
        if self._process is None:
            raise UserError("the emulator was not started")
        return self._process.pid

    def start(self) -> None:
        """Start the process and wait until it answers; raises what `launch` and `await_answer` raise."""
        self.launch()
        self.await_answer()

    def launch(self) -> None:
        """Start the process.

        Raises
        ------
        UserError
            If its environment is missing, the port or the state directory is in use, or the state has another format.
        """
        if not self._python.exists():
            raise UserError(f"the emulator's environment is missing ({self._python}); run: make setup")
        self._claim_state()
        try:
            self._port = _free_port(self._port)
            self._spawn()
        except BaseException:
            self.stop()
            raise

    def await_answer(self) -> None:
        """Wait until the process answers; it is stopped if it does not.

        Raises
        ------
        UserError
            If it ends, or does not answer within a minute.
        """
        try:
            self._await_health()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the process so that it saves its state; safe to repeat.

        Raises
        ------
        UserError
            If it had to be killed, and its last writes may be lost.
        """
        process, self._process = self._process, None
        try:
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(_STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(_STOP_TIMEOUT_S)
                    raise UserError(
                        f"the emulator did not stop within {_STOP_TIMEOUT_S:.0f} s and was killed; "
                        "its last writes to DynamoDB may be lost"
                    ) from None
        finally:
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def __enter__(self) -> Emulator:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _claim_state(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        lock = (self.root / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise UserError(f"the state directory {self.root.parent} is in use by another run") from None
        self._lock = lock
        stamp = self.root / "format"
        if stamp.exists() and stamp.read_text().strip() != STATE_FORMAT:
            found = stamp.read_text().strip()[:20]
            self._lock = None
            lock.close()
            raise UserError(
                f"the state directory {self.root.parent} has format {found!r}, this version reads {STATE_FORMAT!r}; "
                "use another --state-dir"
            )
        stamp.write_text(STATE_FORMAT + "\n")

    def _spawn(self) -> None:
        scratch = self.root / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [str(self._python), "-c", _LAUNCHER, str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.root,
                env=self._environment(scratch),
                # Ctrl-C is for us: the emulator must outlive our clean-up.
                start_new_session=True,
            )

    def _environment(self, scratch: Path) -> dict[str, str]:
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(scratch),
            "LANG": "C.UTF-8",
            "TMPDIR": str(scratch),
            "GATEWAY_PORT": str(self._port),
            "BIND_HOST": HOST,
            # Functions with a custom runtime get their endpoint from the emulator's environment.
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.root / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.root / "s3"),
            "SFN_WAIT_SCALE": str(self._wait_scale),
            # Functions act with their own roles, so a permission that is missing on AWS is missing here too.
            "AUTH": "true",
            "LOG_LEVEL": "WARNING",
        }

    def _await_health(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.running:
                raise UserError(f"the emulator ended while it started: {self._log_tail()}")
            if answers(self.endpoint, _PROBE_TIMEOUT_S):
                return
            time.sleep(0.05)
        raise UserError(f"the emulator did not answer within {_START_TIMEOUT_S:.0f} s: {self._log_tail()}")

    def _log_tail(self) -> str:
        return self.log_file.read_text(errors="replace")[-_LOG_TAIL:].strip() or "its log is empty"


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OverflowError:
            raise UserError(f"the port must be between 0 and 65535, not {wanted}") from None
        except OSError as error:
            raise UserError(f"port {wanted} on {HOST} cannot be used: {error.strerror}") from None
        return int(probe.getsockname()[1])
