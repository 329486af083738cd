"""Codecs for tests: an honest one of each family, and cheats. Built on the text of version 0, as a planner would."""

import base64
from pathlib import Path

import numpy as np
from codec_sandbox.clips import SEALED_WINDOW, ClipSet
from codec_sandbox.request import CONTROL_SOURCE

HERE = Path(__file__).parent
HONEST = ("dct", "wavelet", "motion", "autoencoder")
LATENTS = 88


def version_0() -> str:
    """The source of version 0."""
    return CONTROL_SOURCE.read_text(encoding="utf-8")


def honest(name: str, clips: ClipSet) -> str:
    """The source of an honest codec; `clips` is what the autoencoder learns from."""
    parts = [version_0()]
    if name != "dct":
        parts.append((HERE / "levels.py").read_text(encoding="utf-8"))
    if name == "autoencoder":
        parts.append(f'PACKED = "{principal_patches(clips)}"\n')
    parts.append((HERE / f"{name}.py").read_text(encoding="utf-8"))
    return "\n\n".join(parts)


def principal_patches(clips: ClipSet) -> str:
    """The principal 8x8x3 patches of the training windows that contests draw, as float16 in base 85."""
    scatter = np.zeros((192, 192))
    for clip in clips.clips:
        if clip.role == "train":
            for window in clip.windows[:SEALED_WINDOW]:
                frames = clips.load(window)[::6].astype(np.float64) - 128
                count, height, width = frames.shape[0], window.height // 8, window.width // 8
                patches = frames[:, : height * 8, : width * 8].reshape(count, height, 8, width, 8, 3)
                rows = patches.transpose(0, 1, 3, 5, 2, 4).reshape(-1, 192)
                scatter += rows.T @ rows
    _, vectors = np.linalg.eigh(scatter)
    basis = vectors[:, ::-1][:, :LATENTS].T
    return base64.b85encode(basis.astype(np.float16).tobytes()).decode()
