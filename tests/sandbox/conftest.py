"""One warm supervisor for all tests of the sandbox, and something to code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from codec_sandbox.policy import Policy, ceiling_text
from codec_sandbox.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
POLICY_PATH = ROOT / "layers/common/python/codec_evolution/data/language_policy.toml"
SHIPPED = sorted((ROOT / "sandbox_container/codecs").glob("*.py"))


def moving_picture(frames: int, height: int, width: int) -> list[np.ndarray]:
    """Smooth colours with two squares that move, uint8 (height, width, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    out = []
    for i in range(frames):
        waves = [120 + 60 * np.sin((x + 2 * i) / 17 + c) + 40 * np.cos((y - i) / 13 + c) for c in range(3)]
        frame = np.clip(np.stack(waves, axis=-1), 0, 255).astype(np.uint8)
        frame[10 + i : 26 + i, 20 + 3 * i : 36 + 3 * i] = (220, 40, 60)
        frame[height - 30 : height - 14, 60 - 2 * i : 76 - 2 * i] = (20, 200, 120)
        out.append(frame)
    return out


@pytest.fixture(scope="session")
def supervisor() -> Iterator[Supervisor]:
    """A supervisor with a warm zygote."""
    with Supervisor() as started:
        yield started


@pytest.fixture(scope="session")
def policy_text() -> str:
    """The shipped language policy."""
    return POLICY_PATH.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def policy(policy_text: str) -> Policy:
    """The shipped language policy under its ceiling."""
    return Policy.from_toml(policy_text, ceiling_text())
