"""The adoption rule as figures, and what falls short of it. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codec_evolution.judging.comparison import ClipRow, Comparison, Means, span_text

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


ALL_CLIPS = "the training clips"


@dataclass(frozen=True)
class Sides:
    """One codec's BD-rates against the anchor, in percent.

    Attributes
    ----------
    train, held_out : float or None
        Means over the clips; None where a curve does not allow one.
    clips : mapping
        By training clip.
    """

    train: float | None
    held_out: float | None
    clips: Mapping[str, float | None]

    def gaps(self) -> dict[str, float]:
        """Return by how much the training BD-rates are below the held-out mean, as differences of log rate."""
        if self.held_out is None:
            return {}
        unseen = math.log1p(self.held_out / 100)
        sides = {ALL_CLIPS: self.train, **{f"clip {name}": each for name, each in self.clips.items()}}
        return {name: math.log1p(each / 100) - unseen for name, each in sides.items() if each is not None}


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
        By how much lower the rate against the anchor may be on the training clips than on the held-out ones, beyond
        the incumbent's gap, as a share of the rate: in the mean over the training clips, and on any one of them. The
        gaps of version 0, of codecs with motion and of the grammar's are all on the other side.
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
    if why := worsened(comparison.rows, prefix, rule):
        return why
    if means.ms_ssim_bd_rate > rule.worst_ms_ssim + ROUNDING:
        return (
            f"{prefix}MS-SSIM got worse: BD-rate over MS-SSIM {means.ms_ssim_bd_rate:+.1f}%, "
            f"{rule.worst_ms_ssim:+.0f}% is allowed"
        )
    return ""


def worsened(rows: Sequence[ClipRow], prefix: str, rule: Rule = RULE) -> str:
    """Return which clip got worse than allowed, and by how much; empty when none did."""
    by_clip = [(row.bd_rate_vs_incumbent or 0.0, row.clip) for row in rows]
    worst, clip = max(by_clip, key=lambda each: each[0], default=(0.0, ""))
    if worst <= rule.worst_clip + ROUNDING:
        return ""
    return f"{prefix}clip {clip} got worse: BD-rate {worst:+.1f}%, {rule.worst_clip:+.0f}% is allowed"


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


def by_heart(ours: Sides, theirs: Sides | None, rule: Rule = RULE) -> str:
    """Return how the gain seems to be of the training windows alone; empty when it does not.

    A difference in differences: by how much the candidate widens the gap between training and held-out BD-rate against
    the anchor beyond the incumbent's. An incumbent that does worse on the training clips gives no room to widen it:
    the first codec with motion closes such a gap honestly.

    Parameters
    ----------
    ours, theirs : Sides
        The BD-rates of candidate and incumbent.
    """
    before = theirs.gaps() if theirs else {}
    for name, gap_in_log in ours.gaps().items():
        bound = rule.heart_mean if name == ALL_CLIPS else rule.heart_clip
        further = -math.expm1(gap_in_log - min(0.0, before.get(name, 0.0)))
        if further > bound + ROUNDING:
            return (
                f"{name}: against x265 the rate is {further:.0%} lower than on the held-out clips, beyond what the "
                f"incumbent shows; {bound:.0%} is allowed: it may know them by heart"
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
