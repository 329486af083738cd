"""The adoption rule: from the reports of candidate and incumbent to a verdict. Pure functions.

The rule compares only windows that both have measured, of one and the same clip set. Figures of training
windows are public; those of held-out windows stay in `Verdict.held_out_rows`, and no reason mentions them.

The margins must be reached twice: by the printed BD-rate (Akima, over all that both curves reach) and at the
candidate's own points within 32 to 41 dB. The first alone can be fooled without saving a bit, by where a codec puts
its points.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Literal

from codec_evolution.judging.comparison import (
    STRICT,
    ClipRow,
    Comparison,
    Incomparable,
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
        codec that is better by 10% and knows the training clips by heart would be adopted with figures of fantasy.
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

    train: dict
    held_out: dict | None = None


@dataclass(frozen=True)
class Verdict:
    """The decision and the figures of record.

    `bitrate_mbps`, `compression_ratio` and `ms_ssim` are at 36 dB, geometric means over the training
    clips' windows 0, as `bd_rate_vs_hevc` is; None where a curve does not reach 36 dB. `failure_kind` is
    set when the candidate itself failed (``test_failed`` outside). `held_out_rows`, and `held_out_reason` that says why
    they confirm nothing, are for operators only.
    """

    decision: Decision
    reason: str
    rule_version: str
    bd_rate_vs_incumbent: float | None = None
    bd_rate_vs_hevc: float | None = None
    bitrate_mbps: float | None = None
    compression_ratio: float | None = None
    psnr_db: float | None = None
    ms_ssim: float | None = None
    improvement: str = ""
    achievement: str = ""
    failure_kind: str = ""
    rows: tuple[ClipRow, ...] = ()
    held_out_rows: tuple[ClipRow, ...] = ()
    held_out_reason: str = ""

    def as_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def shortfall(comparison: Comparison, rule: Rule = RULE) -> str:
    """Why the candidate is not better by the rule's margins; empty when it is."""
    if comparison.obstacle:
        return comparison.obstacle
    enough_ratio = comparison.ratio is not None and comparison.ratio >= rule.ratio - ROUNDING
    if comparison.bd_rate > rule.bd_rate + ROUNDING and not enough_ratio:
        return (
            f"{comparison.words}BD-rate {comparison.bd_rate:+.1f}% against the incumbent; "
            f"{rule.bd_rate:.0f}% or {rule.ratio:.2f} times its compression ratio at 36 dB is needed"
        )
    worst = max(comparison.rows, key=lambda row: row.bd_rate_vs_incumbent)
    if worst.bd_rate_vs_incumbent > rule.worst_clip + ROUNDING:
        return (
            f"{comparison.words}clip {worst.clip} got worse: BD-rate {worst.bd_rate_vs_incumbent:+.1f}%, "
            f"{rule.worst_clip:+.0f}% is allowed"
        )
    if comparison.ms_ssim_bd_rate > rule.worst_ms_ssim + ROUNDING:
        return (
            f"{comparison.words}MS-SSIM got worse: BD-rate over MS-SSIM {comparison.ms_ssim_bd_rate:+.1f}%, "
            f"{rule.worst_ms_ssim:+.0f}% is allowed"
        )
    return ""


def _gap(comparison: Comparison, rule: Rule) -> str:
    """Why the two curves share too little quality; empty when they share enough."""
    for clip, shared, covered in comparison.spans:
        needed = min(rule.coverage, 0.9 * covered)
        if shared < needed - ROUNDING:
            return (
                f"clip {clip}: candidate and incumbent share {shared:.0%} of 32 to 41 dB, {needed:.0%} are needed; "
                "`quality` 0 to 100 must span that range"
            )
    return ""


def _gain(comparison: Comparison) -> float:
    """What a candidate saves, as the natural logarithm of the incumbent's rate over its own."""
    saved = -math.log1p(comparison.bd_rate / 100)
    return saved if comparison.ratio is None else max(saved, math.log(comparison.ratio))


def _learnt(train: Comparison, held_out: Comparison, rule: Rule) -> str:
    """Why the gain seems to be of the training clips alone; empty when it does not."""
    share = _gain(held_out) / _gain(train)
    if share >= rule.generalisation:
        return ""
    return (
        f"the held-out clips show {share:.0%} of the gain on the training clips, {rule.generalisation:.0%} are needed: "
        "it may know those by heart"
    )


@dataclass(frozen=True)
class Trend:
    """Figures of record of one codec: training windows 0, means over clips, rates at 36 dB."""

    rows: tuple[ClipRow, ...]
    bd_rate_vs_hevc: float | None
    bitrate_mbps: float | None
    compression_ratio: float | None
    ms_ssim: float | None


def trend(report: dict, role: str = "train") -> Trend:
    """The figures of record, from windows 0 of the clips with this role."""
    measured = {key: curve for key, curve in curves(report, role).items() if key[1] == 0}
    anchors = anchor_curves(report)
    rows, similarities = [], []
    for (clip, window), curve in sorted(measured.items()):
        versus, rate = figures_of(curve, anchors.get((clip, window)))
        rows.append(ClipRow(clip, (window,), bd_rate_vs_hevc=versus, bitrate_mbps=rate))
        similarities.append(ms_ssim_at(curve))
    rate = mean_or_none([row.bitrate_mbps for row in rows], geometric_mean)
    return Trend(
        rows=tuple(rows),
        bd_rate_vs_hevc=mean_or_none([row.bd_rate_vs_hevc for row in rows], mean_bd_rate),
        bitrate_mbps=rate,
        compression_ratio=None if rate is None else compression_ratio(rate),
        ms_ssim=mean_or_none(similarities, geometric_mean),
    )


def achievement(bitrate_mbps: float | None) -> str:
    """The highest of the 50, 70 and 90% lines under 10 Mbps that a rate at 36 dB has reached; or empty."""
    if bitrate_mbps is not None:
        for percent in ACHIEVEMENT_PERCENT:
            if bitrate_mbps <= HEVC_ANCHOR_MBPS * (100 - percent) / 100:
                return f"{percent}% below the 10 Mbps HEVC line"
    return ""


def improvement_text(comparison: Comparison | None, rule: Rule = RULE) -> str:
    """The `improvement` of the record: ``15.3% bitrate reduction``."""
    if comparison is None or comparison.bd_rate is None:
        return ""
    if comparison.bd_rate > rule.bd_rate and comparison.ratio and comparison.ratio >= rule.ratio:
        return f"{(comparison.ratio - 1) * 100:.1f}% higher compression ratio"
    kind = "reduction" if comparison.bd_rate <= 0 else "increase"
    return f"{abs(comparison.bd_rate):.1f}% bitrate {kind}"


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
        ``undecidable`` when the reports cannot be compared, which is nobody's loss.
    """
    train = candidate.train
    if train["outcome"] != "passed":
        failure = train["failure"]
        return Verdict("reject", failure["message"], rule.version, failure_kind=failure["kind"])
    comparison = None
    if incumbent is not None:
        try:
            comparison = compare(train, incumbent.train, "train")
        except Incomparable as error:
            return _verdict("undecidable", str(error), trend(train), None, rule)
    figures = trend(train)
    if comparison is None:
        return _without_contest(train, figures, rule)
    reason = shortfall(comparison, rule) or _floor_missed(figures) or _gap(comparison, rule)
    if reason := reason or shortfall(compare(train, incumbent.train, "train", STRICT), rule):
        return _verdict("reject", reason, figures, comparison, rule)
    if candidate.held_out is None:
        return _verdict("confirm", "better on the training clips", figures, comparison, rule)
    return _confirmed(candidate, incumbent, figures, comparison, rule)


def _without_contest(train: dict, figures: Trend, rule: Rule) -> Verdict:
    flaws = [why for key, curve in sorted(curves(train, "train").items()) if (why := flaw(key, curve))]
    if reason := (flaws[0] if flaws else _floor_missed(figures)):
        return _verdict("reject", reason, figures, None, rule)
    return _verdict("adopt", "the baseline, adopted without a contest", figures, None, rule)


def _floor_missed(figures: Trend) -> str:
    """Without a rate at 36 dB there would be no figure of record."""
    reached = figures.bitrate_mbps is not None
    return "" if reached else "the curve does not pass through 36 dB on every training clip"


def _confirmed(candidate, incumbent, figures, comparison, rule) -> Verdict:
    def verdict(decision: Decision, reason: str, rows=(), kind: str = "", why: str = "") -> Verdict:
        kept = {"held_out_rows": rows, "held_out_reason": why, "failure_kind": kind}
        return _verdict(decision, reason, figures, comparison, rule, **kept)

    ours, theirs = candidate.held_out, incumbent.held_out
    if ours["source_sha256"] != candidate.train["source_sha256"]:
        return verdict("undecidable", "the training and held-out reports are of different sources")
    if ours["outcome"] != "passed":
        return verdict("reject", "failed on the held-out clips", kind=ours["failure"]["kind"])
    if theirs is None or theirs["outcome"] != "passed":
        return verdict("undecidable", "the incumbent has no held-out report to compare with")
    repeated = _repeated(candidate.train, ours)
    if repeated is None:
        return verdict("undecidable", "the held-out report repeats no training clip")
    if not repeated:
        why = "two runs of one training clip gave different packets or frames"
        return verdict("reject", why, kind="nondeterministic")
    try:
        held_out = compare(ours, theirs, "held_out")
    except Incomparable as error:
        return verdict("undecidable", str(error))
    windows = sum(len(row.windows) for row in held_out.rows)
    if windows < rule.held_out_windows or len(held_out.rows) < rule.held_out_clips:
        return verdict("undecidable", "too few held-out windows in common with the incumbent", held_out.rows)
    strict = compare(ours, theirs, "held_out", STRICT)
    why = shortfall(held_out, rule) or _gap(held_out, rule) or shortfall(strict, rule)
    if why := why or _learnt(comparison, held_out, rule):
        reason = "better on the training clips, not confirmed on the held-out clips"
        return verdict("reject", reason, held_out.rows, why=why)
    return verdict("adopt", "better on the training clips, confirmed on the held-out clips", held_out.rows)


def _repeated(train: dict, held_out: dict) -> bool | None:
    """Whether the windows that both reports ran gave the same packets and frames; None if there is none."""
    agree = None
    for name in ("packets_sha256", "frames_sha256"):
        for key in train[name].keys() & held_out[name].keys():
            agree = train[name][key] == held_out[name][key] and agree is not False
    return agree


def _verdict(decision, reason, figures, comparison, rule, **more) -> Verdict:
    versus = {row.clip: row for row in comparison.rows} if comparison else {}
    rows = tuple(
        replace(versus.get(row.clip, row), bd_rate_vs_hevc=row.bd_rate_vs_hevc, bitrate_mbps=row.bitrate_mbps)
        for row in figures.rows
    )
    return Verdict(
        decision=decision,
        reason=reason,
        rule_version=rule.version,
        bd_rate_vs_incumbent=comparison.bd_rate if comparison else None,
        bd_rate_vs_hevc=figures.bd_rate_vs_hevc,
        bitrate_mbps=figures.bitrate_mbps,
        compression_ratio=figures.compression_ratio,
        psnr_db=None if figures.bitrate_mbps is None else FLOOR_DB,
        ms_ssim=figures.ms_ssim,
        improvement=improvement_text(comparison, rule),
        achievement=achievement(figures.bitrate_mbps),
        rows=rows,
        **more,
    )
