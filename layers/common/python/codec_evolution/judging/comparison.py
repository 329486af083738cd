"""Two codecs side by side: their curves from reports, and for each clip how many of the other's bits one needs.

Pure functions. `codec_evolution.judging.adoption` says what is enough to be adopted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from codec_evolution.contracts import QualityRange, RatePoint, Report
from codec_evolution.judging.rate_distortion import (
    DEFAULT_RANGE,
    MAXIMUM_DIP,
    MAXIMUM_GAP_DB,
    MINIMUM_COVERAGE,
    MINIMUM_POINTS,
    Metric,
    Point,
    bd_rate,
    bd_rate_in_window,
    coverage,
    geometric_mean,
    interpolation_dip,
    is_measurable,
    mean_bd_rate,
    pareto,
    rate_at,
    ratio_at_reference,
    ratio_in_window,
    shared_window,
    widest_gap,
)

HEVC_ANCHOR = "x265_zerolatency"
"""The reference codec that every clip's stored curve comes from."""

WindowKey: TypeAlias = tuple[str, int]
"""A clip's name and the index of one of its windows."""
Curve: TypeAlias = Sequence[Point]


@dataclass(frozen=True)
class CurveMetric:
    """A way to compare two curves, the incumbent's and the candidate's.

    Attributes
    ----------
    reason_prefix
        What a reason begins with that rests on this metric.
    bd_rate
        BD-rate in percent, by PSNR or MS-SSIM; None where the curves do not allow it.
    ratio
        How many times the candidate's rate the incumbent needs at the reference quality.
    """

    reason_prefix: str
    bd_rate: Callable[[Curve, Curve, Metric, QualityRange], float | None]
    ratio: Callable[[Curve, Curve, QualityRange], float | None]


PRINTED = CurveMetric("", bd_rate, ratio_at_reference)
"""The BD-rate that is printed and recorded: Akima's interpolation over all that both curves reach."""
STRICT = CurveMetric(
    "at the measured points within the range of quality: ", bd_rate_in_window, ratio_in_window
)
"""The differences at the candidate's own points alone."""


@dataclass(frozen=True)
class ClipRow:
    """One clip's figures; None where a curve does not allow them.

    Those against the incumbent are means over `windows`; the rate (Mbps at 1080p30, at the reference quality) and the
    BD-rate against HEVC are those of record.
    """

    clip: str
    windows: tuple[int, ...]
    bd_rate_vs_incumbent: float | None = None
    ms_ssim_bd_rate_vs_incumbent: float | None = None
    ratio_vs_incumbent: float | None = None
    bd_rate_vs_hevc: float | None = None
    bitrate_mbps: float | None = None


@dataclass(frozen=True)
class Means:
    """Means over the clips: BD-rates in percent over PSNR and MS-SSIM; ratio of the rates at the reference quality."""

    bd_rate: float
    ms_ssim_bd_rate: float
    ratio: float | None


@dataclass(frozen=True)
class Span:
    """Shares of a window's range of quality (0 to 1): what both curves span, and what the incumbent's spans."""

    clip: str
    within: QualityRange
    shared: float
    incumbent: float


@dataclass(frozen=True)
class Comparison:
    """Two codecs on the windows that both have measured.

    Attributes
    ----------
    means
        None where the curves cannot be compared.
    obstacle
        Why there are no means; empty when there are.
    reason_prefix
        That of the metric.
    """

    rows: tuple[ClipRow, ...]
    means: Means | None
    spans: tuple[Span, ...]
    obstacle: str = ""
    reason_prefix: str = ""


class Incomparable(ValueError):
    """Two reports cannot be compared, through no fault of the candidate."""


def curves(report: Report, role: str) -> dict[WindowKey, list[Point]]:
    """Return the report's curves by window, of the clips with this role (``train`` or ``held_out``)."""
    found: dict[WindowKey, list[Point]] = {}
    for row in report.points:
        if row.role == role:
            found.setdefault((row.clip, row.window), []).append(_point(row))
    return found


def anchor_curves(report: Report) -> dict[WindowKey, list[Point]]:
    """Return the curves of the anchor that came with the report, by window."""
    return {
        (row.clip, row.window): [_point(point) for point in row.points]
        for row in report.anchors
        if row.codec == HEVC_ANCHOR
    }


def range_on(report: Report, key: WindowKey) -> QualityRange:
    """Return the range of quality of a window, the default one where the report has none."""
    return report.quality_ranges.get(f"{key[0]}/{key[1]}", DEFAULT_RANGE)


def _point(row: RatePoint) -> Point:
    return Point(row.bitrate_mbps, row.psnr_db, row.ms_ssim)


def compare(candidate: Report, incumbent: Report, role: str, metric: CurveMetric = PRINTED) -> Comparison:
    """Compare the candidate with the incumbent over the windows of a role that both have measured.

    Raises
    ------
    Incomparable
        The clip sets differ, or no window is common to both where the incumbent has a usable curve.
    """
    if candidate.clip_set != incumbent.clip_set:
        raise Incomparable("the reports are of different clip sets")
    ranges = {key: range_on(candidate, key) for key in curves(candidate, role)}
    theirs = {
        key: curve
        for key, curve in curves(incumbent, role).items()
        if key in ranges and is_measurable(curve, ranges[key])
    }
    ours = {key: curve for key, curve in curves(candidate, role).items() if key in theirs}
    if not ours:
        raise Incomparable(f"candidate and incumbent have no {role.replace('_', '-')} window in common")
    clips = sorted({clip for clip, _ in ours})
    rows = tuple(_compared_row(clip, ours, theirs, metric, ranges) for clip in clips)
    means = _means(rows)
    obstacle = ""
    if means is None:
        flaws = (flaw(key, curve, ranges[key]) for key, curve in sorted(ours.items()))
        unlike = "the curves of candidate and incumbent share too little quality to be compared"
        obstacle = next(filter(None, flaws), unlike)
    spans = tuple(_span(key, ours[key], theirs[key], ranges[key]) for key in sorted(ours))
    return Comparison(rows, means, spans, obstacle, metric.reason_prefix)


def span_text(within: QualityRange) -> str:
    """Return a range of quality as messages show it."""
    return f"{within.low_db:.1f} to {within.high_db:.1f} dB"


def pooled(one: Comparison, other: Comparison) -> Comparison:
    """Return two comparisons by the same metric, over different clips, as one over all clips."""
    rows = (*one.rows, *other.rows)
    means = _means(rows) if one.means and other.means else None
    spans = (*one.spans, *other.spans)
    return Comparison(rows, means, spans, one.obstacle or other.obstacle, one.reason_prefix)


def _span(key: WindowKey, ours: Curve, theirs: Curve, within: QualityRange) -> Span:
    return Span(key[0], within, shared_window(ours, theirs, within), coverage(theirs, within))


def _means(rows: Sequence[ClipRow]) -> Means | None:
    bd_rates = mean_or_none([row.bd_rate_vs_incumbent for row in rows], mean_bd_rate)
    similarity = mean_or_none([row.ms_ssim_bd_rate_vs_incumbent for row in rows], mean_bd_rate)
    if bd_rates is None or similarity is None:
        return None
    return Means(bd_rates, similarity, mean_or_none([row.ratio_vs_incumbent for row in rows], geometric_mean))


def flaw(key: WindowKey, curve: Curve, within: QualityRange = DEFAULT_RANGE) -> str:
    """Return why a curve cannot be compared with any other; empty when it can."""
    if not is_measurable(curve, within):
        return (
            f"clip {key[0]}: no BD-rate, the curve has {len(pareto(curve))} useful points and covers "
            f"{coverage(curve, within):.0%} of {span_text(within)}; {MINIMUM_POINTS} points and "
            f"{MINIMUM_COVERAGE:.0%} are needed, so `quality` must matter"
        )
    uneven = unevenness(curve, within)
    return f"clip {key[0]}: no BD-rate, {uneven}" if uneven else ""


def unevenness(curve: Curve, within: QualityRange = DEFAULT_RANGE) -> str:
    """Return how the points make interpolation flatter the codec; empty when they do not.

    No figure is taken from such a curve.
    """
    if (dip := interpolation_dip(curve)) > MAXIMUM_DIP:
        return (
            f"between its points the curve would run {1 - 10**-dip:.0%} below straight lines; rate and PSNR must "
            "rise evenly with `quality`"
        )
    if (gap := widest_gap(curve, within)) > MAXIMUM_GAP_DB:
        allowed = f"{MAXIMUM_GAP_DB:g} dB are allowed within {span_text(within)}"
        return f"neighbouring points are {gap:.1f} dB apart; {allowed}"
    return ""


def mean_or_none(values: Sequence[float | None], mean: Callable[[list[float]], float]) -> float | None:
    """Return the mean, or None where there is nothing or a value is missing."""
    present = [value for value in values if value is not None]
    return mean(present) if present and len(present) == len(values) else None


def _compared_row(
    clip: str,
    ours: Mapping[WindowKey, Curve],
    theirs: Mapping[WindowKey, Curve],
    metric: CurveMetric,
    ranges: Mapping[WindowKey, QualityRange],
) -> ClipRow:
    keys = sorted(key for key in ours if key[0] == clip)
    if any(flaw(key, ours[key], ranges[key]) for key in keys):
        return ClipRow(clip, tuple(window for _, window in keys))
    rates = [metric.bd_rate(theirs[key], ours[key], "psnr_db", ranges[key]) for key in keys]
    similarity = [metric.bd_rate(theirs[key], ours[key], "ms_ssim_db", ranges[key]) for key in keys]
    ratios = [metric.ratio(theirs[key], ours[key], ranges[key]) for key in keys]
    return ClipRow(
        clip=clip,
        windows=tuple(window for _, window in keys),
        bd_rate_vs_incumbent=mean_or_none(rates, mean_bd_rate),
        ms_ssim_bd_rate_vs_incumbent=mean_or_none(similarity, mean_bd_rate),
        ratio_vs_incumbent=mean_or_none(ratios, geometric_mean),
    )


def figures_of(
    curve: Curve, anchor: Curve | None, within: QualityRange = DEFAULT_RANGE
) -> tuple[float | None, float | None]:
    """Return BD-rate against the anchor in percent, and Mbps at the reference quality; None where there is none."""
    if unevenness(curve, within):
        return None, None
    versus = bd_rate(anchor, curve, "psnr_db", within) if anchor else None
    return versus, rate_at(curve, within.reference_db)
