"""Encodes a film into a container, in the sandbox, and decodes it on the way to show what it looks like."""

from __future__ import annotations

import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from codec_sandbox.faults import CandidateFault
from codec_sandbox.policy import Policy
from codec_sandbox.quality import psnr_yuv
from codec_sandbox.supervisor import Supervisor, Worker

from infra.progress import Progress
from infra.workbench.chosen_codec import ChosenCodec
from infra.workbench.coding import config_of, failed, limits_of
from infra.workbench.container import ContainerWriter, Header, sha256
from infra.workbench.film import Film

REPORT_S = 2.0
"""Seconds between two lines of progress."""


@dataclass
class Encoded:
    """What has been encoded so far.

    Attributes
    ----------
    header
    frames
        Number of frames.
    packet_bytes
        All packets together, without the container.
    psnr_sum_db
        Sum of PSNR-YUV over `measured` frames.
    measured
        Number of frames that have been decoded again.
    """

    header: Header
    frames: int = 0
    packet_bytes: int = 0
    psnr_sum_db: float = 0.0
    measured: int = 0
    _began: float = field(default_factory=time.monotonic)
    _reported: float = field(default_factory=time.monotonic)

    @property
    def bitrate_mbps(self) -> float:
        """Rate of the packets, in Mbit/s at the film's own size and rate."""
        return rate_mbps(self.packet_bytes, self.frames, self.header)

    @property
    def psnr_db(self) -> float | None:
        """Mean PSNR-YUV 6:1:1 over the decoded frames, or None if none was decoded."""
        return self.psnr_sum_db / self.measured if self.measured else None

    def report(self, progress: Progress) -> None:
        """Write a line of progress, at most every `REPORT_S`."""
        now = time.monotonic()
        if now - self._reported < REPORT_S:
            return
        self._reported = now
        left_s = (now - self._began) / self.frames * (self.header.frames - self.frames)
        psnr = f", {self.psnr_db:.2f} dB" if self.psnr_db is not None else ""
        progress(
            f"frame {self.frames} of {self.header.frames}: {self.bitrate_mbps:.3f} Mbps{psnr}, "
            f"{duration(left_s)} left"
        )


def header_of(film: Film, codec: ChosenCodec, quality: int) -> Header:
    """Return the header of a film coded with a codec at a quality."""
    return Header(
        codec=codec.name[:200],
        lineage=codec.lineage,
        version=codec.version,
        source_sha256=sha256(codec.source),
        width=film.width,
        height=film.height,
        fps_numerator=film.fps.numerator,
        fps_denominator=film.fps.denominator,
        frames=film.frames,
        quality=quality,
    )


def encode_film(
    film: Film,
    codec: ChosenCodec,
    output: Path,
    *,
    quality: int,
    carry: bool,
    policy: Policy,
    supervisor: Supervisor,
    progress: Progress,
) -> Encoded:
    """Encode every frame and write the container, which appears under its name when it is complete.

    Parameters
    ----------
    quality
        0 to 100, the codec's own scale.
    carry
        Put the codec's source into the file.
    policy
        The language policy that the source must satisfy.

    Raises
    ------
    CodecFailed
        The codec cannot be loaded, or fails on a frame.
    VideoError
        The film ends early.
    OSError
        The file cannot be written.
    """
    header = header_of(film, codec, quality)
    config, limits = config_of(header), limits_of(header)
    partial = output.with_name(f"{output.name}.{os.getpid()}.part")
    done = Encoded(header)
    doing = "loading the codec"
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(partial.open("wb"))
            encoder = stack.enter_context(supervisor.worker("encoder", codec.source, policy, limits))
            check = stack.enter_context(Check(supervisor, codec.source, policy, done))
            writer = ContainerWriter(stream, header, codec.source if carry else None)
            for index, frame in enumerate(film.read()):
                doing = f"encoding frame {index + 1} of {header.frames}"
                packet = encoder.encode(frame, index, dict(config)).data
                writer.add(packet)
                done.frames, done.packet_bytes = index + 1, done.packet_bytes + len(packet)
                check.add(frame, packet)
                done.report(progress)
            check.finish()
        partial.replace(output)
    except CandidateFault as fault:
        raise failed(doing, fault) from fault
    finally:
        partial.unlink(missing_ok=True)
    return done


class Check:
    """Decodes each packet while the next frame is encoded, and adds its PSNR to what has been encoded.

    Where system calls are not filtered, an encoder could pass frames to a decoder by other ways than the packet; there
    nothing is decoded, and no PSNR is shown (see `codec_sandbox.turns`).
    """

    def __init__(self, supervisor: Supervisor, source: bytes, policy: Policy, done: Encoded) -> None:
        self._done, self._config = done, config_of(done.header)
        self._pool = ThreadPoolExecutor(1)
        self._pending: Future[float] | None = None
        self._index = 0
        self._decoder: Worker | None = None
        if supervisor.layers["seccomp"] == "ok":
            self._decoder = supervisor.worker("decoder", source, policy, limits_of(done.header))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._decoder is not None:
            self._decoder.kill()
        self._pool.shutdown()

    def add(self, frame: np.ndarray, packet: bytes) -> None:
        """Take up the next frame and its packet; raises `CodecFailed` if the frame before could not be decoded."""
        self.finish()
        if self._decoder is not None:
            self._pending = self._pool.submit(self._measure, self._decoder, frame, packet, self._index)
            self._index += 1

    def finish(self) -> None:
        """Wait for the last frame; raises as `add`."""
        if self._pending is None:
            return
        try:
            self._done.psnr_sum_db += self._pending.result()
        except CandidateFault as fault:
            raise failed(f"decoding frame {self._index} of {self._done.header.frames}", fault) from fault
        self._done.measured += 1
        self._pending = None

    def _measure(self, decoder: Worker, frame: np.ndarray, packet: bytes, index: int) -> float:
        decoded = decoder.decode(packet, index, dict(self._config), self._done.header.shape)
        return float(psnr_yuv(frame, decoded.frame))


def rate_mbps(size_bytes: float, frames: int, header: Header) -> float:
    """Return the rate of packets, in Mbit/s at the film's own size and rate."""
    return size_bytes * 8 / max(1, frames) * float(header.fps) / 1e6


def duration(seconds: float) -> str:
    """Return a duration for people: ``12 s``, ``4 min``, ``2 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
