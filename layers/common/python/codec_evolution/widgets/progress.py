"""Rate and BD-rate of each version."""

from __future__ import annotations

from collections.abc import Iterable

from codec_evolution.judging.figures import ACHIEVEMENT_PERCENT
from codec_evolution.judging.rate_distortion import HEVC_ANCHOR_MBPS
from codec_evolution.record import Attempt
from codec_evolution.widgets.chart import Axis, Drawing, Mark, Series, around, around_log, draw
from codec_evolution.widgets.figures import mbps, percent
from codec_evolution.widgets.html import render
from codec_evolution.widgets.request import WidgetContext, WidgetRequest

MOST_VERSIONS = 100
HEIGHT = 250
GAP = 20


def progress(context: WidgetContext, request: WidgetRequest) -> str:
    """Return two charts over the adopted versions: the rate at the reference quality and the BD-rate against x265."""
    versions = context.record.versions(request.lineage, MOST_VERSIONS)[::-1]
    width = request.width if request.narrow else (request.width - GAP) // 2
    charts = [chart for chart in (_rate(versions, width), _bd_rate(versions, width)) if chart is not None]
    return render("charts.html.j2", context, request, charts=charts, nothing="No versions adopted yet.")


def _rate(versions: list[Attempt], width: int) -> Drawing | None:
    points = _points((each.adopted_version, each.bitrate_mbps) for each in versions)
    if not points:
        return None
    marks = [Mark(HEVC_ANCHOR_MBPS, "10 Mbps")]
    marks += [
        Mark(HEVC_ANCHOR_MBPS * (100 - each) / 100, f"{each}\u202f% below") for each in ACHIEVEMENT_PERCENT
    ]
    low, high = around_log([y for _, y in points] + [HEVC_ANCHOR_MBPS, 1.0])
    return draw(
        "Rate of each version",
        _versions_axis(points),
        Axis(low, high, "Mbps (1080p30 equivalent), logarithmic", log=True),
        [Series(points, mbps(points[-1][1]), "accent", aside=True)],
        width=width,
        height=HEIGHT,
        marks=marks,
    )


def _bd_rate(versions: list[Attempt], width: int) -> Drawing | None:
    points = _points((each.adopted_version, each.bd_rate_vs_hevc) for each in versions)
    if not points:
        return None
    low, high = around([y for _, y in points] + [0.0], least=20)
    return draw(
        "BD-rate against x265",
        _versions_axis(points),
        Axis(low, high, "percent; below 0 needs fewer bits than x265 zerolatency"),
        [Series(points, percent(points[-1][1], 0), "accent", aside=True)],
        width=width,
        height=HEIGHT,
        marks=[Mark(0.0, "x265")],
    )


def _points(pairs: Iterable[tuple[int | None, float | None]]) -> list[tuple[float, float]]:
    return [(version, figure) for version, figure in pairs if version is not None and figure is not None]


def _versions_axis(points: list[tuple[float, float]]) -> Axis:
    first, last = points[0][0], points[-1][0]
    return Axis(first, max(last, first + 1), "version", whole=True)
