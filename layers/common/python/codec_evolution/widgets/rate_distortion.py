"""Rate-distortion curves of the incumbent, its predecessors and x265: one chart per training clip."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from codec_evolution import artifacts
from codec_evolution.contracts import Report
from codec_evolution.judging import comparison
from codec_evolution.judging.rate_distortion import Point
from codec_evolution.widgets.chart import REFERENCE, Axis, Drawing, Series, around, around_log, draw
from codec_evolution.widgets.html import render
from codec_evolution.widgets.request import WidgetContext, WidgetRequest

MOST_CLIPS = 4
PREDECESSORS = 2
HEIGHT = 300
GAP = 20

Curve = list[tuple[float, float]]


def rate_distortion(context: WidgetContext, request: WidgetRequest) -> str:
    """Return one chart for each training clip, of a window that the newest version was measured on."""
    state = context.control.state(request.lineage)
    reports = _reports(context, request.lineage, shown(state.version))
    newest = max(reports, default=None)
    charts = []
    if newest is not None:
        windows = shown_windows(reports, newest)
        columns = 1 if request.narrow else 2
        width = (request.width - GAP * (columns - 1)) // columns
        charts = [_chart(key, reports, newest, width) for key in windows[:MOST_CLIPS]]
    return render("charts.html.j2", context, request, charts=charts, nothing="No versions measured yet.")


def shown(version: int) -> list[int]:
    """Return the versions to draw: the incumbent, the two before it, and version 0."""
    newest = range(version, max(-1, version - PREDECESSORS - 1), -1)
    return sorted({*newest, 0}) if version >= 0 else []


def shown_windows(reports: Mapping[int, Report], newest: int) -> list[comparison.WindowKey]:
    """Return one window of each training clip: the one that most of the versions were measured on."""
    measured = [comparison.curves(report, "train").keys() for report in reports.values()]
    best: dict[str, comparison.WindowKey] = {}
    for key in sorted(comparison.curves(reports[newest], "train")):
        known = best.setdefault(key[0], key)
        if sum(key in each for each in measured) > sum(known in each for each in measured):
            best[key[0]] = key
    return [best[clip] for clip in sorted(best)]


def _reports(context: WidgetContext, lineage: str, versions: list[int]) -> dict[int, Report]:
    """Return the training reports of these versions, oldest first; a missing one is left out."""
    if not versions:
        return {}
    newest = context.record.versions(lineage, PREDECESSORS + 1)
    found = {each.adopted_version: each for each in newest if each.adopted_version is not None}
    if 0 not in found and (first := context.record.of_version(lineage, 0)) is not None:
        found[0] = first
    keys = {v: artifacts.report(lineage, found[v].attempt_id) for v in versions if v in found}
    # In parallel, because a user is waiting: each report is one request.
    with ThreadPoolExecutor(max_workers=len(versions)) as pool:
        reports = dict(
            zip(keys, pool.map(partial(artifacts.load_report, context.objects), keys.values()), strict=True)
        )
    return {version: report for version, report in reports.items() if report is not None}


def _chart(key: comparison.WindowKey, reports: Mapping[int, Report], newest: int, width: int) -> Drawing:
    series = []
    anchor = comparison.anchor_curves(reports[newest]).get(key)
    if anchor:
        series.append(Series(_curve(anchor), "x265", REFERENCE, dots=False))
    for version, report in reports.items():
        curve = comparison.curves(report, "train").get(key)
        if curve:
            series.append(Series(_curve(curve), f"v{version}", "accent" if version == newest else "old"))
    rates = [rate for each in series for rate, _ in each.points]
    quality = [psnr for each in series for _, psnr in each.points]
    return draw(
        f"{key[0]}, window {key[1]}",
        Axis(*around_log(rates), "Mbps (1080p30 equivalent), logarithmic", log=True),
        Axis(*around(quality, least=4), "PSNR-YUV in dB"),
        series,
        width=width,
        height=HEIGHT,
    )


def _curve(points: list[Point]) -> Curve:
    return sorted((point.rate, point.psnr_db) for point in points)
