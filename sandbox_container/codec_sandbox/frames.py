"""The array types that pass between the modules of the sandbox."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Frame: TypeAlias = NDArray[np.uint8]
"""One frame, (H, W, 3) uint8 RGB."""

Frames: TypeAlias = NDArray[np.uint8]
"""A sequence of frames, (T, H, W, 3) uint8 RGB."""

Plane: TypeAlias = NDArray[np.floating[Any]]
"""One colour plane, (H, W) float32 (numpy's stubs lose the precision on the way)."""
