"""What a probe says of a draft: its rate and time beside the incumbent's, on the windows that both have measured.

An indication, not a verdict: a few points of the benchmark, each held against the incumbent's stored curve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from codec_evolution.contracts import MeasuredPoint, Report
from codec_evolution.judging.comparison import WindowKey, anchor_curves, curves
from codec_evolution.judging.rate_distortion import Point, geometric_mean, mean_bd_rate, rate_at

SYNTAX_ELEMENTS = ("headers", "modes", "motion", "luma", "chroma", "filter", "other")
"""Shares of the bits that are shown; ``other`` is what the codec does not account for."""


@dataclass(frozen=True)
class ProbeRow:
    """One window at one quality.

    Attributes
    ----------
    bitrate_mbps, psnr_db
        The draft's point; the rate in Mbps at 1080p30.
    rate_change, rate_change_vs_hevc
        Percent of the rate that the incumbent, or x265, needs for the same PSNR; negative is better. None where its
        curve does not reach that PSNR.
    encode_s, decode_s
        CPU seconds of one frame.
    time_ratio
        CPU seconds over the incumbent's for the same work; None if those are not known.
    """

    clip: str
    window: int
    quality: int
    bitrate_mbps: float
    psnr_db: float
    rate_change: float | None
    rate_change_vs_hevc: float | None
    encode_s: float
    decode_s: float
    time_ratio: float | None


@dataclass(frozen=True)
class ProbeFigures:
    """A draft beside the incumbent.

    Attributes
    ----------
    rate_change
        Geometric mean over the rows, in percent; None where a row has none.
    cpu_s
        CPU seconds that the whole benchmark is expected to take; None without the incumbent's.
    incumbent_cpu_s
        What the incumbent took for it.
    bits
        Percent of the bits by syntax element, where the draft counts them.
    """

    rows: tuple[ProbeRow, ...]
    rate_change: float | None
    cpu_s: float | None
    incumbent_cpu_s: float | None
    bits: Mapping[str, int] = field(default_factory=dict[str, int])


def probe_figures(draft: Report, incumbent: Report | None) -> ProbeFigures:
    """Return the figures of a probe beside those of the incumbent on the same windows.

    Parameters
    ----------
    draft
        A report whose points come from the probe stage.
    incumbent
        The incumbent's report on the training windows of the same contest; None if it is not stored.
    """
    known = incumbent if incumbent is not None and incumbent.clip_set == draft.clip_set else None
    theirs = curves(known, "train") if known else {}
    points = {(p.clip, p.window, p.quality): p for p in known.points} if known else {}
    anchors = anchor_curves(draft)
    rows = tuple(
        _row(point, theirs, anchors, points.get((point.clip, point.window, point.quality)))
        for point in sorted(draft.points, key=lambda p: (p.clip, p.window, p.quality))
    )
    changes = [row.rate_change for row in rows if row.rate_change is not None]
    ratios = [row.time_ratio for row in rows if row.time_ratio is not None]
    incumbent_cpu_s = sum(_cpu_s(point) for point in known.points) if known else None
    expected = geometric_mean(ratios) * incumbent_cpu_s if ratios and incumbent_cpu_s else None
    complete = bool(rows) and len(changes) == len(rows)
    bits = {name: share for name, share in draft.bits.items() if name in SYNTAX_ELEMENTS}
    return ProbeFigures(rows, mean_bd_rate(changes) if complete else None, expected, incumbent_cpu_s, bits)


@dataclass(frozen=True)
class Variant:
    """A draft with other settings.

    Attributes
    ----------
    config
        The settings; empty for the draft's own.
    figures
        None where it failed.
    failure
        How it failed, "" if it did not.
    """

    config: Mapping[str, float]
    figures: ProbeFigures | None
    failure: str = ""


def tuned_figures(tuned: Report, incumbent: Report | None) -> list[Variant]:
    """Return the figures of each setting that a probe has measured, in the order in which they were asked for."""
    found: list[Variant] = []
    for number, asked in enumerate(tuned.to_payload().get("variants", ())):
        points = [point for point in tuned.points if point.to_payload().get("variant") == number]
        part = tuned.model_copy(update={"points": points})
        figures = probe_figures(part, incumbent) if points else None
        found.append(Variant(asked["config"], figures, asked["failure"]))
    return found


def best_variant(variants: Sequence[Variant]) -> Variant | None:
    """Return the setting with the lowest mean change of rate; None if none has one."""
    known = [(each.figures.rate_change, number) for number, each in enumerate(variants) if each.figures]
    measured = [(change, number) for change, number in known if change is not None]
    return variants[min(measured)[1]] if measured else None


def _row(
    point: MeasuredPoint,
    theirs: Mapping[WindowKey, Sequence[Point]],
    anchors: Mapping[WindowKey, Sequence[Point]],
    same: MeasuredPoint | None,
) -> ProbeRow:
    key, frames = (point.clip, point.window), max(1, point.frames)
    before = _cpu_s(same) if same else 0.0
    return ProbeRow(
        clip=point.clip,
        window=point.window,
        quality=point.quality,
        bitrate_mbps=point.bitrate_mbps,
        psnr_db=point.psnr_db,
        rate_change=_change(point, theirs.get(key, ())),
        rate_change_vs_hevc=_change(point, anchors.get(key, ())),
        encode_s=(point.encode_cpu_s or 0.0) / frames,
        decode_s=(point.decode_cpu_s or 0.0) / frames,
        time_ratio=_cpu_s(point) / before if before and _cpu_s(point) else None,
    )


def _change(point: MeasuredPoint, curve: Sequence[Point]) -> float | None:
    """Return the change of rate in percent at the point's PSNR; None where the curve does not reach it."""
    rate = rate_at(curve, point.psnr_db)
    return (point.bitrate_mbps / rate - 1) * 100 if rate and point.bitrate_mbps > 0 else None


def _cpu_s(point: MeasuredPoint) -> float:
    return (point.encode_cpu_s or 0.0) + (point.decode_cpu_s or 0.0)
