"""The supervisor's handle on one worker: one request at a time, timed by the supervisor's clocks; and its end."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from codec_sandbox import channel, worker
from codec_sandbox.faults import MAX_MESSAGE, CandidateFault, SandboxUnavailable, fault_from_worker, printable
from codec_sandbox.frames import Frame, Frames
from codec_sandbox.limits import Limits
from codec_sandbox.sweep import Sweep
from codec_sandbox.tampering import ProcessState
from codec_sandbox.zygote_process import ANSWER_S, ZygoteProcess

_SLICE_S = 0.02


@dataclass(frozen=True)
class Packet:
    """What a call returned.

    Attributes
    ----------
    data : bytes
        Hostile.
    wall_s, cpu_s : float
        Wall clock and the worker's CPU time, in seconds, measured by the supervisor.
    """

    data: bytes
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Decoded:
    """What a decoder returned.

    Attributes
    ----------
    frame : numpy.ndarray
        uint8, of the requested shape.
    wall_s, cpu_s : float
        As in `Packet`.
    """

    frame: Frame
    wall_s: float
    cpu_s: float


class Worker:
    """One process with one candidate in one role. A context manager that kills it; created by `Supervisor.worker`.

    Parameters
    ----------
    zygote : ZygoteProcess
        Forks it.
    limits : Limits
        Of its whole life.
    uid : int or None
        Throw-away user, or None if it has the supervisor's.
    on_gone : callable
        Called once, when the process is gone, with what it changed of the supervisor and could not be restored.

    Attributes
    ----------
    pid
        Its process id.
    layers
        Layer -> ``ok`` or the reason why it is not in force, as the worker reported before it read the candidate.
    load_cpu_s
        CPU seconds of loading the candidate, including the code that runs at import.

    Raises
    ------
    SandboxUnavailable
        It does not start.
    """

    def __init__(
        self,
        zygote: ZygoteProcess,
        limits: Limits,
        uid: int | None,
        on_gone: Callable[[Worker, list[str]], None],
    ) -> None:
        self._zygote, self.limits, self._on_gone = zygote, limits, on_gone
        self._sweep = Sweep(uid)
        self._own_state = ProcessState.of(os.getpid())
        self._zygote_state = ProcessState.of(zygote.process.pid)
        self._gone = False
        self.layers: dict[str, str] = {}
        self.load_cpu_s = 0.0
        self._end: dict[str, Any] | None = None
        self._charged = 0.0
        area = limits.area_bytes
        memory = channel.create_memory(channel.Channel.size(area, area))
        try:
            self._channel = channel.Channel(memory, area, area)
            self.pid, self._line = zygote.fork(memory, limits, uid)
        finally:
            os.close(memory)
        try:
            _, raw = self._reply(ANSWER_S)
            self.layers = json.loads(raw)
        except (CandidateFault, ValueError) as fault:
            self.kill()
            raise SandboxUnavailable(f"a worker did not come up: {fault}") from None
        self._charged = self._cpu_clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def encode(self, frame: Frame, index: int, config: dict[str, Any]) -> Packet:
        """Run ``compress_video_frame``.

        Parameters
        ----------
        frame : numpy.ndarray
            (H, W, 3) uint8 RGB.
        index : int
            Of the frame in its sequence, from 0.
        config : dict
            JSON values only.

        Raises
        ------
        CandidateFault
            The candidate failed. After kinds ``timeout``, ``crash`` and ``budget`` the worker is dead.
        ValueError
            The frame has another type or exceeds the limits.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.nbytes > self.limits.max_frame_bytes:
            raise ValueError(f"frame must be uint8 (H, W, 3) of at most {self.limits.max_frame_bytes} bytes")
        meta = {"shape": list(frame.shape), "index": index, "config": config}
        packet = self.request(worker.ENCODE, meta, np.ascontiguousarray(frame).data.cast("B"))
        if len(packet.data) > self.limits.max_packet_bytes:
            message = (
                f"a packet of {len(packet.data)} bytes; at most {self.limits.max_packet_bytes} are allowed"
            )
            raise CandidateFault("output_size", message)
        return packet

    def decode(self, data: bytes, index: int, config: dict[str, Any], shape: tuple[int, int, int]) -> Decoded:
        """Run ``decompress_video_frame``.

        Parameters
        ----------
        data : bytes
            The packet.
        index, config
            As for `encode`.
        shape : tuple of int
            (H, W, 3). The frame returned has this shape, whatever the worker claims.

        Raises
        ------
        CandidateFault, ValueError
            As for `encode`.
        """
        size = math.prod(shape)
        if size > self.limits.max_frame_bytes or len(data) > self.limits.max_packet_bytes:
            raise ValueError(f"frame of {size} or packet of {len(data)} bytes is above the worker's limits")
        answer = self.request(worker.DECODE, {"shape": list(shape), "index": index, "config": config}, data)
        if len(answer.data) != size:
            raise CandidateFault(
                "frame_shape", f"the decoded frame has {len(answer.data)} bytes, expected {size}"
            )
        frame = np.frombuffer(answer.data, np.uint8).reshape(shape)
        return Decoded(frame, answer.wall_s, answer.cpu_s)

    def bits(self) -> Packet:
        """Ask for the bits by syntax element, as JSON for `elements.read_bits`; nothing if the candidate counts none.

        Raises
        ------
        CandidateFault
            As for `encode`.
        """
        return self.request(worker.BITS, {}, b"")

    def show(self, frames: Frames, fps: float) -> Packet:
        """Give the trainer one video, (T, H, W, 3) uint8 RGB, and its frame rate.

        Raises
        ------
        CandidateFault
            As for `encode`.
        """
        meta = {"shape": list(frames.shape), "fps": fps}
        return self.request(worker.SHOW, meta, np.ascontiguousarray(frames).data.cast("B"))

    def train(self, config: dict[str, Any]) -> Packet:
        """Run ``train(videos, config)`` of the trainer; returns what `trained_arrays.unpack` reads.

        Raises
        ------
        CandidateFault
            As for `encode`.
        """
        return self.request(worker.TRAIN, {"config": config}, b"")

    def call(self, function: str, frame: Frame, index: int, config: dict[str, Any]) -> str:
        """Run ``function(frame, index, config)`` of the candidate, and return type and ``repr`` of its result.

        Raises
        ------
        CandidateFault
            As for `encode`.
        """
        meta = {"function": function, "shape": list(frame.shape), "index": index, "config": config}
        raw = self.request(worker.CALL, meta, np.ascontiguousarray(frame).data.cast("B")).data
        return printable(raw.decode("utf-8", "replace"), MAX_MESSAGE)

    def kill(self) -> None:
        """Kill the worker, wait for its end, and remove what it left behind. Safe to call twice."""
        if self._end is None:
            self._end = self._killed()
        if not self._gone:
            self._gone = True
            self._line.close()
            self._channel.close()
            self._sweep.run({layer for layer, said in self.layers.items() if said == "ok"})
            self._on_gone(self, self._undo_tampering())

    def _undo_tampering(self) -> list[str]:
        if self._zygote_state is not None and self._zygote_state.differences():
            self._zygote.kill()  # the next workers would inherit the change, and could read it
        return self._own_state.restore() if self._own_state is not None else []

    def request(self, operation: int, meta: dict[str, Any], payload: bytes | memoryview) -> Packet:
        """Send one request and wait for the reply.

        Parameters
        ----------
        operation : int
            One of `codec_sandbox.worker`'s.
        meta : dict
            JSON values.
        payload : bytes or memoryview

        Raises
        ------
        CandidateFault
            As for `encode`.
        ValueError
            The request does not fit the channel.
        """
        if self._end is not None:
            raise CandidateFault("crash", "the worker has already ended")
        head = worker.pack_request(meta)
        length = len(head) + len(payload)
        if length > self._channel.request_bytes:
            raise ValueError(f"a request of {length} bytes does not fit the channel")
        at = channel.HEADER_BYTES
        self._channel.memory[at : at + len(head)] = head
        self._channel.memory[at + len(head) : at + length] = payload
        started = time.perf_counter()
        self._channel.post(channel.REQUEST, operation, length, 0, 0)
        status, data = self._reply(self.limits.call_s)
        wall_s = time.perf_counter() - started
        cpu_s = self._charge()
        if status != channel.OK:
            raise fault_from_worker(data)
        return Packet(data, wall_s, cpu_s)

    def _reply(self, seconds: float) -> tuple[int, bytes]:
        if not self._channel.wait(channel.REPLY, seconds, _SLICE_S, self._must_stop):
            raise self._why_no_reply(seconds)
        _, _, _, length, status = self._channel.header()
        if length > self._channel.reply_bytes:
            raise CandidateFault("output_size", f"the worker claims a reply of {length} bytes")
        at = self._channel.reply_at
        data = self._channel.memory[
            at : at + length
        ]  # copied before it is checked, so that it cannot change afterwards
        self._channel.idle()
        return status, data

    def _must_stop(self) -> bool:
        return self._ended() or self._cpu_clock() > self.limits.cpu_s

    def _ended(self) -> bool:
        if self._end is None:
            try:
                self._end = self._line.read(0.0)
            except EOFError:  # the zygote is gone, and the worker is an orphan
                self.kill()
                raise SandboxUnavailable("the zygote died during a call") from None
        return self._end is not None

    def _why_no_reply(self, seconds: float) -> CandidateFault:
        if self._ended():
            self.kill()
            return _death(self._end or {})
        used = self._cpu_clock()
        self.kill()
        if used > self.limits.cpu_s:
            return CandidateFault(
                "budget", f"the worker used {used:.1f} CPU seconds of {self.limits.cpu_s:g} allowed"
            )
        return CandidateFault("timeout", f"no answer within {seconds:g} s")

    def _killed(self) -> dict[str, Any]:
        """Have the zygote kill and reap the process; if it does not, kill it here."""
        end: dict[str, Any] | None = None
        with contextlib.suppress(OSError):
            self._line.socket.sendall(b"k")  # fails if the worker has ended by itself; the next read tells
        with contextlib.suppress(EOFError):
            end = self._line.read(ANSWER_S)
        if end is None:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)
            if self._zygote.alive:
                self._zygote.kill()  # it does not reply; the next worker gets a new one
            _await_death(self.pid)
            end = {"status": signal.SIGKILL, "cpu_s": 0.0}
        return end

    def _cpu_clock(self) -> float:
        """CPU seconds of the worker's life, read from the kernel (CPUCLOCK_SCHED, clock_getcpuclockid(3))."""
        try:
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:  # already reaped, or a platform without such clocks
            return self._charged

    def _charge(self) -> float:
        """Return the CPU seconds since the last charge, so that work between calls is charged too."""
        now = self._cpu_clock()
        spent, self._charged = now - self._charged, now
        return max(spent, 0.0)


def _await_death(pid: int) -> None:
    """Wait for the end of an orphan, which another process reaps."""
    end = time.monotonic() + ANSWER_S
    while not is_dead(pid):
        if time.monotonic() > end:
            raise SandboxUnavailable(f"worker {pid} was killed but does not end")
        time.sleep(0.002)


def is_dead(pid: int) -> bool:
    """Whether the process has ended. One that waits to be reaped has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    return False


def _death(end: dict[str, Any]) -> CandidateFault:
    status = int(end.get("status", 0))
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in signal.valid_signals() else str(number)
        if number == signal.SIGXCPU:
            return CandidateFault("budget", "the worker used up its CPU time")
        return CandidateFault("crash", f"the worker was killed by {name}")
    return CandidateFault("crash", f"the worker left with exit status {os.WEXITSTATUS(status)}")
