"""A full-size audit: one codec on segments of a person's own video at its native size, beside x265. It decides nothing.

The loop measures windows of 320x192 and states rates as 1080p30 equivalents; this measures the real thing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from codec_evolution.contracts import QualityRange
from codec_evolution.judging.audit import Audit, Segment, beside, real, to_real, with_figures
from codec_sandbox.clips import ClipError, Window
from codec_sandbox.curve import QUALITIES
from codec_sandbox.limits import Limits
from codec_sandbox.policy import Policy
from codec_sandbox.quality import sequence_quality
from codec_sandbox.report import equivalent_mbps
from codec_sandbox.runs import CpuMeter, RunFailed, Runner
from codec_sandbox.supervisor import Supervisor

from infra.errors import UserError
from infra.progress import Progress
from infra.workbench.chosen_codec import ChosenCodec
from infra.workbench.coding import CALL_S, MAX_MEMORY_MB, CodecFailed
from infra.workbench.container import sha256
from infra.workbench.film import Film
from infra.workbench.references import ANCHOR, RANGE_ANCHOR, RANGE_ENCODERS, measure_point, quality_range

HEVC_FILE = "HEVC_HD_10Mbps.mp4"
"""An encoding of the same video; where it lies beside the audited file, it is measured on the same segments."""
TOTAL_CPU_S = 24 * 3600.0
"""CPU seconds that all codings of a segment may use together."""
MOST_FRAMES = 120
"""Most frames of a segment: 1080p frames take 6 MB each, and all of a segment's are held at once."""


class Auditor:
    """Measures a codec on segments of a film.

    Parameters
    ----------
    codec
    policy
        The language policy that it must satisfy.
    supervisor
        The sandbox.
    progress
        Receives a line for each measured point.
    qualities
        Values of the codec's ``quality``.
    """

    def __init__(
        self,
        codec: ChosenCodec,
        policy: Policy,
        supervisor: Supervisor,
        progress: Progress,
        qualities: Sequence[int] = QUALITIES,
    ) -> None:
        self._codec, self._progress, self._qualities = codec, progress, qualities
        limits = Limits(call_s=CALL_S, cpu_s=TOTAL_CPU_S, memory_mb=MAX_MEMORY_MB)
        self._runner = Runner(supervisor, codec.source, policy, limits)

    def audit(self, film: Film, hevc: Film | None, segments: int, frames: int) -> Audit:
        """Measure segments that are spread evenly over the film.

        Parameters
        ----------
        film
            At its native size.
        hevc
            The same video as `HEVC_FILE`, or None.
        segments, frames
            Number of segments, and frames in each.

        Raises
        ------
        UserError
            The film is too short.
        CodecFailed
            The codec fails.
        VideoError
            The film cannot be read, or x265 fails.
        """
        check_length(film, segments, frames)
        check_beside(film, hevc)
        measured = [
            self._segment(film, hevc, start_s, frames, f"segment {number} of {segments}")
            for number, start_s in enumerate(starts_of(film, segments, frames), start=1)
        ]
        return Audit(
            codec=self._codec.name,
            source_sha256=sha256(self._codec.source),
            video=film.path.name,
            video_sha256=file_sha256(film.path),
            width=film.width,
            height=film.height,
            fps=round(float(film.fps), 3),
            frames_a_segment=frames,
            segments=measured,
        )

    def _segment(self, film: Film, hevc: Film | None, start_s: float, count: int, name: str) -> Segment:
        frames, fps = read(film, start_s, count), float(film.fps)
        jobs = [(encoder, parameter) for encoder in RANGE_ENCODERS for parameter in encoder.parameters]
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            references = list(pool.map(lambda job: measure_point(job[0], job[1], frames, fps), jobs))
            self._progress(f"{name}: x265 measured at {len(jobs)} points")
            meter = CpuMeter(TOTAL_CPU_S)
            points = list(
                pool.map(lambda quality: self._point(frames, fps, quality, meter, name), self._qualities)
            )
        own = {encoder.name: [] for encoder in RANGE_ENCODERS}
        for (encoder, _), point in zip(jobs, references, strict=True):
            own[encoder.name].append(point)
        factor = to_real(film.width, film.height, fps)
        times = [sum(point.pop(side) for point in points) / len(points) for side in ("encode_s", "decode_s")]
        segment = Segment(
            round(start_s, 3),
            real(points, factor),
            real(own[ANCHOR], factor),
            round(times[0], 3),
            round(times[1], 3),
        )
        window = Window(film.path.name, "train", 0, count, film.width, film.height, fps, "")
        facts = None if hevc is None else hevc_facts(hevc, frames, start_s)
        return judged(segment, window, own, points, factor, beside(facts, points, factor))

    def _point(
        self, frames: np.ndarray, fps: float, quality: int, meter: CpuMeter, name: str
    ) -> dict[str, float]:
        try:
            coded = self._runner.code(frames, fps, quality, meter)
        except RunFailed as failure:
            meter.stopped = True
            raise CodecFailed(f"{self._codec.name}, quality {quality}: {failure}") from failure
        result = sequence_quality(frames, coded.frames)
        mbps = equivalent_mbps(coded.size_bytes, frames.shape[0] * frames.shape[1] * frames.shape[2])
        seconds = (coded.encode_cpu_s / len(frames), coded.decode_cpu_s / len(frames))
        self._progress(
            f"{name}: quality {quality}, {result.psnr_db:.2f} dB, {seconds[0]:.1f} s to encode a frame, "
            f"{seconds[1]:.1f} s to decode it"
        )
        return {
            "quality": quality,
            "bitrate_mbps": mbps,
            "psnr_db": round(result.psnr_db, 5),
            "ms_ssim": round(result.ms_ssim, 7),
            "encode_s": seconds[0],
            "decode_s": seconds[1],
        }


def check_length(film: Film, segments: int, frames: int) -> None:
    """Raise `UserError` if a film cannot give so many segments that do not overlap."""
    if frames > MOST_FRAMES:
        raise UserError(f"--frames is at most {MOST_FRAMES}: all frames of a segment are held in memory")
    if film.frames < segments * frames:
        raise UserError(
            f"{film.path.name} has {film.frames} frames, {segments} segments of {frames} need {segments * frames}: "
            "ask for fewer --segments or --frames"
        )
    if film.width % 2 or film.height % 2:
        raise UserError(
            f"{film.path.name} is {film.width}x{film.height}: an audit needs even sides, as x265 does"
        )


def read(film: Film, start_s: float, count: int) -> np.ndarray:
    """Return frames of a film, (count, height, width, 3) uint8 RGB."""
    return np.stack(list(film.read(start_s, count)))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def judged(
    segment: Segment,
    window: Window,
    own: Mapping[str, Sequence[Mapping[str, float]]],
    points: Sequence[Mapping[str, float]],
    factor: float,
    hevc_file: dict[str, float | None] | None,
) -> Segment:
    """Return a segment with its figures against x265, or with the reason why it has none."""
    segment = replace(segment, hevc_file=hevc_file)
    try:
        within = quality_range(window, own[ANCHOR], own[RANGE_ANCHOR])
    except ClipError as flat:
        return replace(segment, note=str(flat))
    return with_figures(segment, QualityRange(**within), points, own[ANCHOR], factor)


def hevc_facts(hevc: Film, frames: np.ndarray, start_s: float) -> dict[str, float]:
    """Return the rate in Mbit/s of an encoding of the same video, and its PSNR-YUV in dB on a segment's frames."""
    decoded = list(read(hevc, start_s, len(frames)))
    return {
        "bitrate_mbps": round(hevc.path.stat().st_size * 8 / hevc.seconds / 1e6, 3),
        "psnr_db": round(sequence_quality(frames, decoded).psnr_db, 3),
    }


def check_beside(film: Film, hevc: Film | None) -> None:
    """Raise `UserError` if `HEVC_FILE` is not an encoding of the film beside it."""
    if hevc is not None and (hevc.width, hevc.height, hevc.fps) != (film.width, film.height, film.fps):
        raise UserError(
            f"{HEVC_FILE} is not an encoding of {film.path.name}: {hevc.width}x{hevc.height} at "
            f"{float(hevc.fps):g} fps, not {film.width}x{film.height} at {float(film.fps):g}"
        )


def starts_of(film: Film, segments: int, frames: int) -> list[float]:
    """Return where segments begin that are spread evenly over a film, in seconds."""
    spread = max(1, segments - 1)
    return [float((film.frames - frames) * number // spread / film.fps) for number in range(segments)]
