"""Measures reference encoders on all windows and stores their curves.

Frames and metrics are those that candidates get: RGB is converted to 4:2:0, encoded, decoded and converted back. The
rate is that of the elementary stream, without a container.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from codec_evolution.contracts import QualityRange
from codec_evolution.judging.rate_distortion import (
    HEVC_ANCHOR_MBPS,
    Point,
    coverage,
    is_measurable,
    psnr_at,
    rate_at,
)
from codec_sandbox.clips import CLIP_DIRECTORY, ClipError, ClipSet, Window, read_manifest, read_window
from codec_sandbox.quality import sequence_quality
from codec_sandbox.report import MBPS_1080P30, equivalent_mbps

from infra.errors import UserError
from infra.progress import Progress, silent
from infra.workbench.video import (
    VideoError,
    decode_planes,
    encode,
    ffmpeg_version,
    planes_to_rgb,
    run_ffmpeg,
)
from infra.workbench.whole_file import write_whole

ANCHOR_MBPS = HEVC_ANCHOR_MBPS
"""The project's HEVC milestone at 1080p30: 0.1608 bits per pixel."""

ANCHOR, RANGE_ANCHOR = "x265_zerolatency", "x265_zerolatency_qp"
"""The anchor of BD-rates, and the same encoder at the fixed QPs that set a window's range of quality."""

REFERENCES_NAME = "added_references.json"
"""Where the curves of an operator's clips are, beside their windows."""

MINIMUM_SPAN_DB = 4.0
"""Least PSNR-YUV, dB, that the anchor must span from QP 37 to 22: below it, no BD-rate says anything."""
MINIMUM_MBPS = 0.1
"""Least rate of the anchor at QP 22, Mbps at 1080p30 equivalent: below it, headers are all that is measured."""

X265_QUIET = "log-level=error:info=0:pools=none:frame-threads=1"
"""One thread and no log, so that a stream depends on nothing but frames and options."""


@dataclass(frozen=True)
class Encoder:
    """A reference encoder.

    Attributes
    ----------
    options
        Options of ffmpeg, with ``{parameter}`` where the quality value goes.
    parameters
        Quality values to measure.
    stream
        ffmpeg's name of the elementary stream's format.
    version
        Pattern that finds the encoder's version in its output.
    """

    name: str
    options: tuple[str, ...]
    parameters: tuple[float, ...]
    stream: str
    version: str

    @property
    def command(self) -> str:
        """The command line that is stored with the curve."""
        return " ".join(["ffmpeg", "-i", "-", *self.options, "-f", self.stream])


def _x265(
    name: str,
    tune: tuple[str, ...],
    extra: str = "",
    *,
    control: str = "-crf",
    parameters: tuple[float, ...] = (16, 20, 24, 28, 32, 36, 40),
) -> Encoder:
    options = ("-c:v", "libx265", "-preset", "medium", *tune, control, "{parameter}")
    return Encoder(
        name,
        (*options, "-x265-params", X265_QUIET + extra),
        parameters,
        "hevc",
        r"HEVC encoder version (\S+)",
    )


_ZEROLATENCY = (("-tune", "zerolatency"), ":psy-rd=0:psy-rdoq=0:aq-mode=0")

ENCODERS = (
    _x265("x265_medium", ("-tune", "psnr")),
    _x265(ANCHOR, *_ZEROLATENCY),
    # The common test conditions' range (JVET-T2010): QP 22, 27, 32, 37.
    _x265(RANGE_ANCHOR, *_ZEROLATENCY, control="-qp", parameters=(22, 27, 32, 37)),
    Encoder(
        "x265_10mbps",
        (
            "-c:v",
            "libx265",
            "-preset",
            "medium",
            "-tune",
            "psnr",
            "-b:v",
            "{parameter}",
            "-x265-params",
            X265_QUIET,
        ),
        (ANCHOR_MBPS,),
        "hevc",
        r"HEVC encoder version (\S+)",
    ),
    Encoder(
        "svt_av1",
        ("-c:v", "libsvtav1", "-preset", "6", "-crf", "{parameter}", "-svtav1-params", "tune=1:lp=1"),
        (20, 30, 40, 50, 60),
        "obu",
        r"SVT-AV1 Encoder Lib (\S+)",
    ),
    Encoder(
        "vvenc",
        ("-c:v", "libvvenc", "-preset", "faster", "-qp", "{parameter}", "-vvenc-params", "threads=1"),
        (20, 26, 32, 38),
        "vvc",
        r"libvvenc version: (\S+)",
    ),
)
"""All reference encoders; `ANCHOR` is the anchor of BD-rates."""

ANCHOR_ENCODER = next(each for each in ENCODERS if each.name == ANCHOR)

RANGE_ENCODERS = tuple(each for each in ENCODERS if each.name in (ANCHOR, RANGE_ANCHOR))
"""The encoders whose curves give the range of quality that codecs are compared in."""


def measure_point(encoder: Encoder, parameter: float, frames: np.ndarray, fps: float) -> dict[str, Any]:
    """Measure one point of an encoder on a window: `code_point` without the decoded frames."""
    return code_point(encoder, parameter, frames, fps)[0]


def code_point(
    encoder: Encoder, parameter: float, frames: np.ndarray, fps: float
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Measure one point of an encoder on a window, and return it with the decoded frames.

    Parameters
    ----------
    parameter
        Quality value; for ``x265_10mbps`` the rate in Mbps at 1080p30 equivalent.
    frames, fps
        (T, H, W, 3) uint8 RGB; frames per second.

    Returns
    -------
    tuple of dict and list of numpy.ndarray
        ``parameter``, ``bytes``, ``bitrate_mbps`` at 1080p30 equivalent, ``psnr_db`` (PSNR-YUV 6:1:1) and ``ms_ssim``;
        (H, W, 3) uint8 RGB each.

    Raises
    ------
    VideoError
        The encoder fails or takes too long.
    """
    count, height, width = frames.shape[:3]
    with tempfile.TemporaryDirectory() as scratch:
        stream = Path(scratch) / f"stream.{encoder.stream}"
        if encoder.name == "x265_10mbps":
            _two_pass(encoder, parameter, frames, fps, stream)
        else:
            options = [option.format(parameter=f"{parameter:g}") for option in encoder.options]
            encode(list(frames), fps, [*options, "-f", encoder.stream], stream)
        size = stream.stat().st_size
        planes = decode_planes(stream, width, height, raw_format=encoder.stream)
        decoded = [planes_to_rgb(each) for each in planes]
    quality = sequence_quality(frames, decoded)
    point = {
        "parameter": parameter,
        "bytes": size,
        "bitrate_mbps": round(equivalent_mbps(size, count * height * width), 6),
        "psnr_db": round(quality.psnr_db, 5),
        "ms_ssim": round(quality.ms_ssim, 7),
    }
    return point, decoded


def _two_pass(encoder: Encoder, mbps: float, frames: np.ndarray, fps: float, stream: Path) -> None:
    """Encode in two passes with as many bits per pixel as `mbps` has at 1080p30."""
    bits = round(mbps / MBPS_1080P30 * frames.shape[1] * frames.shape[2] * fps)
    for number in (1, 2):
        options = [option.format(parameter=bits) for option in encoder.options]
        options[-1] += f":pass={number}:stats={stream.with_suffix('.log')}"
        encode(list(frames), fps, [*options, "-f", encoder.stream], stream)


def encoder_version(encoder: Encoder) -> str:
    """Return the version that the encoder's library prints, and that of ffmpeg."""
    quiet = ("log-level", "-x265-params")  # x265 prints its version unless it is told to be quiet
    options = [each.format(parameter=30) for each in encoder.options if not each.startswith(quiet)]
    source = ("-f", "lavfi", "-i", "color=s=128x128:d=0.1")
    run = run_ffmpeg("-hide_banner", *source, *options, "-f", "null", "-")
    found = re.search(encoder.version, run.stderr.decode(errors="replace"))
    return f"{found[1] if found else 'version not printed'}, {ffmpeg_version()}"


def rebuild_references(
    directory: Path = CLIP_DIRECTORY,
    progress: Progress = silent,
    *,
    force: bool = False,
    encoders: Sequence[Encoder] = ENCODERS,
) -> int:
    """Measure each encoder on each window without a current curve, or on all windows with `force`.

    A curve is current while the window's frames and the encoder's command line are those it was measured with. Curves
    of shipped clips go to ``references.json``, those of an operator's clips to ``windows/added_references.json``; both
    are saved after each window, so that an interrupted run can continue.

    Returns
    -------
    int
        Number of curves measured.

    Raises
    ------
    UserError
        A window is missing, or an encoder fails or takes too long.
    """
    shipped = {entry["name"] for entry in read_manifest(directory / "manifest.json")}
    windows = [window for clip in ClipSet(directory).clips for window in clip.windows]
    versions: dict[str, str] = {}
    measured = 0
    try:
        for done, window in enumerate(windows, start=1):
            name = "references.json" if window.clip in shipped else f"windows/{REFERENCES_NAME}"
            if due := _due(directory / name, window, encoders, force):
                progress(f"references {done}/{len(windows)}: {window.key}, {', '.join(e.name for e in due)}")
                _rebuild_window(directory, directory / name, window, versions, due)
            measured += len(due)
    except (ClipError, VideoError) as error:
        raise UserError(str(error)) from error
    return measured


def _stored(path: Path, window: Window) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the whole file, and the entry of this window; an empty one if its frames have changed."""
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"windows": {}}
    entry = stored["windows"].get(window.key)
    if entry is None or entry["sha256"] != window.sha256:
        entry = {"sha256": window.sha256, "curves": {}}
    return stored, entry


def _due(path: Path, window: Window, encoders: Sequence[Encoder], force: bool) -> list[Encoder]:
    curves = _stored(path, window)[1]["curves"]
    return [e for e in encoders if force or curves.get(e.name, {}).get("command") != e.command]


def _rebuild_window(
    directory: Path, path: Path, window: Window, versions: dict[str, str], due: list[Encoder]
) -> None:
    stored, entry = _stored(path, window)
    entry["curves"] |= measure_curves(read_window(directory, window), window.fps, due, versions)
    if {ANCHOR, RANGE_ANCHOR} <= entry["curves"].keys():
        curves = (entry["curves"][name]["points"] for name in (ANCHOR, RANGE_ANCHOR))
        entry["quality_range"] = quality_range(window, *curves)
    stored["windows"][window.key] = entry
    write_references(path, stored)


def measure_curves(
    frames: np.ndarray, fps: float, encoders: Sequence[Encoder], versions: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Return the curves of encoders on frames by the encoder's name, as they are stored.

    Parameters
    ----------
    frames, fps
        (T, H, W, 3) uint8 RGB; frames per second.
    versions
        The versions of encoders that were asked before; the others are added.

    Raises
    ------
    VideoError
        An encoder fails or takes too long.
    """
    jobs = [(encoder, parameter) for encoder in encoders for parameter in encoder.parameters]
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        points = list(pool.map(lambda job: measure_point(job[0], job[1], frames, fps), jobs))
    curves: dict[str, dict[str, Any]] = {}
    for encoder in encoders:
        if encoder.name not in versions:
            versions[encoder.name] = encoder_version(encoder)
        rows = [point for (e, _), point in zip(jobs, points, strict=True) if e is encoder]
        curves[encoder.name] = {
            "encoder": versions[encoder.name],
            "command": encoder.command,
            "points": sorted(rows, key=lambda row: row["bitrate_mbps"]),
        }
    return curves


def quality_range(
    window: Window, anchor: Sequence[Mapping[str, float]], fixed_qp: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """Return the range of quality in which a window is judged.

    Parameters
    ----------
    window
        For the message.
    anchor, fixed_qp
        The points of `ANCHOR` and of `RANGE_ANCHOR` on it.

    Returns
    -------
    dict
        ``low_db`` and ``high_db``: PSNR-YUV of the anchor at QP 37 and 22; ``reference_db``: its PSNR-YUV at
        `ANCHOR_MBPS`, held between the two; ``reference_mbps``: its rate there, Mbps at 1080p30 equivalent.

    Raises
    ------
    ClipError
        The anchor spans less than `MINIMUM_SPAN_DB` or needs less than `MINIMUM_MBPS`, so nothing can be judged.
    """
    rows = sorted(fixed_qp, key=lambda row: row["bitrate_mbps"])
    low, high, most = rows[0]["psnr_db"], rows[-1]["psnr_db"], rows[-1]["bitrate_mbps"]
    name = f"clip {window.clip}, window {window.index}"
    if high - low < MINIMUM_SPAN_DB:
        raise ClipError(
            f"{name}: x265 at QP 37 to 22 spans {high - low:.1f} dB ({low:.1f} to {high:.1f}), "
            f"{MINIMUM_SPAN_DB:g} dB are needed: there is too little in the picture to compare codecs on"
        )
    if most < MINIMUM_MBPS:
        raise ClipError(
            f"{name}: x265 at QP 22 needs {most:.3f} Mbps (1080p30 equivalent), {MINIMUM_MBPS:g} are needed: "
            "there is too little in the picture to compare codecs on"
        )
    curve = [Point(row["bitrate_mbps"], row["psnr_db"], row["ms_ssim"]) for row in anchor]
    at_milestone = psnr_at(curve, ANCHOR_MBPS)
    if at_milestone is None:  # the whole curve lies on one side of the milestone
        at_milestone = high if max(point.rate for point in curve) < ANCHOR_MBPS else low
    reference = min(max(at_milestone, low), high)
    within = QualityRange(low_db=low, high_db=high, reference_db=reference, reference_mbps=ANCHOR_MBPS)
    rate = rate_at(curve, reference)
    if rate is None or not is_measurable(curve, within):
        raise ClipError(
            f"{name}: the anchor covers {coverage(curve, within):.0%} of {low:.1f} to {high:.1f} dB with "
            f"{len(curve)} points, which is too little to hold a codec against"
        )
    return {
        "low_db": round(low, 3),
        "high_db": round(high, 3),
        "reference_db": round(reference, 3),
        "reference_mbps": round(rate, 4),
    }


def write_references(path: Path, value: dict[str, Any]) -> None:
    """Write a file of reference curves, a line a point."""
    text = json.dumps(value, indent=1)
    text = re.sub(
        r"\{\s+(\"(?:parameter|low_db)\"[^{}]*?)\s+\}", lambda m: "{" + re.sub(r"\s+", " ", m[1]) + "}", text
    )
    write_whole(path, (text + "\n").encode())
