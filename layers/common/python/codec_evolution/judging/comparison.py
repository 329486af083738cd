"""Two codecs side by side: their curves from reports, and for each clip how many of the other's bits one needs.

Pure functions. `codec_evolution.judging.adoption` says what is enough to be adopted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from codec_evolution.contracts import RatePoint, Report
from codec_evolution.judging.rate_distortion import (
    MAXIMUM_DIP,
    MAXIMUM_GAP_DB,
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
    ratio_at_floor,
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
        How many times the candidate's rate the incumbent needs at 36 dB.
    """

    reason_prefix: str
    bd_rate: Callable[[Curve, Curve, Metric], float | None]
    ratio: Callable[[Curve, Curve], float | None]


PRINTED = CurveMetric("", bd_rate, ratio_at_floor)
"""The BD-rate that is printed and recorded: Akima's interpolation over all that both curves reach."""
STRICT = CurveMetric("at the measured points within 32 to 41 dB: ", bd_rate_in_window, ratio_in_window)
"""The differences at the candidate's own points alone."""


@dataclass(frozen=True)
class ClipRow:
    """One clip's figures; None where a curve does not allow them.

    Those against the incumbent are means over `windows`; the rate (Mbps at 1080p30, at 36 dB) and the BD-rate
    against HEVC are of window 0 alone.
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
    """Means over the clips: BD-rates in percent over PSNR and MS-SSIM, and the ratio of the rates at 36 dB."""

    bd_rate: float
    ms_ssim_bd_rate: float
    ratio: float | None


@dataclass(frozen=True)
class Span:
    """Shares of 32 to 41 dB (0 to 1) on one window: what both curves span, and what the incumbent's spans."""

    clip: str
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


def anchor_curves(report: Report, codec: str = HEVC_ANCHOR) -> dict[WindowKey, list[Point]]:
    """Return the curves of a reference codec that came with the report, by window."""
    return {
        (row.clip, row.window): [_point(point) for point in row.points]
        for row in report.anchors
        if row.codec == codec
    }


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
    theirs = {key: curve for key, curve in curves(incumbent, role).items() if is_measurable(curve)}
    ours = {key: curve for key, curve in curves(candidate, role).items() if key in theirs}
    if not ours:
        raise Incomparable(f"candidate and incumbent have no {role.replace('_', '-')} window in common")
    clips = sorted({clip for clip, _ in ours})
    rows = tuple(_compared_row(clip, ours, theirs, metric) for clip in clips)
    means = _means(rows)
    obstacle = ""
    if means is None:
        flaws = (flaw(key, curve) for key, curve in sorted(ours.items()))
        unlike = "the curves of candidate and incumbent share too little quality to be compared"
        obstacle = next(filter(None, flaws), unlike)
    spans = tuple(
        Span(key[0], shared_window(ours[key], theirs[key]), coverage(theirs[key])) for key in sorted(ours)
    )
    return Comparison(rows, means, spans, obstacle, metric.reason_prefix)


def _means(rows: Sequence[ClipRow]) -> Means | None:
    bd_rates = mean_or_none([row.bd_rate_vs_incumbent for row in rows], mean_bd_rate)
    similarity = mean_or_none([row.ms_ssim_bd_rate_vs_incumbent for row in rows], mean_bd_rate)
    if bd_rates is None or similarity is None:
        return None
    return Means(bd_rates, similarity, mean_or_none([row.ratio_vs_incumbent for row in rows], geometric_mean))


def flaw(key: WindowKey, curve: Curve) -> str:
    """Return why a curve cannot be compared with any other; empty when it can."""
    if not is_measurable(curve):
        return (
            f"clip {key[0]}: no BD-rate, the curve has {len(pareto(curve))} useful points and covers "
            f"{coverage(curve):.0%} of 32 to 41 dB; 4 points and 50% are needed, so `quality` must matter"
        )
    uneven = unevenness(curve)
    return f"clip {key[0]}: no BD-rate, {uneven}" if uneven else ""


def unevenness(curve: Curve) -> str:
    """Return how the points make interpolation flatter the codec; empty when they do not.

    No figure is taken from such a curve.
    """
    if (dip := interpolation_dip(curve)) > MAXIMUM_DIP:
        return (
            f"between its points the curve would run {1 - 10**-dip:.0%} below straight lines; rate and PSNR must "
            "rise evenly with `quality`"
        )
    if (gap := widest_gap(curve)) > MAXIMUM_GAP_DB:
        return f"neighbouring points are {gap:.1f} dB apart; {MAXIMUM_GAP_DB:g} dB are allowed within 32 to 41 dB"
    return ""


def mean_or_none(values: Sequence[float | None], mean: Callable[[list[float]], float]) -> float | None:
    """Return the mean, or None where there is nothing or a value is missing."""
    present = [value for value in values if value is not None]
    return mean(present) if present and len(present) == len(values) else None


def _compared_row(
    clip: str, ours: Mapping[WindowKey, Curve], theirs: Mapping[WindowKey, Curve], metric: CurveMetric
) -> ClipRow:
    keys = sorted(key for key in ours if key[0] == clip)
    if any(flaw(key, ours[key]) for key in keys):
        return ClipRow(clip, tuple(window for _, window in keys))
    rates = [metric.bd_rate(theirs[key], ours[key], "psnr_db") for key in keys]
    similarity = [metric.bd_rate(theirs[key], ours[key], "ms_ssim_db") for key in keys]
    ratios = [metric.ratio(theirs[key], ours[key]) for key in keys]
    return ClipRow(
        clip=clip,
        windows=tuple(window for _, window in keys),
        bd_rate_vs_incumbent=mean_or_none(rates, mean_bd_rate),
        ms_ssim_bd_rate_vs_incumbent=mean_or_none(similarity, mean_bd_rate),
        ratio_vs_incumbent=mean_or_none(ratios, geometric_mean),
    )


def figures_of(curve: Curve, anchor: Curve | None) -> tuple[float | None, float | None]:
    """Return BD-rate against the anchor in percent and Mbps at 36 dB; None where the curve does not allow one."""
    if unevenness(curve):
        return None, None
    return bd_rate(anchor, curve) if anchor else None, rate_at(curve)
