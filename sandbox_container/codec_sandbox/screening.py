"""The verdict of the screen stage: whether a candidate is worth measuring."""

from codec_sandbox.curve import QUALITIES
from codec_sandbox.quality import Quality
from codec_sandbox.runs import Coded, Fault

LEAST_DB = 28.0
"""Least PSNR-YUV in dB at the highest quality."""

LEAST_SPAN_DB = 0.5
"""Least gain of PSNR-YUV in dB from the lowest to the highest quality."""

BUDGET_MARGIN = 1.5
"""How far the expected CPU seconds may exceed the limit, as the expectation is rough."""


def hopeless(
    low: tuple[Coded, Quality], high: tuple[Coded, Quality], raw_bytes: int, cpu_s: float, allowed_s: float
) -> Fault | None:
    """Say why a candidate need not be measured, from a few frames at the lowest and the highest quality.

    Parameters
    ----------
    low, high : tuple of Coded and Quality
        What the frames gave at the lowest and at the highest of `codec_sandbox.stages.QUALITIES`.
    raw_bytes : int
        Of the frames, as RGB.
    cpu_s : float
        CPU seconds that measuring is expected to take.
    allowed_s : float
        CPU seconds that it may take.

    Returns
    -------
    Fault or None
    """
    (low_coded, low_quality), (_, high_quality) = low, high
    if (useless := _useless(low_coded, low_quality, high_quality, raw_bytes)) is not None:
        return Fault("quality", useless)
    if cpu_s > BUDGET_MARGIN * allowed_s:
        message = (
            f"measuring would take about {cpu_s:.0f} CPU seconds and {allowed_s:g} are allowed: "
            "encode and decode faster"
        )
        return Fault("budget", message)
    return None


def _useless(low_coded: Coded, low: Quality, high: Quality, raw_bytes: int) -> str | None:
    """Say why the decoded frames or the packets rule a candidate out."""
    lowest, highest = QUALITIES[0], QUALITIES[-1]
    if high.psnr_db < LEAST_DB:
        return (
            f"at quality {highest} the decoded frames reach only {high.psnr_db:.1f} dB PSNR-YUV; "
            f"{LEAST_DB:g} dB is the least that is measured"
        )
    if low_coded.size_bytes >= raw_bytes:
        return f"at quality {lowest} the packets are no smaller than the raw frames: nothing is compressed"
    if high.psnr_db - low.psnr_db < LEAST_SPAN_DB:
        return (
            f"`quality` has no effect: {low.psnr_db:.1f} dB at {lowest} and "
            f"{high.psnr_db:.1f} dB at {highest}; higher quality must give better frames"
        )
    return None
