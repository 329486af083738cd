"""Running a candidate over a sequence: encode everything, kill the encoder, decode in another process."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from codec_sandbox.faults import CandidateFault
from codec_sandbox.limits import Limits
from codec_sandbox.policy import Policy

FRAMING_BYTES = 2
"""Charged for every packet: what a container needs to say where it ends; twice as much from 64 KiB on."""

MAX_EDGES = 500


class Workshop(Protocol):
    """What is needed of `codec_sandbox.supervisor.Supervisor`."""

    tampered: list[str]
    """What a worker changed of this process and could not be put back."""

    def close(self) -> None:
        """End every process."""

    def worker(self, role: str, source: bytes, policy: Policy | None, limits: Limits) -> Any:
        """Start a worker with the source loaded."""

    def validate(self, source: bytes, policy: Policy) -> list:
        """Every violation of the policy in the source."""


class Stopped(Exception):
    """The stage is over; this run was given up."""


@dataclass(frozen=True)
class Fault:
    """Where and why a candidate failed; the ``failure`` of a report but for its stage and clip."""

    kind: str
    message: str
    frame: int | None = None
    line: int | None = None
    traceback: str = ""


class RunFailed(Exception):
    """A candidate failed in a run."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(frozen=True)
class Coded:
    """A sequence that went through a candidate.

    Attributes
    ----------
    frames : list of numpy.ndarray
        Decoded, (H, W, 3) uint8 RGB.
    size_bytes : int
        Packets as the supervisor received them, framing charged.
    encode_cpu_s, decode_cpu_s : float
        CPU seconds of all frames together, and of loading the source in that role.
    load_cpu_s : float
        CPU seconds of loading the source, both roles together; they are in the other two already.
    packets_sha256, frames_sha256 : str
        Hashes of all packets, each with its length, and of all decoded frames.
    """

    frames: list[np.ndarray]
    size_bytes: int
    encode_cpu_s: float
    decode_cpu_s: float
    load_cpu_s: float
    packets_sha256: str
    frames_sha256: str


@dataclass(frozen=True)
class Deadline:
    """When a whole run must have ended: `wall_s` seconds from its start; `ends` is on the monotonic clock.

    It is looked at after every call and every loading, so a run ends at most one call later.
    """

    wall_s: float
    ends: float

    @classmethod
    def after(cls, wall_s: float) -> "Deadline":
        """The deadline of a run that starts now."""
        return cls(wall_s, time.monotonic() + wall_s)

    @property
    def passed(self) -> bool:
        """Whether the run should be over."""
        return time.monotonic() > self.ends


class CpuMeter:
    """CPU seconds that a stage's workers have used together, and its limits. Safe to share between threads.

    Parameters
    ----------
    limit_s : float
        CPU seconds.
    deadline : Deadline or None
        Of the whole run, which the stage belongs to.
    """

    def __init__(self, limit_s: float, deadline: Deadline | None = None) -> None:
        self.limit_s, self.deadline = limit_s, deadline
        self.used_s = 0.0
        self.stopped = False
        self._lock = threading.Lock()

    def charge(self, seconds: float) -> None:
        """Add what a call used.

        Raises
        ------
        CandidateFault
            Kind ``budget``: the stage has used more than its limit, or the run has taken longer than it may.
        Stopped
            Another run of the stage has failed.
        """
        with self._lock:
            self.used_s += seconds
        if self.stopped:
            raise Stopped
        if self.used_s > self.limit_s:
            message = (
                f"the stage used more than its {self.limit_s:g} CPU seconds (loading the source is charged in every "
                "process); load, encode and decode faster"
            )
            raise CandidateFault("budget", message)
        if self.deadline is not None and self.deadline.passed:
            message = (
                f"the whole run took more than its {self.deadline.wall_s:g} seconds of wall clock; "
                "load, encode and decode faster, and do not wait"
            )
            raise CandidateFault("budget", message)


class Runner:
    """Runs one candidate over sequences, each in fresh processes.

    Parameters
    ----------
    workshop : Workshop
        Starts the workers.
    source : bytes
        Of the candidate.
    policy : Policy or None
        None switches the language policy off.
    limits : Limits
        Of each worker.
    """

    def __init__(self, workshop: Workshop, source: bytes, policy: Policy | None, limits: Limits) -> None:
        self._workshop, self._source, self._policy, self._limits = workshop, source, policy, limits

    def load(self, role: str, meter: CpuMeter) -> None:
        """Load the candidate in a role and drop it: finds faults of import and signature.

        Raises
        ------
        RunFailed
            It cannot be loaded, or loading takes more than the stage may use.
        """
        with self._loaded(role, meter):
            pass

    @contextmanager
    def _loaded(self, role: str, meter: CpuMeter) -> Iterator[Any]:
        """A worker with the source loaded, and its loading charged."""
        try:
            worker = self._workshop.worker(role, self._source, self._policy, self._limits)
        except CandidateFault as fault:
            failed = Fault(fault.kind, fault.message, line=fault.line, traceback=fault.traceback)
            raise RunFailed(failed) from fault
        with worker:
            try:
                meter.charge(worker.load_cpu_s)
            except CandidateFault as fault:
                raise RunFailed(Fault(fault.kind, f"loading the {role}: {fault.message}")) from fault
            yield worker

    def code(self, frames: np.ndarray, fps: float, quality: int, meter: CpuMeter) -> Coded:
        """Encode all frames, kill the encoder, then decode all packets.

        Parameters
        ----------
        frames : numpy.ndarray
            (T, H, W, 3) uint8 RGB.
        fps : float
            Told to the candidate.
        quality : int
            0 to 100.
        meter : CpuMeter
            Charged after loading and after every call.

        Raises
        ------
        RunFailed
            The candidate failed; the fault names the frame.
        Stopped
            The stage is over.
        """
        config = {
            "quality": quality,
            "max_edges": MAX_EDGES,
            "width": int(frames.shape[2]),
            "height": int(frames.shape[1]),
            "fps": fps,
            "frames": len(frames),
        }
        if meter.stopped:
            raise Stopped
        packets, encode_cpu_s, encoder_load_s = self._encoded(frames, config, meter)
        decoded, decode_cpu_s, decoder_load_s = self._decoded(packets, frames.shape[1:], config, meter)
        return Coded(
            frames=decoded,
            size_bytes=sum(framed(len(packet)) for packet in packets),
            encode_cpu_s=encode_cpu_s,
            decode_cpu_s=decode_cpu_s,
            load_cpu_s=encoder_load_s + decoder_load_s,
            packets_sha256=_packets_sha256(packets),
            frames_sha256=_frames_sha256(decoded),
        )

    def _encoded(self, frames, config, meter) -> tuple[list[bytes], float, float]:
        with self._loaded("encoder", meter) as worker:
            packets, cpu_s, index = [], worker.load_cpu_s, 0
            try:
                for index, frame in enumerate(frames):
                    packet = worker.encode(frame, index, dict(config))
                    packets.append(packet.data)
                    cpu_s += packet.cpu_s
                    meter.charge(packet.cpu_s)
            except CandidateFault as fault:
                raise RunFailed(_fault("encoding", fault, index)) from fault
            return packets, cpu_s, worker.load_cpu_s

    def _decoded(self, packets, shape, config, meter) -> tuple[list[np.ndarray], float, float]:
        with self._loaded("decoder", meter) as worker:
            decoded, cpu_s, index = [], worker.load_cpu_s, 0
            try:
                for index, packet in enumerate(packets):
                    answer = worker.decode(packet, index, dict(config), tuple(shape))
                    decoded.append(answer.frame)
                    cpu_s += answer.cpu_s
                    meter.charge(answer.cpu_s)
            except CandidateFault as fault:
                raise RunFailed(_fault("decoding", fault, index)) from fault
            return decoded, cpu_s, worker.load_cpu_s


def framed(length: int) -> int:
    """Bytes that a packet of `length` bytes counts for."""
    return length + FRAMING_BYTES * (1 if length < 1 << 8 * FRAMING_BYTES else 2)


def _fault(doing: str, fault: CandidateFault, frame: int) -> Fault:
    where = f" (in {fault.function})" if fault.function else ""
    message = f"{doing} frame {frame}: {fault.message}{where}"
    return Fault(fault.kind, message, frame=frame, line=fault.line, traceback=fault.traceback)


def _packets_sha256(packets: list[bytes]) -> str:
    digest = hashlib.sha256()
    for packet in packets:
        digest.update(len(packet).to_bytes(4, "big"))
        digest.update(packet)
    return digest.hexdigest()


def _frames_sha256(frames: list[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(np.ascontiguousarray(frame).data)
    return digest.hexdigest()
