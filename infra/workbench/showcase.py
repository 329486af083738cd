"""What a version looks like: beside x265 at equal bits and at equal PSNR, and beside the versions before it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from codec_evolution.widgets.pictures import spread
from codec_sandbox.clips import CLIP_DIRECTORY, Clip, ClipSet
from codec_sandbox.limits import Limits
from codec_sandbox.policy import Policy
from codec_sandbox.quality import psnr_yuv
from codec_sandbox.runs import CpuMeter, RunFailed, Runner
from codec_sandbox.supervisor import Supervisor

from infra.errors import UserError
from infra.progress import Progress
from infra.workbench.chosen_codec import ChosenCodec
from infra.workbench.clips_setup import ensure_clips
from infra.workbench.coding import CodecFailed
from infra.workbench.references import ANCHOR_ENCODER, code_point

TOTAL_CPU_S = 1800.0
"""CPU seconds that all processes of one window may use together."""

_CRF_TENTHS = (100, 480)


@dataclass(frozen=True)
class Take:
    """A window coded once.

    Attributes
    ----------
    name
        For people: ``version 3, quality 40``.
    frame
        The middle frame as decoded, (H, W, 3) uint8 RGB.
    size_bytes
        All packets, with framing.
    psnr_db
        Mean PSNR-YUV 6:1:1 over the frames.
    """

    name: str
    frame: np.ndarray
    size_bytes: int
    psnr_db: float


@dataclass(frozen=True)
class Showcase:
    """A window of one clip, coded in all the ways that are compared.

    Attributes
    ----------
    clip, frames, original
        The clip, the number of frames coded, and the middle frame, (H, W, 3) uint8 RGB.
    ours
        The version.
    equal_bits, equal_psnr
        x265 medium, zero latency, at the CRF that comes closest to the version's bytes, and to its PSNR.
    versions
        The lineage, oldest first, each at the quality that comes closest to the version's bytes.
    """

    clip: Clip
    frames: int
    original: np.ndarray
    ours: Take
    equal_bits: Take
    equal_psnr: Take
    versions: list[Take]


def showcases(
    lineage: Sequence[ChosenCodec],
    quality: int,
    *,
    policy: Policy,
    supervisor: Supervisor,
    progress: Progress,
    directory: Path = CLIP_DIRECTORY,
) -> list[Showcase]:
    """Code window 0 of each training clip whose licence allows pictures.

    Parameters
    ----------
    lineage
        Oldest first; the last is the version to show.
    quality
        Of that version.

    Raises
    ------
    CodecFailed
        A version fails.
    ClipError, VideoError
        The clips cannot be read, or x265 fails.
    UserError
        No training clip allows pictures.
    """
    ensure_clips(directory, progress)
    clips = ClipSet(directory)
    allowed = [clip for clip in clips.clips if clip.role == "train" and clip.pictures]
    if not allowed:
        raise UserError("no training clip has a licence that allows pictures")
    found = []
    for clip in allowed:
        frames = clips.load(clip.windows[0])
        takes = _Takes(frames, clip.fps, policy, supervisor, progress)
        found.append(_showcase(clip, takes, lineage, quality))
    return found


def _showcase(clip: Clip, takes: _Takes, lineage: Sequence[ChosenCodec], quality: int) -> Showcase:
    ours = takes.of_codec(lineage[-1], quality)

    def bits(take: Take) -> float:
        return math.log(take.size_bytes / ours.size_bytes)

    chosen = [lineage[place] for place in spread(len(lineage))]
    older = [
        closest(functools.partial(takes.of_codec, codec), (0, 100), bits, rising=True)
        for codec in chosen[:-1]
    ]
    return Showcase(
        clip,
        len(takes.frames),
        takes.frames[takes.middle],
        ours,
        closest(takes.of_x265, _CRF_TENTHS, bits, rising=False),
        closest(takes.of_x265, _CRF_TENTHS, lambda take: take.psnr_db - ours.psnr_db, rising=False),
        [*older, ours],
    )


def closest(
    take: Callable[[int], Take], bounds: tuple[int, int], excess: Callable[[Take], float], *, rising: bool
) -> Take:
    """Return the take whose excess over a goal is nearest to 0, by bisection of an integer parameter.

    Parameters
    ----------
    take
        Codes with a parameter.
    bounds
        Lowest and highest parameter.
    rising
        Whether the excess rises with the parameter.
    """
    low, high = bounds
    tried: list[Take] = []
    while low <= high:
        middle = (low + high) // 2
        tried.append(take(middle))
        if (excess(tried[-1]) > 0) == rising:
            high = middle - 1
        else:
            low = middle + 1
    return min(tried, key=lambda each: abs(excess(each)))


class _Takes:
    """Codes one window, each way once."""

    def __init__(
        self, frames: np.ndarray, fps: float, policy: Policy, supervisor: Supervisor, progress: Progress
    ) -> None:
        self.frames, self.middle = frames, len(frames) // 2
        self._fps, self._policy, self._supervisor, self._progress = fps, policy, supervisor, progress
        self._meter = CpuMeter(TOTAL_CPU_S)
        self._x265: dict[int, Take] = {}

    def of_codec(self, codec: ChosenCodec, quality: int) -> Take:
        """Code with a codec, in the sandbox."""
        runner = Runner(self._supervisor, codec.source, self._policy, Limits())
        try:
            coded = runner.code(self.frames, self._fps, quality, self._meter)
        except RunFailed as failure:
            raise CodecFailed(f"{codec.name}, quality {quality}: {failure}") from failure
        return self._take(f"{codec.name}, quality {quality}", coded.frames, coded.size_bytes)

    def of_x265(self, tenths: int) -> Take:
        """Code with x265 medium, zero latency, at a CRF in tenths."""
        if tenths not in self._x265:
            point, decoded = code_point(ANCHOR_ENCODER, tenths / 10, self.frames, self._fps)
            self._x265[tenths] = self._take(f"x265, CRF {tenths / 10:g}", decoded, point["bytes"])
        return self._x265[tenths]

    def _take(self, name: str, decoded: list[np.ndarray], size_bytes: int) -> Take:
        psnr = [psnr_yuv(a, b) for a, b in zip(self.frames, decoded, strict=True)]
        take = Take(name, decoded[self.middle], size_bytes, float(np.mean(psnr)))
        self._progress(f"{name}: {size_bytes} bytes, {take.psnr_db:.2f} dB")
        return take
