"""What holds for every report on an honest codec, whatever the clips."""

import json
from typing import Any

import numpy as np
import pytest
from codec_evolution.contracts import Report
from codec_sandbox.clips import ClipSet
from codec_sandbox.report import MAX_REPORT_BYTES

from infra.workbench.benchmark import summary


def assert_bd_rates_are_those_of_an_independent_computation(real: dict[str, Any], clips: ClipSet) -> None:
    """Compute the printed BD-rates again, from the raw points and by another package."""
    import bjontegaard  # late, as it loads scipy and matplotlib: every process collects this file

    assert real["outcome"] == "passed", real["failure"]
    printed = summary(Report.model_validate(real), {})
    ratios = []
    for row in printed["clips"]:
        anchor = next(
            a["points"]
            for a in real["anchors"]
            if (a["clip"], a["window"], a["codec"]) == (row["name"], row["window"], "x265_zerolatency")
        )
        expected = bjontegaard.bd_rate(
            *_curve(anchor),
            *_curve(row["points"]),
            method="akima",
            require_matching_points=False,
            min_overlap=0,
        )
        assert row["bd_rate_vs_hevc"] == pytest.approx(expected, rel=1e-3)
        if row["role"] == "sealed":
            ratios.append(1 + expected / 100)
    mean = (np.exp(np.mean(np.log(ratios))) - 1) * 100
    assert printed["figures_windows"] == "sealed" and len(ratios) == len(clips.clips)
    assert printed["bd_rate_vs_hevc"] == pytest.approx(mean, abs=0.051), "told to a tenth of a percent"


def assert_small_and_complete(real: dict[str, Any], clips: ClipSet) -> None:
    """Compare a report with its limit, its clip set and itself."""
    assert len(json.dumps(real)) < MAX_REPORT_BYTES
    assert real["clip_set"] == clips.digest
    assert set(real["packets_sha256"]) == {f"{p['clip']}/{p['window']}" for p in real["points"]}
    for row in real["points"]:
        pixels = row["frames"] * row["width"] * row["height"]
        assert row["bitrate_mbps"] == pytest.approx(row["bytes"] * 8 / pixels * 62.208, rel=1e-5)
        assert row["encode_cpu_s"] > 0
        assert row["psnr_min_db"] <= row["psnr_db"]


def _curve(points: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    ordered = sorted(points, key=lambda point: point["bitrate_mbps"])
    return [point["bitrate_mbps"] for point in ordered], [point["psnr_db"] for point in ordered]
