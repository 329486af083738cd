"""An earlier attempt, or a failure in full, as text that a model asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codec_evolution.contracts import Report
from codec_evolution.planners.evidence import curve_rows
from codec_evolution.planners.units import shortened
from codec_evolution.record import TEST_FAILED, Attempt


def attempt_report(attempt: Attempt, source: str, report: Report | None) -> str:
    """Return an earlier attempt as text, for `inspect_attempt`: figures, failure, source."""
    names = (
        "attempt_id",
        "status",
        "reason",
        "adopted_version",
        "hypothesis",
        "failure_stage",
        "failure_kind",
        "failure_line",
        "failure_message",
    )
    known = attempt.to_item()
    lines = [f"{name}: {known[name]}" for name in names if name in known]
    for name in ("bitrate_mbps", "bd_rate_vs_incumbent", "bd_rate_vs_hevc"):
        if (figure := attempt.training_figure(name)) is not None:
            lines.append(f"{name} on the training windows: {figure:.3f}")
    failure = report.failure if report else None
    if failure and attempt.status == TEST_FAILED and attempt.failure_stage != "confirm":
        lines += ["failure in full:", failure_text(failure.to_payload())]
    for row in curve_rows(report):
        lines.append(
            f"{row['clip']} quality {row['quality']}: {row['bitrate_mbps']:.3f} Mbps, {row['psnr_db']:.2f} dB, "
            f"encode {row['encode_s']:.2f} s, decode {row['decode_s']:.2f} s per frame"
        )
    return "\n".join([*lines, "", "source:", shortened(source) or "(no source is stored)"])


def failure_text(failure: Mapping[str, Any]) -> str:
    """Return what the sandbox reports of a failure; message and traceback come last, on lines of their own."""
    known = {name: value for name, value in failure.items() if value is not None}
    short = {name: value for name, value in known.items() if name not in ("message", "traceback")}
    lines = [f"{name}: {value}" for name, value in short.items()]
    return "\n".join(
        lines + [f"{name}:\n{known[name]}" for name in ("message", "traceback") if name in known]
    )
