"""Runs a candidate over a sequence: encodes all frames, kills the encoder, and decodes in another process."""

import hashlib
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from codec_sandbox.elements import read_bits
from codec_sandbox.faults import CandidateFault
from codec_sandbox.frames import Frame, Frames
from codec_sandbox.limits import Limits
from codec_sandbox.policy import Policy
from codec_sandbox.ports import CodecWorker, Config, Sandbox
from codec_sandbox.worker import Role

FRAMING_BYTES = 2
"""Charged for every packet: its length field in a container. From 64 KiB on it is twice as long."""

MAX_EDGES = 500
"""``config["max_edges"]`` of every call."""


class Stopped(Exception):
    """Another run of the stage has failed, so this one was abandoned."""


@dataclass(frozen=True)
class Fault:
    """Where and why a candidate failed: a report's ``failure`` without its stage and clip.

    Attributes
    ----------
    kind : str
        One of `codec_sandbox.faults.KINDS`.
    message : str
    frame : int or None
        Index of the frame, from 0.
    line : int or None
        Line of the source, from 1.
    traceback : str
        The candidate's own lines.
    """

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
    """A sequence after encoding and decoding.

    Attributes
    ----------
    frames : list of numpy.ndarray
        Decoded, (H, W, 3) uint8 RGB.
    size_bytes : int
        All packets as the supervisor received them, with framing.
    encode_cpu_s, decode_cpu_s : float
        CPU seconds of all frames together, and of loading the source in that role.
    load_cpu_s : float
        CPU seconds of loading the source, both roles together. Already part of the other two.
    packets_sha256, frames_sha256 : str
        Hash of all packets, each preceded by its length, and hash of all decoded frames.
    bits : dict
        Bits of the packets by syntax element, as the candidate counts them; empty where it was not asked.
    """

    frames: list[Frame]
    size_bytes: int
    encode_cpu_s: float
    decode_cpu_s: float
    load_cpu_s: float
    packets_sha256: str
    frames_sha256: str
    bits: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class Deadline:
    """The end of a whole run. Checked after every call and every load, so a run ends at most one call later.

    Attributes
    ----------
    wall_s : float
        Seconds that the run may take.
    ends : float
        On the monotonic clock, in seconds.
    """

    wall_s: float
    ends: float

    @classmethod
    def after(cls, wall_s: float) -> "Deadline":
        """Return the deadline of a run that starts now."""
        return cls(wall_s, time.monotonic() + wall_s)

    @property
    def passed(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() > self.ends


class CpuMeter:
    """Counts the CPU seconds that all workers of a stage use. Safe to share between threads.

    Parameters
    ----------
    limit_s : float
        CPU seconds that the stage may use.
    deadline : Deadline or None
        Of the whole run.

    Attributes
    ----------
    used_s : float
        CPU seconds so far.
    stopped : bool
        Set when a run of the stage has failed, so that the others end too.
    """

    def __init__(self, limit_s: float, deadline: Deadline | None = None) -> None:
        self.limit_s, self.deadline = limit_s, deadline
        self.used_s = 0.0
        self.stopped = False
        self._lock = threading.Lock()

    def charge(self, seconds: float) -> None:
        """Add the CPU seconds of a call.

        Raises
        ------
        CandidateFault
            Kind ``budget``: the stage is over its limit, or the run is past its deadline.
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
    sandbox : Sandbox
        Starts the workers.
    source : bytes
        Of the candidate.
    policy : Policy or None
        None switches the language policy off.
    limits : Limits
        Of each worker.
    config : mapping
        The candidate's own settings, passed with those of the benchmark.
    asks_bits : bool
        Whether to ask the encoder for its bits by syntax element.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        source: bytes,
        policy: Policy | None,
        limits: Limits,
        config: Mapping[str, float] | None = None,
        asks_bits: bool = False,
    ) -> None:
        self._sandbox, self._source, self._policy, self._limits = sandbox, source, policy, limits
        self._config, self._asks_bits = dict(config or {}), asks_bits

    def load(self, role: Role, meter: CpuMeter) -> None:
        """Load the candidate in a role and discard it, to find faults of import and signature.

        Raises
        ------
        RunFailed
            It cannot be loaded, or loading uses more CPU seconds than the stage may.
        """
        with self._loaded(role, meter):
            pass

    @contextmanager
    def _loaded(self, role: Role, meter: CpuMeter) -> Generator[CodecWorker]:
        """Yield a worker with the source loaded, and charge the loading."""
        try:
            worker = self._sandbox.worker(role, self._source, self._policy, self._limits)
        except CandidateFault as fault:
            failed = Fault(fault.kind, fault.message, line=fault.line, traceback=fault.traceback)
            raise RunFailed(failed) from fault
        with worker:
            try:
                meter.charge(worker.load_cpu_s)
            except CandidateFault as fault:
                raise RunFailed(Fault(fault.kind, f"loading the {role}: {fault.message}")) from fault
            yield worker

    def code(self, frames: Frames, fps: float, quality: int, meter: CpuMeter) -> Coded:
        """Encode all frames, kill the encoder, then decode all packets.

        Parameters
        ----------
        frames : numpy.ndarray
            (T, H, W, 3) uint8 RGB.
        fps : float
            Frame rate, passed to the candidate.
        quality : int
            0 to 100.
        meter : CpuMeter
            Charged after loading and after every call.

        Raises
        ------
        RunFailed
            The candidate failed; the fault names the frame.
        Stopped
            Another run of the stage has failed.
        """
        config = _config(frames, fps, quality) | self._config
        if meter.stopped:
            raise Stopped
        packets, encode_cpu_s, encoder_load_s, bits = self._encoded(frames, config, meter)
        shape = (int(frames.shape[1]), int(frames.shape[2]), 3)
        decoded, decode_cpu_s, decoder_load_s = self._decoded(packets, shape, config, meter)
        return Coded(
            frames=decoded,
            size_bytes=sum(framed(len(packet)) for packet in packets),
            encode_cpu_s=encode_cpu_s,
            decode_cpu_s=decode_cpu_s,
            load_cpu_s=encoder_load_s + decoder_load_s,
            packets_sha256=_packets_sha256(packets),
            frames_sha256=_frames_sha256(decoded),
            bits=bits,
        )

    def _encoded(
        self, frames: Frames, config: Config, meter: CpuMeter
    ) -> tuple[list[bytes], float, float, dict[str, int]]:
        packets, bits = list[bytes](), dict[str, int]()
        with self._loaded("encoder", meter) as worker:
            cpu_s, index = worker.load_cpu_s, 0
            try:
                for index, frame in enumerate(frames):
                    packet = worker.encode(frame, index, dict(config))
                    packets.append(packet.data)
                    cpu_s += packet.cpu_s
                    meter.charge(packet.cpu_s)
                if self._asks_bits:
                    answer = worker.bits()
                    meter.charge(answer.cpu_s)
                    bits = read_bits(answer.data, 8 * sum(map(len, packets)))
            except CandidateFault as fault:
                raise RunFailed(_fault("encoding", fault, index)) from fault
            return packets, cpu_s, worker.load_cpu_s, bits

    def _decoded(
        self, packets: list[bytes], shape: tuple[int, int, int], config: Config, meter: CpuMeter
    ) -> tuple[list[Frame], float, float]:
        decoded: list[Frame] = []
        with self._loaded("decoder", meter) as worker:
            cpu_s, index = worker.load_cpu_s, 0
            try:
                for index, packet in enumerate(packets):
                    answer = worker.decode(packet, index, dict(config), shape)
                    decoded.append(answer.frame)
                    cpu_s += answer.cpu_s
                    meter.charge(answer.cpu_s)
            except CandidateFault as fault:
                raise RunFailed(_fault("decoding", fault, index)) from fault
            return decoded, cpu_s, worker.load_cpu_s


def _config(frames: Frames, fps: float, quality: int) -> Config:
    return {
        "quality": quality,
        "max_edges": MAX_EDGES,
        "width": int(frames.shape[2]),
        "height": int(frames.shape[1]),
        "fps": fps,
        "frames": len(frames),
    }


def framed(length: int) -> int:
    """Return the size that a packet of `length` bytes is charged with, in bytes."""
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


def _frames_sha256(frames: list[Frame]) -> str:
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(np.ascontiguousarray(frame).data)
    return digest.hexdigest()
