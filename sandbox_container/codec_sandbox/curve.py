"""The points of a rate-distortion curve: which qualities a window is measured at."""

import itertools

QUALITIES = (10, 30, 50, 70, 90)
"""Values of ``config["quality"]`` that every window is measured at."""

LOWEST, HIGHEST = 0, 100
"""The two extremes of ``config["quality"]``, measured where `QUALITIES` do not cover a window's range."""

DEFAULT_RANGE_DB = (32.0, 41.0)
"""PSNR-YUV in dB that a curve should cover on a window that no reference encoder was measured on."""

WIDE_GAP_DB = 6.5
"""A gap between neighbouring points of a curve above which a point is added between them, in dB."""

MOST_EXTRA = 2
"""Most points added to a curve."""


def extra_qualities(levels: dict[int, float], range_db: tuple[float, float] = DEFAULT_RANGE_DB) -> list[int]:
    """Choose at most `MOST_EXTRA` qualities to add to a curve.

    First where an end of its range is not reached, then in the middle of the widest gaps.

    Parameters
    ----------
    levels : dict
        PSNR-YUV in dB by quality.
    range_db : tuple of float
        PSNR-YUV in dB that the curve should cover, from and to.

    Returns
    -------
    list of int
    """
    extra = [LOWEST] if min(levels.values()) > range_db[0] else []
    extra += [HIGHEST] if max(levels.values()) < range_db[1] else []
    gaps = [
        (levels[low] - levels[high], (low + high) // 2)
        for low, high in itertools.pairwise(sorted(levels))
        if levels[high] - levels[low] > WIDE_GAP_DB
        and levels[low] < range_db[1]
        and levels[high] > range_db[0]
    ]
    return [*extra, *(middle for _, middle in sorted(gaps))][:MOST_EXTRA]
