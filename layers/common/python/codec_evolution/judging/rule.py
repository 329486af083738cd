"""The adoption rule as figures, and what falls short of it. Pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from codec_evolution.judging.comparison import Comparison, Means, span_text

ROUNDING = 1e-9


@dataclass(frozen=True)
class Margins:
    """How much better a candidate must be: one of the two is enough.

    Attributes
    ----------
    bd_rate : float
        Mean BD-rate against the incumbent in percent, at most.
    ratio : float
        Mean compression ratio at the reference quality over the incumbent's, at least.
    """

    bd_rate: float
    ratio: float


@dataclass(frozen=True)
class Rule:
    """What a candidate must reach to be adopted. A change of any figure needs a new version.

    Attributes
    ----------
    version : str
        Stored with every record.
    margins : Margins
        Over all clips of the contest together, training and held-out.
    one_side : Margins
        Over the held-out clips alone; and over the training clips, to be worth a look at the held-out ones.
    worst_clip : float
        BD-rate in percent that no clip may exceed.
    worst_ms_ssim : float
        Mean BD-rate over MS-SSIM in percent, at most.
    coverage : float
        Share of the range of quality that candidate and incumbent must share on every window; or, where the incumbent
        itself covers less, nine tenths of what it covers. Otherwise a codec could leave out where it is worse.
    heart_mean, heart_clip : float
        By how much the rate may have fallen further on the training clips than on the held-out ones, as a share of
        the rate: in the mean over the training clips, and on any one of them. Honest steps differ by up to 0.17.
    held_out_windows, held_out_clips : int
        How many common held-out windows, of how many clips, a confirmation needs.
    """

    version: str = "3"
    margins: Margins = Margins(-10.0, 1.20)
    one_side: Margins = Margins(-5.0, 1.10)
    worst_clip: float = 5.0
    worst_ms_ssim: float = 2.0
    coverage: float = 0.75
    heart_mean: float = 0.22
    heart_clip: float = 0.33
    held_out_windows: int = 3
    held_out_clips: int = 2


RULE = Rule()


def shortfall(comparison: Comparison, margins: Margins, rule: Rule = RULE) -> str:
    """Return why the candidate is not better by these margins; empty when it is."""
    means, prefix = comparison.means, comparison.reason_prefix
    if means is None:
        return comparison.obstacle
    enough_ratio = means.ratio is not None and means.ratio >= margins.ratio - ROUNDING
    if means.bd_rate > margins.bd_rate + ROUNDING and not enough_ratio:
        return (
            f"{prefix}BD-rate {means.bd_rate:+.1f}% against the incumbent; {margins.bd_rate:.0f}% or "
            f"{margins.ratio:.2f} times its compression ratio at the reference quality is needed"
        )
    by_clip = [(row.bd_rate_vs_incumbent or 0.0, row.clip) for row in comparison.rows]
    worst, clip = max(by_clip, key=lambda each: each[0])
    if worst > rule.worst_clip + ROUNDING:
        return f"{prefix}clip {clip} got worse: BD-rate {worst:+.1f}%, {rule.worst_clip:+.0f}% is allowed"
    if means.ms_ssim_bd_rate > rule.worst_ms_ssim + ROUNDING:
        return (
            f"{prefix}MS-SSIM got worse: BD-rate over MS-SSIM {means.ms_ssim_bd_rate:+.1f}%, "
            f"{rule.worst_ms_ssim:+.0f}% is allowed"
        )
    return ""


def gap(comparison: Comparison, rule: Rule = RULE) -> str:
    """Return why the two curves share too little quality; empty when they share enough."""
    for span in comparison.spans:
        needed = min(rule.coverage, 0.9 * span.incumbent)
        if span.shared < needed - ROUNDING:
            return (
                f"clip {span.clip}: candidate and incumbent share {span.shared:.0%} of {span_text(span.within)}, "
                f"{needed:.0%} are needed; `quality` 0 to 100 must span that range"
            )
    return ""


def by_heart(train: Comparison, held_out: Comparison, rule: Rule = RULE) -> str:
    """Return how the gain seems to be of the training windows alone; empty when it does not.

    The difference in differences: how much further the rate fell against the incumbent on the training clips than on
    the held-out ones. That is by how much the candidate widens the gap between the BD-rates of the two sides against
    any third codec, such as the anchor. Nothing that differs between the clips themselves enters.
    """
    if train.means is None or held_out.means is None:
        return ""
    unseen = math.log1p(held_out.means.bd_rate / 100)
    sides = [("the training clips", train.means.bd_rate, rule.heart_mean)]
    sides += [
        (f"clip {row.clip}", row.bd_rate_vs_incumbent, rule.heart_clip)
        for row in train.rows
        if row.bd_rate_vs_incumbent is not None
    ]
    for name, bd_rate, bound in sides:
        further = -math.expm1(math.log1p(bd_rate / 100) - unseen)
        if further > bound + ROUNDING:
            return (
                f"{train.reason_prefix}{name}: the rate fell {further:.0%} further than on the held-out clips, "
                f"{bound:.0%} is allowed: it may know them by heart"
            )
    return ""


def improvement_text(means: Means | None, rule: Rule = RULE) -> str:
    """Return the `improvement` of the record, such as ``15.3% bitrate reduction``."""
    if means is None:
        return ""
    if means.bd_rate > rule.margins.bd_rate and means.ratio and means.ratio >= rule.margins.ratio:
        return f"{(means.ratio - 1) * 100:.1f}% higher compression ratio"
    kind = "reduction" if means.bd_rate <= 0 else "increase"
    return f"{abs(means.bd_rate):.1f}% bitrate {kind}"
