"""Rate-distortion arithmetic: BD-rate, rates at a stated quality, 1080p30 equivalents. Pure Python.

BD-rate is the mean horizontal distance of two curves in log rate over the qualities that both reach
(Bjontegaard, VCEG-M33, 2001), with Akima interpolation through the measured points (Akima, J. ACM 17(4),
1970), as the ``bjontegaard`` package computes it.

A codec chooses where its points lie, and a smooth curve through points that were padded with bits can run far
below every one of them. So `bd_rate_in_window` asks only at the codec's own points, between fixed limits, where
more bits can never help; `interpolation_dip` and `widest_gap` tell whether a curve says anything between its points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from codec_evolution.contracts import QualityRange

MBPS_1080P30 = 1920 * 1080 * 30 / 1e6
"""62.208: megapixels a second of 1080p30, so bits per pixel times this is the equivalent Mbps."""

HEVC_ANCHOR_MBPS = 10.0
TARGET_MBPS = 1.0
MINIMUM_COVERAGE = 0.5
MINIMUM_POINTS = 4
MAXIMUM_DIP = 0.03
"""In log10 of the rate, 7%: real encoders with points 2 to 5 dB apart stay below 0.012."""
MAXIMUM_GAP_DB = 6.5
"""Between neighbouring points: a quantiser step halved with every 20 of `quality` gives at most 6.02."""

RAW_BITS_PER_PIXEL = 24.0

DEFAULT_RANGE = QualityRange(low_db=32.0, high_db=41.0, reference_db=36.0, reference_mbps=HEVC_ANCHOR_MBPS)
"""Of a window on which the anchor was not measured, and of every window before rule 3."""

Metric: TypeAlias = Literal["psnr_db", "ms_ssim_db"]
"""What a curve's quality is measured in: PSNR-YUV or `Point.ms_ssim_db`."""


@dataclass(frozen=True)
class Point:
    """One point of a curve: rate (any positive unit), PSNR-YUV in dB, MS-SSIM 0 to 1."""

    rate: float
    psnr_db: float
    ms_ssim: float

    @property
    def ms_ssim_db(self) -> float:
        """MS-SSIM on a logarithmic scale, -10 log10(1 - MS-SSIM), at most 50 dB."""
        return min(50.0, -10 * math.log10(max(1e-5, 1 - self.ms_ssim)))

    def quality(self, metric: Metric) -> float:
        """Return the quality in dB of either kind."""
        return self.psnr_db if metric == "psnr_db" else self.ms_ssim_db


class Lines:
    """Straight lines between points with rising abscissae.

    Parameters
    ----------
    xs, ys : sequence of float
        At least two points; `xs` strictly rising.

    Raises
    ------
    ValueError
        Fewer than two points, or abscissae that do not rise.
    """

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        if len(xs) != len(ys) or len(xs) < 2:
            raise ValueError("at least two points are needed")
        if any(b <= a for a, b in itertools.pairwise(xs)):
            raise ValueError("abscissae must rise strictly")
        self.xs, self.ys = list(xs), list(ys)

    def _piece(self, index: int) -> tuple[float, float, float, float]:
        """Return the cubic's coefficients in the distance from the left point, lowest order first."""
        width = self.xs[index + 1] - self.xs[index]
        return self.ys[index], (self.ys[index + 1] - self.ys[index]) / width, 0.0, 0.0

    def __call__(self, x: float) -> float:
        """Return the value at `x`; raises `ValueError` outside the first and the last abscissa."""
        if not self.xs[0] <= x <= self.xs[-1]:
            raise ValueError(f"{x} lies outside {self.xs[0]} to {self.xs[-1]}")
        index = min(sum(1 for node in self.xs[1:-1] if node <= x), len(self.xs) - 2)
        a, b, c, d = self._piece(index)
        t = x - self.xs[index]
        return a + t * (b + t * (c + t * d))

    def integral(self, low: float, high: float) -> float:
        """Return the integral from `low` to `high`, both between the first and the last abscissa."""
        total = 0.0
        for index, (x0, x1) in enumerate(zip(self.xs, self.xs[1:], strict=False)):
            start, end = max(low, x0) - x0, min(high, x1) - x0
            if end > start:
                a, b, c, d = self._piece(index)
                total += sum(k * (end**n - start**n) / n for n, k in ((1, a), (2, b), (3, c), (4, d)))
        return total


class Akima(Lines):
    """Akima's piecewise cubic through points with rising abscissae; parameters and errors as of `Lines`."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        super().__init__(xs, ys)
        self._slopes = self._node_slopes()

    def _node_slopes(self) -> list[float]:
        secants = [
            (y1 - y0) / (x1 - x0)
            for x0, x1, y0, y1 in zip(self.xs, self.xs[1:], self.ys, self.ys[1:], strict=False)
        ]
        if len(secants) == 1:
            return [secants[0], secants[0]]
        before = [3 * secants[0] - 2 * secants[1], 2 * secants[0] - secants[1]]
        after = [2 * secants[-1] - secants[-2], 3 * secants[-1] - 2 * secants[-2]]
        m = [*before, *secants, *after]
        changes = [(abs(m[i + 3] - m[i + 2]), abs(m[i + 1] - m[i])) for i in range(len(self.xs))]
        threshold = 1e-9 * max(left + right for left, right in changes)
        slopes: list[float] = []
        for i, (right, left) in enumerate(changes):
            if right + left > threshold:
                slopes.append((right * m[i + 1] + left * m[i + 2]) / (right + left))
            else:
                slopes.append((m[i + 1] + m[i + 2]) / 2)
        return slopes

    def _piece(self, index: int) -> tuple[float, float, float, float]:
        width = self.xs[index + 1] - self.xs[index]
        secant = (self.ys[index + 1] - self.ys[index]) / width
        s0, s1 = self._slopes[index], self._slopes[index + 1]
        return self.ys[index], s0, (3 * secant - 2 * s0 - s1) / width, (s0 + s1 - 2 * secant) / width**2


def pareto(points: Iterable[Point], metric: Metric = "psnr_db") -> list[Point]:
    """Return the points that no other dominates, by rising rate: more bits must give better quality."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.rate, -p.quality(metric))):
        if not kept or point.quality(metric) > kept[-1].quality(metric):
            kept.append(point)
    return kept


def coverage(points: Iterable[Point], within: QualityRange = DEFAULT_RANGE) -> float:
    """Return the share of the range of quality, 0 to 1, that the curve spans in PSNR-YUV."""
    kept = pareto(points)
    if len(kept) < 2:
        return 0.0
    low, high = max(within.low_db, kept[0].psnr_db), min(within.high_db, kept[-1].psnr_db)
    return max(0.0, high - low) / (within.high_db - within.low_db)


def is_measurable(points: Sequence[Point], within: QualityRange = DEFAULT_RANGE) -> bool:
    """Tell whether a curve may be compared: at least four points, and half of the range of quality covered."""
    return len(pareto(points)) >= MINIMUM_POINTS and coverage(points, within) >= MINIMUM_COVERAGE


def bd_rate(
    anchor: Sequence[Point],
    test: Sequence[Point],
    metric: Metric = "psnr_db",
    within: QualityRange = DEFAULT_RANGE,
) -> float | None:
    """Return the BD-rate of `test` against `anchor` in percent; negative means fewer bits at equal quality.

    Parameters
    ----------
    anchor, test : sequence of Point
        Curves with rates in the same unit. Dominated points are dropped first.
    metric : Metric
        ``psnr_db`` or ``ms_ssim_db``.
    within : QualityRange
        Of the window that both were measured on.

    Returns
    -------
    float or None
        None when either curve has fewer than four points or covers less than half of the range of quality, or the
        two share less than half of it (in MS-SSIM: share nothing).
    """
    if not (is_measurable(anchor, within) and is_measurable(test, within)):
        return None
    curves = [pareto(points, metric) for points in (anchor, test)]
    if min(len(curve) for curve in curves) < MINIMUM_POINTS:
        return None
    qualities = [[point.quality(metric) for point in curve] for curve in curves]
    low, high = max(q[0] for q in qualities), min(q[-1] for q in qualities)
    shared = min(high, within.high_db) - max(low, within.low_db) if metric == "psnr_db" else high - low
    if shared < _least_shared(metric, within):
        return None
    means = [
        Akima(quality, [math.log10(point.rate) for point in curve]).integral(low, high) / (high - low)
        for quality, curve in zip(qualities, curves, strict=True)
    ]
    return (10 ** (means[1] - means[0]) - 1) * 100


def _least_shared(metric: Metric, within: QualityRange) -> float:
    """Return how many dB two curves must share at least."""
    return MINIMUM_COVERAGE * (within.high_db - within.low_db) if metric == "psnr_db" else 1e-6


def bd_rate_in_window(
    anchor: Sequence[Point],
    test: Sequence[Point],
    metric: Metric = "psnr_db",
    within: QualityRange = DEFAULT_RANGE,
) -> float | None:
    """Return the BD-rate over what the curves share of the range of quality, by differences at the points of `test`.

    The anchor is taken by straight lines at each of them, and the differences in log rate are joined by straight
    lines. Where the anchor ends between two points of `test`, the nearest difference stands, or a worse one that a
    straight line gives there.
    Parameters and None are as of `bd_rate`. The limits in MS-SSIM are those that the anchor has at the range's ends.
    """
    if not (is_measurable(anchor, within) and is_measurable(test, within)):
        return None
    theirs, ours = (_lines(points, metric) for points in (anchor, test))
    if min(len(theirs.xs), len(ours.xs)) < MINIMUM_POINTS:
        return None
    ends = (within.low_db, within.high_db)
    limits = ends if metric == "psnr_db" else _ms_ssim_limits(anchor, ends)
    low, high = max(limits[0], theirs.xs[0], ours.xs[0]), min(limits[1], theirs.xs[-1], ours.xs[-1])
    if high - low < _least_shared(metric, within):
        return None
    mean = _differences(theirs, ours).integral(low, high) / (high - low)
    return (10**mean - 1) * 100


def ratio_in_window(
    anchor: Sequence[Point], test: Sequence[Point], within: QualityRange = DEFAULT_RANGE
) -> float | None:
    """Return how many times the rate of `test` the anchor needs at the reference quality.

    By the differences of `bd_rate_in_window`. None where one of the curves does not reach that quality, or where they
    touch there and share nothing.
    """
    if ratio_at_reference(anchor, test, within) is None or not shared_window(anchor, test, within):
        return None
    differences = _differences(_lines(anchor, "psnr_db"), _lines(test, "psnr_db"))
    return 10 ** -differences(within.reference_db)


def _differences(theirs: Lines, ours: Lines) -> Lines:
    """Return our ordinates minus theirs over the common range, at our points and at its ends."""
    low, high = max(theirs.xs[0], ours.xs[0]), min(theirs.xs[-1], ours.xs[-1])
    levels = [low, *(level for level in ours.xs if low < level < high), high]
    values = [ours(level) - theirs(level) for level in levels]
    if low not in ours.xs:
        values[0] = max(values[:2])
    if high not in ours.xs:
        values[-1] = max(values[-2:])
    return Lines(levels, values)


def _lines(points: Sequence[Point], metric: Metric) -> Lines:
    kept = pareto(points, metric)
    return Lines([point.quality(metric) for point in kept], [math.log10(point.rate) for point in kept])


def _ms_ssim_limits(points: Sequence[Point], ends: tuple[float, float]) -> tuple[float, float]:
    kept = pareto(points)
    lines = Lines([point.psnr_db for point in kept], [point.ms_ssim_db for point in kept])
    low, high = (min(max(level, kept[0].psnr_db), kept[-1].psnr_db) for level in ends)
    return lines(low), lines(high)


def interpolation_dip(points: Sequence[Point]) -> float:
    """Return how far, at most, Akima's curve runs below straight lines between the points, in log10 of the rate.

    A large value means that the points were placed so that the curve flatters the codec.
    """
    kept = pareto(points)
    if len(kept) < 2:
        return 0.0
    nodes = [point.psnr_db for point in kept], [math.log10(point.rate) for point in kept]
    lines, akima = Lines(*nodes), Akima(*nodes)
    levels = (x0 + (x1 - x0) * i / 16 for x0, x1 in itertools.pairwise(nodes[0]) for i in range(1, 16))
    return max(0.0, *(lines(level) - akima(level) for level in levels))


def widest_gap(points: Sequence[Point], within: QualityRange = DEFAULT_RANGE) -> float:
    """Return the largest gap in dB between neighbouring points, where it overlaps the range of quality."""
    levels = [point.psnr_db for point in pareto(points)]
    pairs = itertools.pairwise(levels)
    return max((b - a for a, b in pairs if a < within.high_db and b > within.low_db), default=0.0)


def shared_window(
    one: Sequence[Point], other: Sequence[Point], within: QualityRange = DEFAULT_RANGE
) -> float:
    """Return the share of the range of quality, 0 to 1, that both curves span."""
    spans = [pareto(one), pareto(other)]
    low = max(within.low_db, *(span[0].psnr_db for span in spans))
    high = min(within.high_db, *(span[-1].psnr_db for span in spans))
    return max(0.0, high - low) / (within.high_db - within.low_db)


def ratio_at_reference(
    anchor: Sequence[Point], test: Sequence[Point], within: QualityRange = DEFAULT_RANGE
) -> float | None:
    """Return how many times the rate of `test` the anchor needs at the reference quality; None out of reach."""
    theirs, ours = (rate_at(points, within.reference_db) for points in (anchor, test))
    return None if theirs is None or ours is None else theirs / ours


def rate_at(points: Sequence[Point], psnr_db: float) -> float | None:
    """Return the rate at a PSNR, interpolated as in BD-rate; None where the curve does not reach it."""
    return _at(points, psnr_db, lambda point: math.log10(point.rate), lambda value: 10**value)


def psnr_at(points: Sequence[Point], rate: float) -> float | None:
    """Return the PSNR in dB at a rate, interpolated in the rate's logarithm; None where the curve does not reach it."""
    kept = pareto(points)
    if len(kept) < 2 or not kept[0].rate <= rate <= kept[-1].rate:
        return None
    return Akima([math.log10(point.rate) for point in kept], [point.psnr_db for point in kept])(
        math.log10(rate)
    )


def ms_ssim_at(points: Sequence[Point], psnr_db: float) -> float | None:
    """Return the MS-SSIM (0 to 1) at a PSNR, interpolated in dB; None where the curve does not reach it."""
    return _at(points, psnr_db, lambda point: point.ms_ssim_db, lambda value: 1 - 10 ** (-value / 10))


def _at(
    points: Sequence[Point],
    psnr_db: float,
    forward: Callable[[Point], float],
    back: Callable[[float], float],
) -> float | None:
    kept = pareto(points)
    if len(kept) < 2 or not kept[0].psnr_db <= psnr_db <= kept[-1].psnr_db:
        return None
    return back(Akima([point.psnr_db for point in kept], [forward(point) for point in kept])(psnr_db))


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean of positive numbers."""
    logs = [math.log(value) for value in values]
    return math.exp(math.fsum(logs) / len(logs))


def mean_bd_rate(percentages: Iterable[float]) -> float:
    """Return the mean of BD-rates in percent: the geometric mean of the rate ratios 1 + p/100."""
    return (geometric_mean(1 + p / 100 for p in percentages) - 1) * 100


def compression_ratio(bitrate_mbps: float) -> float:
    """Return 24 raw bits per pixel over the bits per pixel of a 1080p30-equivalent rate in Mbps."""
    return RAW_BITS_PER_PIXEL * MBPS_1080P30 / bitrate_mbps
