"""The adoption rule: from the reports of candidate and incumbent to a verdict. Pure functions.

The rule compares only windows that both have measured, of one and the same clip set. Figures of training
windows are public; those of held-out windows stay in `Verdict.held_out_rows`, and no reason mentions them.
"""

from dataclasses import asdict, dataclass, replace
from typing import Literal

from codec_evolution.rate_distortion import (
    FLOOR_DB,
    HEVC_ANCHOR_MBPS,
    Point,
    bd_rate,
    compression_ratio,
    coverage,
    geometric_mean,
    is_measurable,
    mean_bd_rate,
    ms_ssim_at,
    pareto,
    rate_at,
)

Decision = Literal["adopt", "reject", "confirm", "undecidable"]
HEVC_ANCHOR = "x265_zerolatency"
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
    held_out_windows, held_out_clips : int
        How many common held-out windows, of how many clips, a confirmation needs.
    """

    version: str = "1"
    bd_rate: float = -10.0
    ratio: float = 1.20
    worst_clip: float = 5.0
    worst_ms_ssim: float = 2.0
    held_out_windows: int = 3
    held_out_clips: int = 2


RULE = Rule()


@dataclass(frozen=True)
class Contest:
    """The sandbox's reports on one codec: training windows, and held-out windows once they were measured."""

    train: dict
    held_out: dict | None = None


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
class Verdict:
    """The decision and the figures of record.

    `bitrate_mbps`, `compression_ratio` and `ms_ssim` are at 36 dB, geometric means over the training
    clips' windows 0, as `bd_rate_vs_hevc` is; None where a curve does not reach 36 dB. `failure_kind` is
    set when the candidate itself failed (``test_failed`` outside). `held_out_rows` are for operators only.
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

    def as_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """Two codecs on the windows both have measured."""

    rows: tuple[ClipRow, ...]
    bd_rate: float | None
    ms_ssim_bd_rate: float | None
    ratio: float | None
    obstacle: str = ""


class Incomparable(ValueError):
    """Two reports cannot be compared, through no fault of the candidate."""


def curves(report: dict, role: str) -> dict[tuple[str, int], list[Point]]:
    """The report's curves by (clip, window), of clips with this role."""
    found: dict[tuple[str, int], list[Point]] = {}
    for row in report["points"]:
        if row["role"] == role:
            point = Point(row["bitrate_mbps"], row["psnr_db"], row["ms_ssim"])
            found.setdefault((row["clip"], row["window"]), []).append(point)
    return found


def anchor_curves(report: dict, codec: str = HEVC_ANCHOR) -> dict[tuple[str, int], list[Point]]:
    """The reference curves of one codec that travelled with the report, by (clip, window)."""
    return {
        (row["clip"], row["window"]): [
            Point(point["bitrate_mbps"], point["psnr_db"], point["ms_ssim"]) for point in row["points"]
        ]
        for row in report.get("anchors", [])
        if row["codec"] == codec
    }


def compare(candidate: dict, incumbent: dict, role: str) -> Comparison:
    """Candidate against incumbent over the windows of `role` that both have measured.

    Raises
    ------
    Incomparable
        The clip sets differ, or no window is common to both where the incumbent has a usable curve.
    """
    if candidate["clip_set"] != incumbent["clip_set"]:
        raise Incomparable("the reports are of different clip sets")
    theirs = {key: curve for key, curve in curves(incumbent, role).items() if is_measurable(curve)}
    ours = {key: curve for key, curve in curves(candidate, role).items() if key in theirs}
    if not ours:
        raise Incomparable(f"candidate and incumbent have no {role.replace('_', '-')} window in common")
    obstacle = next((why for key, curve in sorted(ours.items()) if (why := _flaw(key, curve))), "")
    clips = sorted({clip for clip, _ in ours})
    rows = tuple(_compared_row(clip, ours, theirs) for clip in clips)
    means = [
        _mean_or_none([getattr(row, name) for row in rows], mean)
        for name, mean in (
            ("bd_rate_vs_incumbent", mean_bd_rate),
            ("ms_ssim_bd_rate_vs_incumbent", mean_bd_rate),
            ("ratio_vs_incumbent", geometric_mean),
        )
    ]
    if not obstacle and None in means[:2]:
        obstacle = "the curves of candidate and incumbent share too little quality to be compared"
    return Comparison(rows, *means, obstacle)


def _flaw(key: tuple[str, int], curve: list[Point]) -> str:
    if is_measurable(curve):
        return ""
    share = coverage(curve)
    return (
        f"clip {key[0]}: no BD-rate, the curve has {len(pareto(curve))} useful points and covers "
        f"{share:.0%} of 32 to 41 dB; 4 points and 50% are needed, so `quality` must matter"
    )


def _mean_or_none(values, mean):
    return None if not values or None in values else mean(values)


def _compared_row(clip, ours, theirs) -> ClipRow:
    keys = sorted(key for key in ours if key[0] == clip)
    rates = [bd_rate(theirs[key], ours[key]) for key in keys]
    similarity = [bd_rate(theirs[key], ours[key], "ms_ssim_db") for key in keys]
    floors = [(rate_at(theirs[key]), rate_at(ours[key])) for key in keys]
    ratios = [None if None in pair else pair[0] / pair[1] for pair in floors]
    return ClipRow(
        clip=clip,
        windows=tuple(window for _, window in keys),
        bd_rate_vs_incumbent=_mean_or_none(rates, mean_bd_rate),
        ms_ssim_bd_rate_vs_incumbent=_mean_or_none(similarity, mean_bd_rate),
        ratio_vs_incumbent=_mean_or_none(ratios, geometric_mean),
    )


def shortfall(comparison: Comparison, rule: Rule = RULE) -> str:
    """Why the candidate is not better by the rule's margins; empty when it is."""
    if comparison.obstacle:
        return comparison.obstacle
    enough_ratio = comparison.ratio is not None and comparison.ratio >= rule.ratio - ROUNDING
    if comparison.bd_rate > rule.bd_rate + ROUNDING and not enough_ratio:
        return (
            f"BD-rate {comparison.bd_rate:+.1f}% against the incumbent; "
            f"{rule.bd_rate:.0f}% or {rule.ratio:.2f} times its compression ratio at 36 dB is needed"
        )
    worst = max(comparison.rows, key=lambda row: row.bd_rate_vs_incumbent)
    if worst.bd_rate_vs_incumbent > rule.worst_clip + ROUNDING:
        return (
            f"clip {worst.clip} got worse: BD-rate {worst.bd_rate_vs_incumbent:+.1f}%, "
            f"{rule.worst_clip:+.0f}% is allowed"
        )
    if comparison.ms_ssim_bd_rate > rule.worst_ms_ssim + ROUNDING:
        return (
            f"MS-SSIM got worse: BD-rate over MS-SSIM {comparison.ms_ssim_bd_rate:+.1f}%, "
            f"{rule.worst_ms_ssim:+.0f}% is allowed"
        )
    return ""


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
        anchor = anchors.get((clip, window))
        versus = bd_rate(anchor, curve) if anchor else None
        rows.append(ClipRow(clip, (window,), bd_rate_vs_hevc=versus, bitrate_mbps=rate_at(curve)))
        similarities.append(ms_ssim_at(curve))
    rate = _mean_or_none([row.bitrate_mbps for row in rows], geometric_mean)
    return Trend(
        rows=tuple(rows),
        bd_rate_vs_hevc=_mean_or_none([row.bd_rate_vs_hevc for row in rows], mean_bd_rate),
        bitrate_mbps=rate,
        compression_ratio=None if rate is None else compression_ratio(rate),
        ms_ssim=_mean_or_none(similarities, geometric_mean),
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
    if reason := shortfall(comparison, rule) or _floor_missed(figures):
        return _verdict("reject", reason, figures, comparison, rule)
    if candidate.held_out is None:
        return _verdict("confirm", "better on the training clips", figures, comparison, rule)
    return _confirmed(candidate, incumbent, figures, comparison, rule)


def _without_contest(train: dict, figures: Trend, rule: Rule) -> Verdict:
    flaws = [why for key, curve in sorted(curves(train, "train").items()) if (why := _flaw(key, curve))]
    if reason := (flaws[0] if flaws else _floor_missed(figures)):
        return _verdict("reject", reason, figures, None, rule)
    return _verdict("adopt", "the baseline, adopted without a contest", figures, None, rule)


def _floor_missed(figures: Trend) -> str:
    """Without a rate at 36 dB there would be no figure of record."""
    reached = figures.bitrate_mbps is not None
    return "" if reached else "the curve does not pass through 36 dB on every training clip"


def _confirmed(candidate, incumbent, figures, comparison, rule) -> Verdict:
    def verdict(decision: Decision, reason: str, rows=(), kind: str = "") -> Verdict:
        return _verdict(decision, reason, figures, comparison, rule, held_out_rows=rows, failure_kind=kind)

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
    if shortfall(held_out, rule):
        return verdict(
            "reject", "better on the training clips, not confirmed on the held-out clips", held_out.rows
        )
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
