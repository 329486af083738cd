"""What a stage gives: measurements, or the candidate's failure as it may be told."""

import hashlib
import itertools
from dataclasses import dataclass

from codec_sandbox.clips import Window
from codec_sandbox.curve import QUALITIES
from codec_sandbox.disclosure import disclosed
from codec_sandbox.quality import Quality
from codec_sandbox.runs import Coded, Fault

FALL_TOLERANCE_DB = 0.5
"""How much PSNR-YUV may fall, in dB, where `quality` rises."""

PUBLIC_STAGES = ("validate", "smoke")
"""The stages without frames, or with frames that everybody knows; their failures are told in full."""


@dataclass(frozen=True)
class Measurement:
    """One window at one quality; `coded` without its frames. `variant` is the index of the settings that were tried."""

    window: Window
    quality: int
    coded: Coded
    distortion: Quality
    variant: int = 0


class StageFailed(Exception):
    """The candidate failed in a stage.

    Parameters
    ----------
    stage : str
        One of `codec_sandbox.request.KNOWN_STAGES`.
    fault : Fault
    clip : str or None
    quality : int or None
        Where it failed, as far as that is known.
    """

    def __init__(self, stage: str, fault: Fault, clip: str | None = None, quality: int | None = None) -> None:
        super().__init__(fault.message)
        self.stage, self.fault, self.clip, self.quality = stage, fault, clip, quality


def told(failure: StageFailed, source: bytes) -> StageFailed:
    """Return a failure as it may leave the sandbox, where the planner reads it: of real frames, no samples."""
    if failure.stage in (*PUBLIC_STAGES, "train"):  # a training tells its own as this does
        return failure
    fault = disclosed(failure.fault, source)
    if failure.stage != "sealed":
        return StageFailed(failure.stage, fault, failure.clip, failure.quality)
    return StageFailed("sealed", Fault(fault.kind, "failed on the sealed windows"))


def check_rising(stage: str, windows: list[Window], measured: list[Measurement]) -> None:
    """Check that a higher `quality` does not give worse frames; raises `StageFailed`."""
    for window in windows:
        rows = sorted((m for m in measured if m.window == window), key=lambda m: m.quality)
        for lower, higher in itertools.pairwise(rows):
            if higher.distortion.psnr_db < lower.distortion.psnr_db - FALL_TOLERANCE_DB:
                message = (
                    f"quality {higher.quality} gives {higher.distortion.psnr_db:.2f} dB and quality {lower.quality} "
                    f"{lower.distortion.psnr_db:.2f} dB on {window.key}: higher quality must not give worse frames"
                )
                raise StageFailed(stage, Fault("quality", message), window.clip, higher.quality)


def sequence_sha256(measurements: list[Measurement], window: Window, name: str) -> str:
    """Hash what a window gave at `QUALITIES`, in order.

    Parameters
    ----------
    measurements : list of Measurement
        Of any windows.
    window : Window
    name : {"packets_sha256", "frames_sha256"}

    Returns
    -------
    str
        SHA-256 over the hashes.
    """
    digest = hashlib.sha256()
    for measurement in sorted(measurements, key=lambda m: m.quality):
        if measurement.window == window and measurement.quality in QUALITIES:
            digest.update(bytes.fromhex(getattr(measurement.coded, name)))
    return digest.hexdigest()
