"""The report of one invocation: plain JSON of at most 30 KB."""

import contextlib
import json
import platform
from pathlib import Path
from typing import Any

from codec_sandbox.clips import SEALED, SEALED_WINDOW, Window
from codec_sandbox.elements import shares
from codec_sandbox.faults import MAX_MESSAGE, printable
from codec_sandbox.measurement import Measurement, StageFailed, sequence_sha256
from codec_sandbox.picture import crop, jpeg
from codec_sandbox.request import Request
from codec_sandbox.segments import AUDIT
from codec_sandbox.stages import Benchmark, Outcome

MAX_REPORT_BYTES = 30 * 1024
"""Largest report; the state machine carries no more."""

MBPS_1080P30 = 1920 * 1080 * 30 / 1e6
"""Mbps of 1080p30 video at one bit per pixel: 62.208."""


def equivalent_mbps(size_bytes: int, pixels: int) -> float:
    """Rate that the same bits per pixel give at 1080p30.

    Parameters
    ----------
    size_bytes : int
        Of all packets together.
    pixels : int
        Of all frames together.

    Returns
    -------
    float
        bytes x 8 / pixels x 62.208, in Mbps.
    """
    return size_bytes * 8 / pixels * MBPS_1080P30


def point(measurement: Measurement) -> dict[str, Any]:
    """Return one row of ``points``: role ``sealed`` for a sealed window; bytes and CPU seconds of all its frames."""
    window, coded, distortion = measurement.window, measurement.coded, measurement.distortion
    pixels = window.frames * window.width * window.height
    return {
        "clip": window.clip,
        "role": _role(window),
        "window": window.index,
        "quality": measurement.quality,
        "bytes": coded.size_bytes,
        "frames": window.frames,
        "width": window.width,
        "height": window.height,
        "fps": window.fps,
        "bitrate_mbps": round(equivalent_mbps(coded.size_bytes, pixels), 6),
        "psnr_db": round(float(distortion.psnr_db), 5),
        "psnr_min_db": round(float(distortion.psnr_min_db), 3),
        "ms_ssim": round(float(distortion.ms_ssim), 7),
        "encode_cpu_s": round(coded.encode_cpu_s, 5),
        "decode_cpu_s": round(coded.decode_cpu_s, 5),
    }


def _role(window: Window) -> str:
    return SEALED if window.index == SEALED_WINDOW and window.role != AUDIT else window.role


def _listed(benchmark: Benchmark, request: Request) -> list[dict[str, str]]:
    """Return the windows that are still to be measured, each by its own invocation."""
    return [
        {"window": window.key, "role": _role(window)}
        for stage in request.windows_of
        for window in benchmark.windows(request, stage)
    ]


def _bits(outcome: Outcome) -> dict[str, dict[str, int]]:
    """Return the shares of a probe's bits by syntax element, nothing where the candidate does not count them."""
    found = shares([(each.coded.bits, 8 * each.coded.size_bytes) for each in outcome.measurements])
    return {"bits": found} if found else {}


def _picture(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Return how one window looks decoded, nothing where none is shown."""
    taken = outcome.picture
    if taken is None:
        return {}
    row = point(taken)
    figures = {name: row[name] for name in ("clip", "window", "quality", "bitrate_mbps", "psnr_db")}
    return {
        "picture": {**figures, "window_sha256": taken.window.sha256, "jpeg": jpeg(crop(taken.coded.frames))}
    }


def _trained(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Return what was trained, nothing where nothing was."""
    return {} if outcome.trained is None else {"trained": outcome.trained.report()}


def _segments(benchmark: Benchmark, outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Return where the segments of an audit come from, nothing where none was measured."""
    measured = [window for window in outcome.windows if window.role == AUDIT]
    return {"segments": {each.key: benchmark.segments.facts(each) for each in measured}} if measured else {}


def processor() -> str:
    """Return the model of this machine's processor: where it differs, floats may differ in their last bit."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()[:100]
    return platform.machine()


def build(benchmark: Benchmark, request: Request, outcome: Outcome) -> dict[str, Any]:
    """Build the report of an outcome.

    Raises
    ------
    ValueError
        It would be larger than `MAX_REPORT_BYTES`: the clip set is too large for one invocation.
    """
    order = {window: place for place, window in enumerate(outcome.windows)}
    rows = sorted(outcome.measurements, key=lambda m: (order[m.window], m.quality))
    complete = outcome.windows if outcome.failure is None and not request.configs else []
    report = {
        "outcome": "passed" if outcome.failure is None else "failed",
        "failure": _failure(outcome),
        "source_sha256": request.source_sha256,
        "policy_sha256": request.policy_sha256,
        "clip_set": benchmark.clips.digest,
        "split": request.split,
        "seed": request.seed,
        "points": [point(row) | ({"variant": row.variant} if request.configs else {}) for row in rows],
        "anchors": benchmark.references.anchors(outcome.windows),
        "quality_ranges": {
            window.key: found
            for window in outcome.windows
            if (found := benchmark.references.quality_range(window)) is not None
        },
        "packets_sha256": {w.key: sequence_sha256(rows, w, "packets_sha256") for w in complete},
        "frames_sha256": {w.key: sequence_sha256(rows, w, "frames_sha256") for w in complete},
        "layers": dict(benchmark.sandbox.layers),
        "minimum": list(benchmark.sandbox.minimum),
        "processor": processor(),
        "cpu_s": round(outcome.cpu_s, 3),
        "total_cpu_s": request.total_cpu_s,
        "timings_s": {stage: round(seconds, 3) for stage, seconds in outcome.timings_s.items()},
    }
    report |= _bits(outcome) | _picture(outcome) | _trained(outcome) | _segments(benchmark, outcome)
    if request.windows_of:
        report["windows"] = _listed(benchmark, request) if outcome.failure is None else []
    if request.configs:
        report["variants"] = [
            {"config": dict(config), "failure": _short(outcome.failed_variants.get(variant))}
            for variant, config in enumerate(request.configs)
        ]
    size = len(json.dumps(report, separators=(",", ":")))
    if size > MAX_REPORT_BYTES:
        raise ValueError(f"the report has {size} bytes, {MAX_REPORT_BYTES} are carried; use fewer clips")
    return report


def _short(failure: StageFailed | None) -> str:
    return "" if failure is None else printable(f"{failure.fault.kind}: {failure.fault.message}", 200)


def _failure(outcome: Outcome) -> dict[str, Any] | None:
    if outcome.failure is None:
        return None
    fault = outcome.failure.fault
    return {
        "stage": outcome.failure.stage,
        "kind": fault.kind,
        "message": printable(fault.message, MAX_MESSAGE),
        "clip": outcome.failure.clip,
        "frame": fault.frame,
        "quality": outcome.failure.quality,
        "line": fault.line,
        "traceback": fault.traceback or None,
    }
