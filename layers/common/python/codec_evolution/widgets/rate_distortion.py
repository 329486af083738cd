"""Rate-distortion curves of the incumbent, its predecessors and x265, one chart a training clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codec_evolution import artifacts, comparison
from codec_evolution.rate_distortion import Point
from codec_evolution.widgets.chart import REFERENCE, Axis, Drawing, Series, around, around_log, draw
from codec_evolution.widgets.html import render
from codec_evolution.widgets.request import Room, WidgetRequest

MOST_CLIPS = 4
PREDECESSORS = 2
HEIGHT = 300
GAP = 20

Curve = list[tuple[float, float]]


def rate_distortion(room: Room, request: WidgetRequest) -> str:
    """Return one chart for each training clip, of its window 0."""
    state = room.control.state(request.lineage)
    reports = {version: _report(room, request.lineage, version) for version in shown(state.version)}
    reports = {version: report for version, report in reports.items() if report is not None}
    newest = max(reports, default=None)
    charts = []
    if newest is not None:
        clips = sorted(clip for clip, window in comparison.curves(reports[newest], "train") if window == 0)
        columns = 1 if request.narrow else 2
        width = (request.width - GAP * (columns - 1)) // columns
        charts = [_chart(clip, reports, newest, width) for clip in clips[:MOST_CLIPS]]
    return render("charts.html.j2", room, request, charts=charts, nothing="No version was measured yet.")


def shown(version: int) -> list[int]:
    """Return the versions that are drawn: the incumbent, two before it, and version 0."""
    newest = range(version, max(-1, version - PREDECESSORS - 1), -1)
    return sorted({*newest, 0}) if version >= 0 else []


def _report(room: Room, lineage: str, version: int) -> dict[str, Any] | None:
    record = room.record.of_version(lineage, version)
    if record is None:
        return None
    return room.objects.get_json(artifacts.report(lineage, record["attempt_id"]))


def _chart(clip: str, reports: Mapping[int, Mapping[str, Any]], newest: int, width: int) -> Drawing:
    series = []
    anchor = comparison.anchor_curves(dict(reports[newest])).get((clip, 0))
    if anchor:
        series.append(Series(_curve(anchor), "x265", REFERENCE, dots=False))
    for version, report in reports.items():
        curve = comparison.curves(dict(report), "train").get((clip, 0))
        if curve:
            series.append(Series(_curve(curve), f"v{version}", "accent" if version == newest else "old"))
    rates = [rate for each in series for rate, _ in each.points]
    quality = [psnr for each in series for _, psnr in each.points]
    return draw(
        clip,
        Axis(*around_log(rates), "Mbps (1080p30 equivalent), logarithmic", log=True),
        Axis(*around(quality, least=4), "PSNR-YUV in dB"),
        series,
        width=width,
        height=HEIGHT,
    )


def _curve(points: list[Point]) -> Curve:
    return sorted((point.rate, point.psnr_db) for point in points)
