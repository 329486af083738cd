"""A picture of decoded frames, small enough to travel in a report: people see there how versions differ.

It is of a training window, because pictures of the original are kept where a planner might read them.
"""

import base64
import math
from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np

from codec_sandbox.clips import SEALED_WINDOW, Clip, ClipSet
from codec_sandbox.frames import Frame, Frames
from codec_sandbox.measurement import Measurement
from codec_sandbox.quality import sequence_quality
from codec_sandbox.runs import CpuMeter, Runner

SHOWN_WINDOW = 0
"""Index of the window that is shown."""

PICTURE_BITS = 2.0 / 62.208
"""Bits per pixel near which it is shown: 2 Mbps at 1080p30, low enough that the eye sees the difference."""

PICTURE_SIZE = (160, 96)
"""Width and height of the crop, in pixels."""

JPEG_QUALITY = 90
"""Of `cv2.imencode`: the crop stays below 12 KB, and its own errors are not seen beside the codec's."""


def shown_clip(clips: ClipSet) -> Clip | None:
    """Return the clip that is shown, the first training clip whose licence allows pictures."""
    return next((clip for clip in clips.clips if clip.role == "train" and clip.pictures), None)


def take(
    clips: ClipSet, sealed: Sequence[Measurement], runner: Runner, meter: CpuMeter
) -> Measurement | None:
    """Code the shown window at the quality whose rate on the same clip's sealed window is nearest to `PICTURE_BITS`.

    Parameters
    ----------
    clips : ClipSet
    sealed : sequence of Measurement
        What the sealed stage of this invocation gave.
    runner, meter
        Of the candidate.

    Returns
    -------
    Measurement or None
        With its frames; None unless `sealed` has the `shown_clip`.

    Raises
    ------
    RunFailed
        The candidate failed.
    """
    clip = shown_clip(clips)
    own = [each for each in sealed if clip and each.window == clip.windows[SEALED_WINDOW]]
    if clip is None or not own:
        return None
    window, quality = clip.windows[SHOWN_WINDOW], min(own, key=_distance).quality
    frames = clips.load(window)
    coded = runner.code(frames, window.fps, quality, meter)
    return Measurement(window, quality, coded, sequence_quality(frames, coded.frames))


def _distance(measured: Measurement) -> float:
    """Return how far a rate is from `PICTURE_BITS`, by ratio."""
    window = measured.window
    bits = 8 * measured.coded.size_bytes / (window.frames * window.width * window.height)
    return abs(math.log(max(bits, 1e-9) / PICTURE_BITS))


def crop(frames: Frames | Sequence[Frame]) -> Frame:
    """Return the centre of a sequence's middle frame.

    Parameters
    ----------
    frames : sequence of numpy.ndarray
        (H, W, 3) uint8 RGB each.

    Returns
    -------
    numpy.ndarray
        At most (96, 160, 3) uint8 RGB.
    """
    middle = frames[len(frames) // 2]
    (height, width), (most_width, most_height) = middle.shape[:2], PICTURE_SIZE
    top, left = max(0, height - most_height) // 2, max(0, width - most_width) // 2
    return middle[top : top + most_height, left : left + most_width]


def jpeg(frame: Frame) -> str:
    """Return an (H, W, 3) uint8 RGB frame as JPEG in base64."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    found, data = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), settings)
    if not found:
        raise ValueError(f"a frame of shape {frame.shape} cannot be written as JPEG")
    return base64.b64encode(cast(np.ndarray, data).tobytes()).decode("ascii")
