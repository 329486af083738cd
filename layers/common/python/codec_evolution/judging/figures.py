"""The figures of one codec: rates at the reference quality and BD-rates against HEVC. Pure functions.

Those of record come from the sealed windows, which no contest uses; where a codec was not measured on them (it did
not get that far), from the training windows of its contest, and the record says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codec_evolution.contracts import Report
from codec_evolution.judging.comparison import (
    ClipRow,
    anchor_curves,
    curves,
    figures_of,
    mean_or_none,
    range_on,
)
from codec_evolution.judging.rate_distortion import (
    HEVC_ANCHOR_MBPS,
    compression_ratio,
    geometric_mean,
    mean_bd_rate,
    ms_ssim_at,
)
from codec_evolution.record import Measured

Windows = Literal["sealed", "training"]
ACHIEVEMENT_PERCENT = (90, 70, 50)


@dataclass(frozen=True)
class RecordFigures:
    """The figures of one codec over windows of one role.

    Attributes
    ----------
    measured : Measured
        Means over the clips, rounded; None where a curve does not allow one.
    rows : tuple of ClipRow
        By clip.
    hevc_mbps : float or None
        What x265 zerolatency needs on the same windows at the same quality: 10 Mbps, but for windows that need less
        at QP 22.
    windows : Windows
        Which windows they are of.
    """

    measured: Measured
    rows: tuple[ClipRow, ...]
    hevc_mbps: float | None
    windows: Windows


def figures_of_record(training: RecordFigures, measured: Report | None) -> RecordFigures:
    """Return the figures of a report's sealed windows; those of the training windows where it has none."""
    if measured is not None and measured.failure is None and curves(measured, "sealed"):
        return contest_figures(measured, "sealed")
    return training


def contest_figures(report: Report, role: str) -> RecordFigures:
    """Return the figures over all windows of a role: ``train``, ``held_out`` or ``sealed``."""
    anchors = anchor_curves(report)
    rows: dict[str, list[ClipRow]] = {}
    similarities: list[float | None] = []
    levels: list[float] = []
    needs: list[float] = []
    for key, curve in sorted(curves(report, role).items()):
        within = range_on(report, key)
        versus, rate = figures_of(curve, anchors.get(key), within)
        rows.setdefault(key[0], []).append(
            ClipRow(key[0], (key[1],), bd_rate_vs_hevc=versus, bitrate_mbps=rate)
        )
        similarities.append(ms_ssim_at(curve, within.reference_db))
        levels.append(within.reference_db)
        needs.append(within.reference_mbps)
    by_clip = tuple(_mean_row(each) for each in rows.values())
    rate = mean_or_none([row.bitrate_mbps for row in by_clip], geometric_mean)
    reached = rate is not None
    measured = Measured(
        bitrate_mbps=_rounded(rate, 3),
        compression_ratio=_rounded(compression_ratio(rate), 2) if reached else None,
        psnr_db=_rounded(sum(levels) / len(levels), 2) if reached else None,
        ms_ssim=_rounded(mean_or_none(similarities, geometric_mean), 4),
        bd_rate_vs_hevc=_rounded(mean_or_none([row.bd_rate_vs_hevc for row in by_clip], mean_bd_rate), 1),
    )
    needed = geometric_mean(needs) if needs else None
    return RecordFigures(measured, by_clip, needed, "sealed" if role == "sealed" else "training")


def _mean_row(rows: list[ClipRow]) -> ClipRow:
    """Return one clip's windows as one row."""
    return ClipRow(
        rows[0].clip,
        tuple(index for row in rows for index in row.windows),
        bd_rate_vs_hevc=mean_or_none([row.bd_rate_vs_hevc for row in rows], mean_bd_rate),
        bitrate_mbps=mean_or_none([row.bitrate_mbps for row in rows], geometric_mean),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def achievement(figures: RecordFigures) -> str:
    """Return the highest of the 50, 70 and 90% lines under the rate that HEVC itself needs; or empty.

    The rate of HEVC is 10 Mbps at the reference quality by its definition, or what its best quality needs.
    """
    rate, hevc_mbps = figures.measured.bitrate_mbps, figures.hevc_mbps or HEVC_ANCHOR_MBPS
    if rate is not None:
        for percent in ACHIEVEMENT_PERCENT:
            if rate <= hevc_mbps * (100 - percent) / 100:
                return f"{percent}% below the 10 Mbps HEVC line"
    return ""
