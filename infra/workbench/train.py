"""Trains the constants of the grammar's codecs on the training clips: `python -m infra.workbench.train`.

Two passes over all windows of the training clips but the sealed ones. The first collects, with everything neutral,
how often each context saw a zero, and the normal equations of the loop filter. The second starts from what the first
found and settles counts and mixing weights. The same clips give the same constants; about six minutes on one core.
Contests draw these windows, so only held-out clips and sealed windows tell what training is worth.
"""

from __future__ import annotations

import base64
import lzma
import math
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from codec_evolution.planners.grammar import trained
from codec_evolution.planners.grammar.genome import Genome
from codec_evolution.planners.grammar.writer import write_codec
from codec_sandbox.clips import SEALED_WINDOW, ClipSet

CLIPS = ("bunny", "carphone")
"""The training clips; the sealed window of each is left out, because figures of record are measured there."""

QUALITIES = ((10, 45, 80), (20, 55, 90), (30, 65, 35))
FRAMES = 12
SEED = 1
TRAINED_ON = Genome(
    prediction="motion",
    intra="many",
    transform="three",
    contexts="mixed",
    memory=200,
    quantisation="rate-distortion",
    rate_weight=0.075,
    reconstruction_bias=2,
    chroma_step=0.6,
    partition="three",
    decision="transform",
    interpolation="long",
    references=2,
    overlap=True,
    first_step=0.65,
    cascade=4,
    cascade_step=1.3,
    deblocking=0.25,
    loop_filter="trained",
)
"""The codec whose symbols are counted: every tool on."""

CONFIDENCES = (0, 6, 20)
"""How many bits a beginning may count as; `trained_beginnings` in the codec has the same."""

RARE = 60
"""A context that saw fewer bits begins even."""

RIDGE = 0.002
FILTER_UNIT = 256


class Counting:
    """Counts the bits of one sequence by context, as the codec's coder codes them."""

    def __init__(self, codec: Any) -> None:
        self.zeros = np.zeros(codec.CONTEXTS, dtype=np.int64)
        self.ones = np.zeros(codec.CONTEXTS, dtype=np.int64)
        for name in ("code", "mix_3", "mix_4", "mix_6"):
            setattr(codec.Coder, name, self._wrapped(getattr(codec.Coder, name)))

    def _wrapped(self, method: Callable[..., int]) -> Callable[..., int]:
        def counted(coder: Any, bit: int, contexts: Any, *mixer: int) -> int:
            result = method(coder, bit, contexts, *mixer)
            table = self.ones if result else self.zeros
            for context in contexts if mixer else (contexts,):
                table[context] += 1
            return result

        return counted


class Equations:
    """Normal equations of the loop filter, by group of steps and class."""

    def __init__(self, groups: int, classes: int, features: int) -> None:
        self.products = np.zeros((groups, classes, features, features))
        self.targets = np.zeros((groups, classes, features))

    def watch(self, codec: Any) -> None:
        """Collect from every frame that the codec filters."""
        original = codec.apply_filter
        correction = codec.filter_correction

        def apply(sequence: Any, picture: Any, planes: Any, *rest: Any) -> Any:
            source = rest[-1]

            def collect(plane: Any, prediction: Any, coded: Any, step: int) -> Any:
                self.add(codec, plane, prediction, coded, step, source[0])
                return correction(plane, prediction, coded, step)

            codec.filter_correction = collect
            return original(sequence, picture, planes, *rest)

        codec.apply_filter = apply

    def add(self, codec: Any, plane: Any, prediction: Any, coded: Any, step: int, source: Any) -> None:
        """Add one plane; errors count in steps, so that coarse frames do not outweigh fine ones."""
        features = codec.filter_features(plane, prediction, step).reshape(codec.FEATURES, -1)
        classes = codec.filter_classes(plane, coded, step).repeat(4, axis=0).repeat(4, axis=1).reshape(-1)
        target = (source - plane).astype(np.float32).reshape(-1)
        group = sum(step > edge for edge in codec.STEP_EDGES)
        weight = (16 / step) ** 2
        for place in np.unique(classes):
            here = features[:, classes == place]
            self.products[group, place] += weight * (here @ here.T)
            self.targets[group, place] += weight * (here @ target[classes == place])

    def solve(self) -> str:
        """Return the weights as they stand in a source."""
        groups, classes, features = self.targets.shape
        weights = np.zeros(self.targets.shape)
        for group in range(groups):
            for place in range(classes):
                matrix = self.products[group, place]
                ridge = np.trace(matrix) / features * RIDGE + 1e-6
                weights[group, place] = np.linalg.solve(
                    matrix + ridge * np.eye(features), self.targets[group, place]
                )
        return packed(np.clip(np.rint(weights * FILTER_UNIT), -127, 127).astype(np.int8).tobytes())


def packed(data: bytes) -> str:
    """Return bytes as they stand in a source."""
    return base64.b85encode(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)).decode("ascii")


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
    """Return probabilities and confidence of every context, and the mixing weights, as they stand in a source.

    Parameters
    ----------
    zeros, ones
        Bits by sequence and context, (sequences, contexts).
    """
    total_zeros, total_ones = zeros.sum(axis=0), ones.sum(axis=0)
    total = total_zeros + total_ones
    odds = np.log((total_zeros + 0.4) / (total_ones + 0.4))
    steps = np.clip(np.rint(2 * odds), -20, 20)
    probability = np.clip(1 / (1 + np.exp(-steps / 2)), 0.001, 0.999)
    costs = np.stack([_adaptive_cost(zeros, ones, probability, confidence) for confidence in CONFIDENCES])
    best = np.argmin(costs, axis=0)
    best[total < RARE] = 0
    steps[best == 0] = 0
    packed_weights = np.clip(np.rint(100 + 100 * np.concatenate(weights) / unit), 0, 255)
    return packed(b"".join(part.astype(np.uint8).tobytes() for part in (steps + 64, best, packed_weights)))


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


def run_pass(source: str, *, carry: bool) -> tuple[np.ndarray, np.ndarray, list[list[float]], Equations, int]:
    """Encode all sequences; return counts, mean mixing weights, the filter's equations and all bytes."""
    zeros, ones, history, size = [], [], [], 0
    codec = load(source)
    equations = Equations(len(codec.STEP_EDGES) + 1, codec.CLASSES, codec.FEATURES)
    weights: list[list[int]] = []
    for frames, quality in sequences():
        codec = load(source)
        counting = Counting(codec)
        equations.watch(codec)
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
    zeros, ones, weights, equations, size = run_pass(write_codec(neutral, "", ""), carry=True)
    loop_filter = equations.solve()
    print(f"pass 1: {size} bytes, {time.process_time() - start:.0f} CPU s", file=sys.stderr)
    first = beginnings(zeros, ones, weights, load(write_codec(neutral)).UNIT_WEIGHT)
    source = write_codec(TRAINED_ON.with_genes(beginnings="trained"), first, loop_filter)
    zeros, ones, weights, _, size = run_pass(source, carry=True)
    print(f"pass 2: {size} bytes, {time.process_time() - start:.0f} CPU s", file=sys.stderr)
    second = beginnings(zeros, ones, weights, load(source).UNIT_WEIGHT)
    text = Path(trained.__file__).read_text("utf-8")
    for name, value in (("BEGINNINGS", second), ("FILTER", loop_filter)):
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
