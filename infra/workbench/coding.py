"""What encoding and decoding a file share: the sandbox, its limits, and the codec's ``config``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codec_sandbox.faults import CandidateFault, SandboxUnavailable
from codec_sandbox.limits import Limits
from codec_sandbox.runs import MAX_EDGES, Config
from codec_sandbox.supervisor import Supervisor

from infra.errors import UserError
from infra.workbench.container import Header

CALL_S = 120.0
"""Seconds for one frame, wall clock."""
LOAD_CPU_S = 120.0
"""CPU seconds for loading the codec, beside `CALL_S` for each frame."""
MAX_MEMORY_MB = 8192
"""Most address space of a worker, in MiB."""

_PIXELS_1080P = 1920 * 1088


class CodecFailed(Exception):
    """The codec failed on a frame, or cannot be loaded; the message is one sentence."""


@contextmanager
def sandbox(packages: Path) -> Iterator[Supervisor]:
    """Yield a sandbox.

    Parameters
    ----------
    packages
        Link to the packages that were approved for candidates, or a path where nothing is.

    Raises
    ------
    UserError
        A required layer is missing, or the sandbox died.
    """
    try:
        with Supervisor(packages=str(packages)) as supervisor:
            yield supervisor
    except SandboxUnavailable as error:
        raise UserError(f"the sandbox does not run here: {error}") from error


def limits_of(header: Header) -> Limits:
    """Return the limits of a worker for a film: memory grows with the frame, CPU time with the number of frames."""
    pixels = header.width * header.height
    memory = min(MAX_MEMORY_MB, int(Limits.memory_mb * max(1.0, pixels / _PIXELS_1080P)))
    return Limits(
        call_s=CALL_S,
        cpu_s=LOAD_CPU_S + CALL_S * header.frames,
        memory_mb=memory,
        max_packet_bytes=header.max_packet_bytes,
        max_frame_bytes=max(Limits.max_frame_bytes, pixels * 3),
    )


def config_of(header: Header) -> Config:
    """Return the ``config`` of every call, equal for encoder and decoder."""
    return {
        "quality": header.quality,
        "max_edges": MAX_EDGES,
        "width": header.width,
        "height": header.height,
        "fps": float(header.fps),
        "frames": header.frames,
    }


def failed(doing: str, fault: CandidateFault) -> CodecFailed:
    """Say where a codec failed: ``encoding frame 3 of 24: the codec failed (timeout, line 12): no answer``."""
    line = f", line {fault.line}" if fault.line else ""
    return CodecFailed(f"{doing}: the codec failed ({fault.kind}{line}): {fault.message}")
