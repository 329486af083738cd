"""The frames of the smoke stage: public, the same for every candidate, coded but never measured."""

import numpy as np

from codec_sandbox.frames import Frames

SMOKE_QUALITY, SMOKE_FPS = 50, 30.0
"""Quality and frame rate of the smoke stage's frames."""


def smoke_frames(height: int, width: int) -> Frames:
    """Return a random, a black and a gray frame: (3, height, width, 3) uint8."""
    shape = height, width, 3
    frames = np.zeros((3, *shape), dtype=np.uint8)
    frames[0] = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    frames[2] = 128
    return frames
