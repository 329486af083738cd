"""Trains the constants of the grammar's codecs on the training clips: `python -m infra.workbench.train`.

Two passes over all windows of the training clips but the sealed ones. The first collects, with everything neutral,
how often each context saw a zero, and the normal equations of the loop filter. The second starts from what the first
found, settles counts and mixing weights, and collects the equations of the chroma filter, which reads filtered luma.
The same clips give the same constants; about four minutes on one core.
Contests draw these windows, so only held-out clips and sealed windows tell what training is worth.
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from codec_evolution.planners.grammar import trained
from codec_evolution.planners.grammar.writer import write_codec, write_trainer
from codec_evolution.planners.parts import strongest
from codec_sandbox.clips import SEALED_WINDOW, ClipSet
from codec_sandbox.trained_arrays import packed_text

CLIPS = ("bunny", "carphone")
"""The training clips; the sealed window of each is left out, because figures of record are measured there."""

QUALITIES = ((10, 45, 80), (20, 55, 90), (30, 65, 35))
FRAMES = 9
"""Of each window: with the first and the second of the finer frames."""
SEED = 1
TRAINED_ON = strongest().with_genes(memory=200, rate_weight=0.075)
"""The codec whose symbols are counted: every tool on, at quick pace."""

CONFIDENCES = (0, 20)
"""How many bits a beginning may count as. A third value, 6, would save 0.04 % of the rate and take 900 bytes."""

RARE = 60
"""A context that saw fewer bits begins even."""

LEAST_GAIN = 12.0
"""Nats that a beginning must save over all sequences: as many bytes as the strongest codec has left."""


class Counting:
    """Counts the bits of one sequence by context, as the codec's coder codes them."""

    def __init__(self, codec: Any) -> None:
        self.zeros = np.zeros(codec.CONTEXTS, dtype=np.int64)
        self.ones = np.zeros(codec.CONTEXTS, dtype=np.int64)
        self._wrap(codec.RangeEncoder, "code", first=0)
        for name in ("mix_3", "mix_4", "mix_6"):
            self._wrap(codec.RangeEncoder, name, first=1)

    def _wrap(self, coder: Any, name: str, first: int) -> None:
        method: Callable[..., int] = getattr(coder, name)

        def counted(coder: Any, bit: int, *arguments: int) -> int:
            result = method(coder, bit, *arguments)
            table = self.ones if result else self.zeros
            for context in arguments[first:]:
                table[context] += 1
            return result

        setattr(coder, name, counted)


def sequences() -> Iterator[tuple[np.ndarray, int]]:
    """Yield the frames of every window that is not sealed with a quality, in a seeded order."""
    clips = ClipSet()
    found = [
        (window, quality)
        for name in CLIPS
        for window in clips.clip(name).windows
        if window.index != SEALED_WINDOW
        for quality in QUALITIES[window.index % len(QUALITIES)]
    ]
    random.Random(SEED).shuffle(found)
    for window, quality in found:
        yield clips.load(window)[:FRAMES], quality


def load(source: str) -> Any:
    """Return a fresh module of a codec of the grammar."""
    module = ModuleType("codec")
    exec(compile(source, "codec", "exec"), module.__dict__)
    return module


def encode(codec: Any, frames: np.ndarray, quality: int) -> int:
    """Encode a sequence; return its bytes."""
    config = {"quality": quality, "width": frames.shape[2], "height": frames.shape[1], "frames": len(frames)}
    return sum(len(codec.compress_video_frame(frame, n, config)) for n, frame in enumerate(frames))


def beginnings(zeros: np.ndarray, ones: np.ndarray, weights: list[list[float]], unit: int) -> str:
    """Return the beginning of every context, and the mixing weights, as they stand in a source.

    Parameters
    ----------
    zeros, ones
        Bits by sequence and context, (sequences, contexts).
    """
    total_zeros, total_ones = zeros.sum(axis=0), ones.sum(axis=0)
    total = total_zeros + total_ones
    steps = np.clip(np.rint(2 * np.log((total_zeros + 0.4) / (total_ones + 0.4))), -20, 20)
    probability = np.clip(1 / (1 + np.exp(-steps / 2)), 0.001, 0.999)
    costs = np.stack([_adaptive_cost(zeros, ones, probability, confidence) for confidence in CONFIDENCES])
    best = np.argmin(costs, axis=0)
    best[(total < RARE) | (costs[0] - costs.min(axis=0) < LEAST_GAIN)] = 0
    odds = np.where(best == 0, 0, steps + 64)
    packed_weights = np.clip(np.rint(100 + 100 * np.concatenate(weights) / unit), 0, 255)
    return packed_text(odds.astype(np.uint8).tobytes() + packed_weights.astype(np.uint8).tobytes())


_LOG_GAMMA = np.frompyfunc(math.lgamma, 1, 1)


def _adaptive_cost(zeros: np.ndarray, ones: np.ndarray, probability: np.ndarray, seen: int) -> np.ndarray:
    """Return the nats that adaptive contexts cost which begin with a probability that counts as bits seen."""
    strength = seen + 2
    if seen == 0:
        probability = np.full_like(probability, 0.5)
    first, second = strength * probability, strength * (1 - probability)

    def log_gamma(values: np.ndarray) -> np.ndarray:
        return np.asarray(_LOG_GAMMA(values), dtype=float)

    cost = log_gamma(zeros + ones + strength) - log_gamma(np.full_like(first, strength))
    cost = cost - log_gamma(zeros + first) + log_gamma(first) - log_gamma(ones + second) + log_gamma(second)
    return cost.sum(axis=0)


Pass: TypeAlias = tuple[np.ndarray, np.ndarray, list[list[float]], dict[str, Any], int]
"""Zeros and ones by sequence and context, mixing weights, the filters' equations, and bytes."""


def run_pass(source: str, *, carry: bool) -> Pass:
    """Encode all sequences; return counts, mean mixing weights, the filters' equations and all bytes.

    The grammar's own trainer stands behind the codec and watches its filters.
    """
    zeros, ones, history, size = [], [], [], 0
    watched = f"{source}\n{write_trainer(TRAINED_ON)}"
    codec = load(watched)
    codec.begin_equations()
    equations: dict[str, Any] = codec.EQUATIONS
    weights: list[list[int]] = []
    for frames, quality in sequences():
        codec = load(watched)
        codec.EQUATIONS = equations
        counting = Counting(codec)
        if carry and weights:
            _begin_with(codec, weights)
        size += encode(codec, frames, quality)
        weights = codec.SENT.model.weights
        history.append([np.array(each) for each in weights])
        zeros.append(counting.zeros)
        ones.append(counting.ones)
    late = history[len(history) // 3 :]
    mean = [np.mean(each, axis=0).tolist() for each in zip(*late, strict=True)]
    return np.stack(zeros), np.stack(ones), mean, equations, size


def solved(equations: Any) -> str:
    """Return the solution of a filter's equations as it stands in a source."""
    return packed_text(equations.solve(np.zeros(equations.targets.shape)).tobytes())


def _begin_with(codec: Any, weights: list[list[int]]) -> None:
    """Let the next sequence of a codec start from the mixing weights of the last one."""
    original = codec.Model.__init__

    def begin(model: Any) -> None:
        original(model)
        model.weights = [list(each) for each in weights]

    codec.Model.__init__ = begin


def main(path: Path = Path(trained.__file__)) -> None:
    """Train, and write the constants into the grammar."""
    start = time.process_time()
    neutral = TRAINED_ON.with_genes(beginnings="even")
    zeros, ones, weights, equations, size = run_pass(write_codec(neutral, "", "", ""), carry=True)
    luma = solved(equations["luma"])
    print(f"pass 1: {size} bytes, {time.process_time() - start:.0f} CPU s", file=sys.stderr)
    unit = load(write_codec(neutral)).UNIT_WEIGHT
    first = beginnings(zeros, ones, weights, unit)
    source = write_codec(TRAINED_ON.with_genes(beginnings="trained"), first, luma, "")
    zeros, ones, weights, equations, size = run_pass(source, carry=True)
    print(f"pass 2: {size} bytes, {time.process_time() - start:.0f} CPU s", file=sys.stderr)
    text = Path(trained.__file__).read_text("utf-8")
    second = beginnings(zeros, ones, weights, unit)
    for name, value in (
        ("BEGINNINGS", second),
        ("FILTER", luma),
        ("CHROMA_FILTER", solved(equations["chroma"])),
    ):
        text = _replaced(text, name, value)
    path.write_text(text, "utf-8")


def _replaced(text: str, name: str, value: str) -> str:
    lines = [
        f'{name} = "{value}"  # noqa: E501' if line.startswith(f"{name} = ") else line
        for line in text.split("\n")
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
