"""The adoption rule: from the reports of candidate and incumbent to a verdict. Pure functions.

`codec_evolution.judging.rule` has the rule's figures. It compares only windows that both have measured, of one and
the same clip set. Figures of training windows are public; those of held-out and sealed windows are for people, and no
reason mentions them.

The margins must be reached twice: by the printed BD-rate (Akima, over all that both curves reach) and at the
candidate's own points within the range of quality. The first alone can be gamed by where a codec places
its points.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from codec_evolution.contracts import Report
from codec_evolution.judging.comparison import (
    STRICT,
    ClipRow,
    Comparison,
    Incomparable,
    compare,
    curves,
    flaw,
    pooled,
    range_on,
)
from codec_evolution.judging.figures import RecordFigures, achievement, contest_figures, figures_of_record
from codec_evolution.judging.racing import certain_loss, stopped_text, unfinished_text
from codec_evolution.judging.rule import RULE, Rule, Sides, by_heart, gap, improvement_text, shortfall
from codec_evolution.record import Figures, Measured

Decision = Literal["adopt", "reject", "confirm", "undecidable"]
BY_HEART = "by_heart: the gain on the training clips is not there on clips that the candidate has never seen"
"""The public reason of a candidate that knows the training windows."""
UNCONFIRMED = "promising on the training clips, not confirmed on the held-out clips"
"""The public reason of a candidate whose gain the held-out clips did not show."""


@dataclass(frozen=True)
class Contest:
    """The sandbox's reports on one codec: training windows; held-out and sealed windows once they were measured."""

    train: Report
    held_out: Report | None = None


class Verdict(Figures, frozen=True):
    """The decision with the figures of record.

    Attributes
    ----------
    failure_kind
        Set when the candidate itself failed (``test_failed`` outside).
    rows
        The training clips.
    held_out_rows, sealed_rows, held_out_reason
        The held-out and the sealed windows, and why the held-out ones confirm nothing; for people only.
    """

    decision: Decision
    reason: str
    failure_kind: str = ""
    rows: tuple[ClipRow, ...] = ()
    held_out_rows: tuple[ClipRow, ...] = ()
    sealed_rows: tuple[ClipRow, ...] = ()
    held_out_reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return self.model_dump(mode="json")

    def figures(self) -> Figures:
        """Return the figures alone."""
        return Figures.from_item(self.model_dump(include=set(Figures.model_fields)))


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
        ``undecidable`` when the reports cannot be compared, or while windows are missing that could still decide; the
        incumbent stays.
    """
    train = candidate.train
    if train.failure is not None:
        return Verdict(
            decision="reject",
            reason=train.failure.message,
            rule_version=rule.version,
            failure_kind=train.failure.kind,
        )
    trial = _Trial(candidate, incumbent, rule)
    return trial.without_contest() if incumbent is None else trial.contest(incumbent)


@dataclass(frozen=True)
class _Trial:
    """A candidate that was measured on the training clips."""

    candidate: Contest
    incumbent: Contest | None
    rule: Rule

    def without_contest(self) -> Verdict:
        """Return the verdict on version 0."""
        train = self.candidate.train
        found = curves(train, "train")
        flaws = [why for key in sorted(found) if (why := flaw(key, found[key], range_on(train, key)))]
        if reason := (flaws[0] if flaws else self._unreached()):
            return self.verdict("reject", reason)
        return self.verdict("adopt", "the baseline, adopted without a contest")

    def contest(self, incumbent: Contest) -> Verdict:
        """Return the verdict on the training clips, and on the held-out clips where they were measured."""
        ours, theirs, rule = self.candidate.train, incumbent.train, self.rule
        if ours.unmeasured:
            return self._unfinished(ours, theirs)
        try:
            train, strict = compare(ours, theirs, "train"), compare(ours, theirs, "train", STRICT)
        except Incomparable as error:
            return self.verdict("undecidable", str(error))
        held_out = self.candidate.held_out
        worth_a_look = held_out is not None or self.incumbent_knows_by_heart
        reason = (
            train.obstacle
            or ("" if worth_a_look else shortfall(train, rule.one_side, rule))
            or self._unreached()
            or gap(train, rule)
            or ("" if worth_a_look else shortfall(strict, rule.one_side, rule))
        )
        if reason:
            return self.verdict("reject", reason, train)
        if held_out is None:
            return self.verdict("confirm", "promising on the training clips", train)
        return _Confirmation(self, incumbent, held_out, train, strict).decide()

    def _unfinished(self, ours: Report, theirs: Report) -> Verdict:
        """Return the verdict on a candidate that was not measured on every training window."""
        margins = not self.incumbent_knows_by_heart
        why, train = certain_loss(ours, theirs, "train", self.rule, margins=margins)
        if not (why := why or (self._unreached() if curves(ours, "train") else "")):
            return self.verdict("undecidable", unfinished_text(ours))
        return self.verdict("reject", stopped_text(why, ours), train)

    @cached_property
    def training(self) -> RecordFigures:
        """The candidate's figures on the training windows."""
        return contest_figures(self.candidate.train, "train")

    @cached_property
    def _recorded(self) -> RecordFigures:
        """The training figures of record: no rate where windows are missing, as it would be one of other windows."""
        found = self.training
        return replace(found, measured=Measured()) if self.candidate.train.unmeasured else found

    @cached_property
    def incumbent_knows_by_heart(self) -> bool:
        """Tell whether the incumbent seems to know the training windows by heart (it was adopted before rule 3).

        Its training windows may then not keep a successor away that is better where nothing can be known.
        """
        known = sides(self.incumbent) if self.incumbent is not None else None
        return known is not None and bool(by_heart(known, None, self.rule))

    def _unreached(self) -> str:
        """Return why there would be no rate at the reference quality; empty when there is one on every window."""
        reached = self.training.measured.bitrate_mbps is not None
        return "" if reached else "a curve does not pass through the reference quality of its training window"

    def verdict(
        self, decision: Decision, reason: str, comparison: Comparison | None = None, **more: Any
    ) -> Verdict:
        """Return a verdict with the figures of record; those against the incumbent are of `comparison`."""
        means = comparison.means if comparison else None
        training = self._recorded
        record = figures_of_record(training, self.candidate.held_out)
        values: dict[str, Any] = {
            **record.measured.model_dump(exclude_unset=True),
            "training_bitrate_mbps": training.measured.bitrate_mbps,
            "training_bd_rate_vs_hevc": training.measured.bd_rate_vs_hevc,
            "training_bd_rate_vs_incumbent": means.bd_rate if means else None,
            "decision": decision,
            "reason": reason,
            "rule_version": self.rule.version,
            "figures_windows": record.windows,
            "bd_rate_vs_incumbent": means.bd_rate if means else None,
            "improvement": improvement_text(means, self.rule),
            "achievement": achievement(record),
            "rows": _with_figures(comparison.rows if comparison else training.rows, training),
            "sealed_rows": record.rows if record.windows == "sealed" else (),
            **more,
        }
        return Verdict(**values)


@dataclass(frozen=True)
class _Confirmation:
    """A candidate that was measured on the held-out clips too."""

    trial: _Trial
    incumbent: Contest
    ours: Report
    train: Comparison
    strict: Comparison

    def decide(self) -> Verdict:
        """Return the verdict on all clips together, and on the held-out ones alone."""
        ours, theirs, train = self.ours, self.incumbent.held_out, self.trial.candidate.train
        if ours.source_sha256 != train.source_sha256:
            return self._verdict("undecidable", "the training and held-out reports are of different sources")
        if ours.failure is not None:
            return self._verdict("reject", "failed on the held-out clips", failure_kind=ours.failure.kind)
        if theirs is None or theirs.failure is not None:
            return self._verdict("undecidable", "the incumbent has no held-out report to compare with")
        repeated = _repeated(train, ours)
        if repeated is False:
            return self._unlike(train, ours)
        if ours.unmeasured and (early := self._unfinished(ours, theirs)):
            return early
        if repeated is None:
            return self._verdict("undecidable", "the held-out report repeats no training clip")
        try:
            held_out = compare(ours, theirs, "held_out")
        except Incomparable as error:
            return self._verdict("undecidable", str(error))
        verdict = self._judged(held_out, compare(ours, theirs, "held_out", STRICT))
        if verdict.decision == "adopt" and ours.unmeasured:
            return self._verdict("undecidable", unfinished_text(ours))
        return verdict

    def _unfinished(self, ours: Report, theirs: Report) -> Verdict | None:
        """Return the verdict while held-out windows are missing; None when at most sealed ones are."""
        if all(each.role == "sealed" for each in ours.unmeasured):
            return None
        why, held_out = certain_loss(ours, theirs, "held_out", self.trial.rule, margins=True)
        if not why:
            return self._verdict("undecidable", unfinished_text(ours))
        rows = held_out.rows if held_out else ()
        return self._verdict(
            "reject", UNCONFIRMED, held_out_reason=stopped_text(why, ours), held_out_rows=rows
        )

    def _unlike(self, train: Report, ours: Report) -> Verdict:
        """Return the verdict on a codec whose two runs of one window differ, although each repeats itself."""
        first, second = _processors(train, ours)
        if first != second:
            reason = (
                f"one training window gave different packets or frames on {first} and {second}, "
                "though each of them repeats itself: keep every state in integers"
            )
            return self._verdict("reject", reason, failure_kind="other_hardware")
        reason = "two runs of one training clip gave different packets or frames"
        return self._verdict("reject", reason, failure_kind="nondeterministic")

    def _judged(self, held_out: Comparison, strict: Comparison) -> Verdict:
        """Return the verdict on two comparisons of the held-out clips: the printed one, and at the own points."""
        rule, rows = self.trial.rule, held_out.rows
        windows = sum(len(row.windows) for row in rows)
        if windows < rule.held_out_windows or len(rows) < rule.held_out_clips:
            reason = "too few held-out windows in common with the incumbent"
            return self._verdict("undecidable", reason, held_out_rows=rows)
        both, told = pooled(self.train, held_out), {"held_out_rows": rows}
        told |= _pooled_figures(both, rule)
        if why := by_heart(sides(self.trial.candidate), sides(self.incumbent), rule):
            return self._verdict("reject", BY_HEART, held_out_reason=why, **told)
        why = (
            shortfall(held_out, rule.one_side, rule)
            or gap(held_out, rule)
            or shortfall(strict, rule.one_side, rule)
        )
        if why:
            return self._verdict("reject", UNCONFIRMED, held_out_reason=why, **told)
        if not (
            shortfall(both, rule.margins, rule) or shortfall(pooled(self.strict, strict), rule.margins, rule)
        ):
            return self._verdict("adopt", "better, and confirmed on the held-out clips", **told)
        why = shortfall(held_out, rule.margins, rule) or shortfall(strict, rule.margins, rule)
        if not why:
            reason = "better on the held-out clips, where nothing can be known by heart"
            return self._verdict("adopt", reason, **told)
        reason = "better, but not by enough over all clips together"
        return self._verdict(
            "reject", reason, held_out_reason=shortfall(both, rule.margins, rule) or why, **told
        )

    def _verdict(self, decision: Decision, reason: str, **more: Any) -> Verdict:
        return self.trial.verdict(decision, reason, self.train, **more)


def sides(contest: Contest) -> Sides:
    """Return a codec's BD-rates against the anchor on both sides of a contest."""
    train = contest_figures(contest.train, "train")
    later = contest.held_out
    measured = later is not None and later.failure is None
    unseen = contest_figures(later, "held_out").measured.bd_rate_vs_hevc if later and measured else None
    clips = {row.clip: row.bd_rate_vs_hevc for row in train.rows}
    return Sides(train.measured.bd_rate_vs_hevc, unseen, clips)


def _pooled_figures(both: Comparison, rule: Rule) -> dict[str, Any]:
    """Return what a verdict tells people of all contest clips together."""
    means = both.means
    if means is None:
        return {}
    return {"bd_rate_vs_incumbent": means.bd_rate, "improvement": improvement_text(means, rule)}


def _processors(train: Report, held_out: Report) -> tuple[str, str]:
    """Return the processors on which the two reports ran the window that both have."""
    common = sorted(train.packets_sha256.keys() & held_out.packets_sha256.keys())
    first, second = (
        next((each.processors[key] for key in common if key in each.processors), each.processor)
        for each in (train, held_out)
    )
    return first, second


def _repeated(train: Report, held_out: Report) -> bool | None:
    """Tell whether the windows that both reports ran gave the same packets and frames; None if there is none."""
    pairs = ((train.packets_sha256, held_out.packets_sha256), (train.frames_sha256, held_out.frames_sha256))
    agree = [ours[key] == theirs[key] for ours, theirs in pairs for key in ours.keys() & theirs.keys()]
    return all(agree) if agree else None


def _with_figures(rows: tuple[ClipRow, ...], figures: RecordFigures) -> tuple[ClipRow, ...]:
    """Return rows with the rates and BD-rates against HEVC of the same clips."""
    known = {row.clip: row for row in figures.rows}
    return tuple(
        replace(
            row, bd_rate_vs_hevc=known[row.clip].bd_rate_vs_hevc, bitrate_mbps=known[row.clip].bitrate_mbps
        )
        for row in rows
    )
