"""Two codecs side by side: their curves out of reports, and clip by clip how many bits one needs of the other's.

Pure functions. What is enough to be adopted is said in `codec_evolution.judging.adoption`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from codec_evolution.judging.rate_distortion import (
    MAXIMUM_DIP,
    MAXIMUM_GAP_DB,
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


@dataclass(frozen=True)
class Yardstick:
    """A way to compare two curves, incumbent's and candidate's, with the words that a reason begins with."""

    words: str
    bd_rate: Callable[..., float | None]
    ratio: Callable[[list[Point], list[Point]], float | None]


PRINTED = Yardstick("", bd_rate, ratio_at_floor)
STRICT = Yardstick("at the measured points within 32 to 41 dB: ", bd_rate_in_window, ratio_in_window)


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
class Comparison:
    """Two codecs on the windows both have measured.

    Attributes
    ----------
    rows : tuple of ClipRow
    bd_rate, ms_ssim_bd_rate, ratio : float or None
        Means over the clips.
    spans : tuple of (str, float, float)
        For every window its clip, the share of 32 to 41 dB that both curves span, and that the incumbent's spans.
    obstacle : str
        Why there is no comparison; empty when there is one.
    words : str
        Of the yardstick.
    """

    rows: tuple[ClipRow, ...]
    bd_rate: float | None
    ms_ssim_bd_rate: float | None
    ratio: float | None
    spans: tuple[tuple[str, float, float], ...]
    obstacle: str = ""
    words: str = ""


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


def compare(candidate: dict, incumbent: dict, role: str, yardstick: Yardstick = PRINTED) -> Comparison:
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
    obstacle = next((why for key, curve in sorted(ours.items()) if (why := flaw(key, curve))), "")
    clips = sorted({clip for clip, _ in ours})
    rows = tuple(_compared_row(clip, ours, theirs, yardstick) for clip in clips)
    means = [
        mean_or_none([getattr(row, name) for row in rows], mean)
        for name, mean in (
            ("bd_rate_vs_incumbent", mean_bd_rate),
            ("ms_ssim_bd_rate_vs_incumbent", mean_bd_rate),
            ("ratio_vs_incumbent", geometric_mean),
        )
    ]
    if not obstacle and None in means[:2]:
        obstacle = "the curves of candidate and incumbent share too little quality to be compared"
    spans = tuple(
        (key[0], shared_window(ours[key], theirs[key]), coverage(theirs[key])) for key in sorted(ours)
    )
    return Comparison(rows, *means, spans, obstacle, yardstick.words)


def flaw(key: tuple[str, int], curve: list[Point]) -> str:
    """Why a curve cannot be compared with any other; empty when it can."""
    if not is_measurable(curve):
        return (
            f"clip {key[0]}: no BD-rate, the curve has {len(pareto(curve))} useful points and covers "
            f"{coverage(curve):.0%} of 32 to 41 dB; 4 points and 50% are needed, so `quality` must matter"
        )
    uneven = unevenness(curve)
    return f"clip {key[0]}: no BD-rate, {uneven}" if uneven else ""


def unevenness(curve: list[Point]) -> str:
    """How the points lie so that interpolation between them flatters the codec; empty when it does not.

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


def mean_or_none(values: list, mean: Callable[[list], float]) -> float | None:
    """The mean, or None where there is nothing or a value is missing."""
    return None if not values or None in values else mean(values)


def _compared_row(clip, ours, theirs, yardstick: Yardstick) -> ClipRow:
    keys = sorted(key for key in ours if key[0] == clip)
    if any(flaw(key, ours[key]) for key in keys):
        return ClipRow(clip, tuple(window for _, window in keys))
    rates = [yardstick.bd_rate(theirs[key], ours[key]) for key in keys]
    similarity = [yardstick.bd_rate(theirs[key], ours[key], "ms_ssim_db") for key in keys]
    ratios = [yardstick.ratio(theirs[key], ours[key]) for key in keys]
    return ClipRow(
        clip=clip,
        windows=tuple(window for _, window in keys),
        bd_rate_vs_incumbent=mean_or_none(rates, mean_bd_rate),
        ms_ssim_bd_rate_vs_incumbent=mean_or_none(similarity, mean_bd_rate),
        ratio_vs_incumbent=mean_or_none(ratios, geometric_mean),
    )


def figures_of(curve: list[Point], anchor: list[Point] | None) -> tuple[float | None, float | None]:
    """BD-rate against the anchor and rate at 36 dB; None where the curve does not allow one."""
    if unevenness(curve):
        return None, None
    return bd_rate(anchor, curve) if anchor else None, rate_at(curve)
