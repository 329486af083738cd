"""The adoption rule: from the reports of candidate and incumbent to a verdict. Pure functions.

The rule compares only windows that both have measured, of one and the same clip set. Figures of training
windows are public; those of held-out windows stay in `Verdict.held_out_rows`, and no reason mentions them.

The margins must be reached twice: by the printed BD-rate (Akima, over all that both curves reach) and at the
candidate's own points within 32 to 41 dB. The first alone can be gamed by where a codec places
its points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from codec_evolution.contracts import Report
from codec_evolution.judging.comparison import (
    STRICT,
    ClipRow,
    Comparison,
    Incomparable,
    Means,
    anchor_curves,
    compare,
    curves,
    figures_of,
    flaw,
    mean_or_none,
)
from codec_evolution.judging.rate_distortion import (
    FLOOR_DB,
    HEVC_ANCHOR_MBPS,
    compression_ratio,
    geometric_mean,
    mean_bd_rate,
    ms_ssim_at,
)
from codec_evolution.record import Figures, Measured

Decision = Literal["adopt", "reject", "confirm", "undecidable"]
ACHIEVEMENT_PERCENT = (90, 70, 50)
ROUNDING = 1e-9


@dataclass(frozen=True)
class Rule:
    """What a candidate must reach to be adopted. A change of any figure needs a new version.

    Attributes
    ----------
    version : str
        Stored with every record.
    bd_rate : float
        Mean BD-rate against the incumbent in percent, at most; or
    ratio : float
        mean compression ratio at 36 dB over the incumbent's, at least.
    worst_clip : float
        BD-rate in percent that no clip may exceed.
    worst_ms_ssim : float
        Mean BD-rate over MS-SSIM in percent, at most.
    coverage : float
        Share of 32 to 41 dB that candidate and incumbent must share on every window; or, where the incumbent
        itself covers less, nine tenths of what it covers. Otherwise a codec could leave out where it is worse.
    generalisation : float
        Share of the gain on the training clips, in the logarithm of the rate, that the held-out clips must show. A
        codec tuned to the training clips would otherwise be adopted with figures that do not generalise.
    held_out_windows, held_out_clips : int
        How many common held-out windows, of how many clips, a confirmation needs.
    """

    version: str = "2"
    bd_rate: float = -10.0
    ratio: float = 1.20
    worst_clip: float = 5.0
    worst_ms_ssim: float = 2.0
    coverage: float = 0.75
    generalisation: float = 0.15
    held_out_windows: int = 3
    held_out_clips: int = 2


RULE = Rule()


@dataclass(frozen=True)
class Contest:
    """The sandbox's reports on one codec: training windows, and held-out windows once they were measured."""

    train: Report
    held_out: Report | None = None


class Verdict(Figures, frozen=True):
    """The decision with the figures of record.

    Rates and similarity are those at 36 dB, geometric means over the training clips' windows 0, as is the BD-rate
    against HEVC; None where a curve does not reach 36 dB.

    Attributes
    ----------
    failure_kind
        Set when the candidate itself failed (``test_failed`` outside).
    rows
        The training clips.
    held_out_rows, held_out_reason
        The held-out clips, and why they confirm nothing; for operators only.
    """

    decision: Decision
    reason: str
    failure_kind: str = ""
    rows: tuple[ClipRow, ...] = ()
    held_out_rows: tuple[ClipRow, ...] = ()
    held_out_reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return self.model_dump(mode="json")

    def figures(self) -> Figures:
        """Return the figures alone."""
        return Figures.from_item(self.model_dump(include=set(Figures.model_fields)))


def shortfall(comparison: Comparison, rule: Rule = RULE) -> str:
    """Return why the candidate is not better by the rule's margins; empty when it is."""
    means, prefix = comparison.means, comparison.reason_prefix
    if means is None:
        return comparison.obstacle
    enough_ratio = means.ratio is not None and means.ratio >= rule.ratio - ROUNDING
    if means.bd_rate > rule.bd_rate + ROUNDING and not enough_ratio:
        return (
            f"{prefix}BD-rate {means.bd_rate:+.1f}% against the incumbent; "
            f"{rule.bd_rate:.0f}% or {rule.ratio:.2f} times its compression ratio at 36 dB is needed"
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


def _gap(comparison: Comparison, rule: Rule) -> str:
    """Return why the two curves share too little quality; empty when they share enough."""
    for span in comparison.spans:
        needed = min(rule.coverage, 0.9 * span.incumbent)
        if span.shared < needed - ROUNDING:
            return (
                f"clip {span.clip}: candidate and incumbent share {span.shared:.0%} of 32 to 41 dB, {needed:.0%} are "
                "needed; `quality` 0 to 100 must span that range"
            )
    return ""


def _gain(means: Means) -> float:
    """Return what a candidate saves, as the natural logarithm of the incumbent's rate over its own."""
    saved = -math.log1p(means.bd_rate / 100)
    return saved if means.ratio is None else max(saved, math.log(means.ratio))


def _learnt(train: Means, held_out: Means, rule: Rule) -> str:
    """Return why the gain seems to be of the training clips alone; empty when it does not."""
    share = _gain(held_out) / _gain(train)
    if share >= rule.generalisation:
        return ""
    return (
        f"the held-out clips show {share:.0%} of the gain on the training clips, {rule.generalisation:.0%} are needed: "
        "it may know those by heart"
    )


@dataclass(frozen=True)
class Trend:
    """The figures of record of one codec, and the windows 0 that they are means of."""

    measured: Measured
    rows: tuple[ClipRow, ...]


def trend(report: Report, role: str = "train") -> Trend:
    """Return the figures of record, from windows 0 of the clips with this role."""
    windows = {key: curve for key, curve in curves(report, role).items() if key[1] == 0}
    anchors = anchor_curves(report)
    rows: list[ClipRow] = []
    similarities: list[float | None] = []
    for (clip, window), curve in sorted(windows.items()):
        versus, rate = figures_of(curve, anchors.get((clip, window)))
        rows.append(ClipRow(clip, (window,), bd_rate_vs_hevc=versus, bitrate_mbps=rate))
        similarities.append(ms_ssim_at(curve))
    rate = mean_or_none([row.bitrate_mbps for row in rows], geometric_mean)
    measured = Measured(
        bitrate_mbps=rate,
        compression_ratio=None if rate is None else compression_ratio(rate),
        psnr_db=None if rate is None else FLOOR_DB,
        ms_ssim=mean_or_none(similarities, geometric_mean),
        bd_rate_vs_hevc=mean_or_none([row.bd_rate_vs_hevc for row in rows], mean_bd_rate),
    )
    return Trend(measured, tuple(rows))


def achievement(bitrate_mbps: float | None) -> str:
    """Return the highest of the 50, 70 and 90% lines under 10 Mbps that a rate at 36 dB has reached; or empty."""
    if bitrate_mbps is not None:
        for percent in ACHIEVEMENT_PERCENT:
            if bitrate_mbps <= HEVC_ANCHOR_MBPS * (100 - percent) / 100:
                return f"{percent}% below the 10 Mbps HEVC line"
    return ""


def improvement_text(means: Means | None, rule: Rule = RULE) -> str:
    """Return the `improvement` of the record, such as ``15.3% bitrate reduction``."""
    if means is None:
        return ""
    if means.bd_rate > rule.bd_rate and means.ratio and means.ratio >= rule.ratio:
        return f"{(means.ratio - 1) * 100:.1f}% higher compression ratio"
    kind = "reduction" if means.bd_rate <= 0 else "increase"
    return f"{abs(means.bd_rate):.1f}% bitrate {kind}"


def judge(candidate: Contest, incumbent: Contest | None, *, rule: Rule = RULE) -> Verdict:
    """Decide whether the candidate replaces the incumbent.

    Parameters
    ----------
    candidate : Contest
        Its training report, and its held-out report once asked for.
    incumbent : Contest or None
        None for version 0, which is adopted without a contest if it measured well. Otherwise with reports
        of the same seed; its held-out report is needed only when the candidate has one.
    rule : Rule
        The margins.

    Returns
    -------
    Verdict
        ``confirm`` when training is good enough and the candidate has no held-out report yet;
        ``undecidable`` when the reports cannot be compared; the incumbent stays.
    """
    train = candidate.train
    if train.failure is not None:
        return Verdict(
            decision="reject",
            reason=train.failure.message,
            rule_version=rule.version,
            failure_kind=train.failure.kind,
        )
    if incumbent is None:
        return _without_contest(train, rule)
    try:
        comparison = compare(train, incumbent.train, "train")
    except Incomparable as error:
        return _verdict("undecidable", str(error), trend(train), None, rule)
    return _Trial(candidate, incumbent, trend(train), comparison, rule).decide()


def _without_contest(train: Report, rule: Rule) -> Verdict:
    figures = trend(train)
    flaws = [why for key, curve in sorted(curves(train, "train").items()) if (why := flaw(key, curve))]
    if reason := (flaws[0] if flaws else _floor_missed(figures)):
        return _verdict("reject", reason, figures, None, rule)
    return _verdict("adopt", "the baseline, adopted without a contest", figures, None, rule)


def _floor_missed(figures: Trend) -> str:
    """Return why there would be no figure of record; empty when there is a rate at 36 dB."""
    reached = figures.measured.bitrate_mbps is not None
    return "" if reached else "the curve does not pass through 36 dB on every training clip"


@dataclass(frozen=True)
class _Trial:
    """A candidate that was compared with the incumbent on the training clips."""

    candidate: Contest
    incumbent: Contest
    figures: Trend
    comparison: Comparison
    rule: Rule

    def decide(self) -> Verdict:
        """Return the verdict on the training clips, and on the held-out clips where they were measured."""
        train, incumbent, rule = self.candidate.train, self.incumbent.train, self.rule
        reason = (
            shortfall(self.comparison, rule)
            or _floor_missed(self.figures)
            or _gap(self.comparison, rule)
            or shortfall(compare(train, incumbent, "train", STRICT), rule)
        )
        if reason:
            return self._verdict("reject", reason)
        if self.candidate.held_out is None:
            return self._verdict("confirm", "better on the training clips")
        return self._confirmed(self.candidate.held_out)

    def _confirmed(self, ours: Report) -> Verdict:
        theirs, train = self.incumbent.held_out, self.candidate.train
        if ours.source_sha256 != train.source_sha256:
            return self._verdict("undecidable", "the training and held-out reports are of different sources")
        if ours.failure is not None:
            return self._verdict("reject", "failed on the held-out clips", failure_kind=ours.failure.kind)
        if theirs is None or theirs.failure is not None:
            return self._verdict("undecidable", "the incumbent has no held-out report to compare with")
        repeated = _repeated(train, ours)
        if repeated is None:
            return self._verdict("undecidable", "the held-out report repeats no training clip")
        if not repeated:
            reason = "two runs of one training clip gave different packets or frames"
            return self._verdict("reject", reason, failure_kind="nondeterministic")
        try:
            held_out = compare(ours, theirs, "held_out")
        except Incomparable as error:
            return self._verdict("undecidable", str(error))
        return self._judged(held_out, compare(ours, theirs, "held_out", STRICT))

    def _judged(self, held_out: Comparison, strict: Comparison) -> Verdict:
        """Return the verdict on two comparisons of the held-out clips: the printed one, and at the own points."""
        rule, rows = self.rule, held_out.rows
        windows = sum(len(row.windows) for row in rows)
        if windows < rule.held_out_windows or len(rows) < rule.held_out_clips:
            reason = "too few held-out windows in common with the incumbent"
            return self._verdict("undecidable", reason, held_out_rows=rows)
        why = shortfall(held_out, rule) or _gap(held_out, rule) or shortfall(strict, rule)
        if not why and held_out.means and self.comparison.means:
            why = _learnt(self.comparison.means, held_out.means, rule)
        if why:
            reason = "better on the training clips, not confirmed on the held-out clips"
            return self._verdict("reject", reason, held_out_rows=rows, held_out_reason=why)
        reason = "better on the training clips, confirmed on the held-out clips"
        return self._verdict("adopt", reason, held_out_rows=rows)

    def _verdict(self, decision: Decision, reason: str, **more: Any) -> Verdict:
        return _verdict(decision, reason, self.figures, self.comparison, self.rule, **more)


def _repeated(train: Report, held_out: Report) -> bool | None:
    """Tell whether the windows that both reports ran gave the same packets and frames; None if there is none."""
    pairs = ((train.packets_sha256, held_out.packets_sha256), (train.frames_sha256, held_out.frames_sha256))
    agree = [ours[key] == theirs[key] for ours, theirs in pairs for key in ours.keys() & theirs.keys()]
    return all(agree) if agree else None


def _verdict(
    decision: Decision, reason: str, figures: Trend, comparison: Comparison | None, rule: Rule, **more: Any
) -> Verdict:
    versus = {row.clip: row for row in comparison.rows} if comparison else {}
    means = comparison.means if comparison else None
    rows = tuple(
        replace(versus.get(row.clip, row), bd_rate_vs_hevc=row.bd_rate_vs_hevc, bitrate_mbps=row.bitrate_mbps)
        for row in figures.rows
    )
    values: dict[str, Any] = {
        **figures.measured.model_dump(),
        "decision": decision,
        "reason": reason,
        "rule_version": rule.version,
        "bd_rate_vs_incumbent": means.bd_rate if means else None,
        "improvement": improvement_text(means, rule),
        "achievement": achievement(figures.measured.bitrate_mbps),
        "rows": rows,
        **more,
    }
    return Verdict(**values)
