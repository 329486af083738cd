"""Decoded frames that a benchmark keeps for VMAF and for pictures."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
from codec_sandbox.clips import SEALED_WINDOW, Window

Run = tuple[Window, np.ndarray, list[np.ndarray]]
"""A window, its frames (T, H, W, 3) and the decoded ones, T times (H, W, 3), all uint8 RGB."""


@dataclass
class Gallery:
    """Observes a benchmark (`codec_sandbox.parallel.Observer`) and keeps what was decoded of one window of each clip.

    Attributes
    ----------
    decoded
        Runs by name of the clip and quality value; of the clip's window with the lowest index.
    """

    decoded: dict[tuple[str, int], Run] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self, window: Window, quality: int, frames: np.ndarray, decoded: list[np.ndarray]) -> None:
        """Keep one measured window of the contest; may be called from several threads."""
        if window.index == SEALED_WINDOW:
            return
        with self._lock:
            kept = next((run[0] for (clip, _), run in self.decoded.items() if clip == window.clip), window)
            if window.index < kept.index:
                self.decoded = {key: run for key, run in self.decoded.items() if key[0] != window.clip}
            if window.index <= kept.index:
                self.decoded[window.clip, quality] = (window, frames, decoded)
