"""The frames of the smoke stage: public, the same for every candidate, coded but never measured."""

import numpy as np

from codec_sandbox.frames import Frames

SMOKE_QUALITY, SMOKE_SIZE, SMOKE_FPS = 50, (1080, 1920, 3), 30.0
"""Quality, shape and frame rate of the smoke stage's frames."""


def smoke_frames() -> Frames:
    """Return a random, a black and a gray frame: (3, 1080, 1920, 3) uint8."""
    frames = np.zeros((3, *SMOKE_SIZE), dtype=np.uint8)
    frames[0] = np.random.default_rng(0).integers(0, 256, SMOKE_SIZE, dtype=np.uint8)
    frames[2] = 128
    return frames
