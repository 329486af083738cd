"""Runs generated codecs: encoder and decoder in namespaces of their own, as the sandbox has them in processes."""

from __future__ import annotations

import functools
from types import CodeType
from typing import Any

import numpy as np


def load(source: str) -> dict[str, Any]:
    """Return a fresh namespace of a codec."""
    namespace: dict[str, Any] = {"__name__": "candidate"}
    exec(_compiled(source), namespace)
    return namespace


@functools.cache
def _compiled(source: str) -> CodeType:
    return compile(source, "candidate.py", "exec")


def config(frames: list[np.ndarray], quality: int) -> dict[str, Any]:
    """Return what the sandbox passes with every frame."""
    height, width = frames[0].shape[:2]
    return {
        "quality": quality,
        "max_edges": 0,
        "width": width,
        "height": height,
        "fps": 25.0,
        "frames": len(frames),
    }


def moving_frames(count: int, height: int, width: int, seed: int = 1) -> list[np.ndarray]:
    """Return frames of a textured scene that shifts, with a part that moves by itself and a late cut."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(40, 216, (height // 4 + 20, width // 4 + 20, 3))
    scene = coarse.repeat(4, axis=0).repeat(4, axis=1).astype(np.float64)
    scene = (scene[:-1, :-1] + scene[1:, :-1] + scene[:-1, 1:] + scene[1:, 1:]) / 4
    frames = []
    for n in range(count):
        if n == count - 1:
            scene = 255 - scene
        frame = scene[n : n + height, 2 * n : 2 * n + width].copy()
        frame[8:20, 5 + 3 * n : 17 + 3 * n] = 230
        frames.append((frame + draw.normal(0, 1, frame.shape)).clip(0, 255).astype(np.uint8))
    return frames


def encode(source: str, frames: list[np.ndarray], quality: int = 50) -> tuple[list[bytes], dict[str, Any]]:
    """Return the packets of a sequence and the encoder's namespace."""
    namespace = load(source)
    settings = config(frames, quality)
    packets = [namespace["compress_video_frame"](f.copy(), n, dict(settings)) for n, f in enumerate(frames)]
    return packets, namespace


def decode(
    source: str, packets: list[bytes], frames: list[np.ndarray], quality: int = 50
) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Return the decoded frames of a sequence and the decoder's namespace."""
    namespace = load(source)
    settings = config(frames, quality)
    decoded = [namespace["decompress_video_frame"](p, n, dict(settings)) for n, p in enumerate(packets)]
    return decoded, namespace


def psnr(frames: list[np.ndarray], decoded: list[np.ndarray]) -> float:
    """Return the PSNR of luma over all frames, in dB."""
    luma = np.array([0.2126, 0.7152, 0.0722])
    errors = [np.square((a.astype(float) - b) @ luma).mean() for a, b in zip(frames, decoded, strict=True)]
    return float(10 * np.log10(255**2 / np.mean(errors)))
