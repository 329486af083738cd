"""What the package ``constriction`` is worth to the grammar's codecs: its range coder beside theirs.

The decisions of the grammar's strongest codec, each with the probability it was coded with, are taken from one window
and coded again: by the codec's own coder, and by the package's. Its decoder needs each bit before it knows the next
probability, so it must ask for them one at a time; all at once is the bound.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from codec_evolution.planners.grammar.writer import write_codec
from codec_evolution.planners.parts import strongest
from codec_sandbox.clips import ClipSet

from tests.unit.planners.codec_runs import config, load

FRAMES = 4
"""Of one training window; the first one is coded without motion."""
QUALITY = 50
SEED = "entropy"
"""Of the window."""
UNIT = 65536
"""Probabilities of the codec's own coder are multiples of 1/65536."""


def cpu_s(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of an action, and what it returned."""
    began = time.process_time()
    value = action()
    return time.process_time() - began, value


def decisions(codec: dict[str, Any], frames: list[Any]) -> tuple[float, list[tuple[int, int]]]:
    """Return the encoder's CPU seconds, and every bit with the probability of 0 that it was coded with."""
    seconds, settings = 0.0, config(frames, QUALITY)
    made: list[tuple[int, int]] = []
    coder, compress = codec["RangeEncoder"], codec["compress_video_frame"]
    put = coder.put

    def noted(self: Any, bit: int, zero: int) -> int:
        made.append((bit, zero))
        return put(self, bit, zero)

    for index, frame in enumerate(frames):
        seconds += cpu_s(lambda index=index, frame=frame: compress(frame, index, settings))[0]
    coder.put = noted
    for index, frame in enumerate(frames):
        compress(frame, index, settings)
    coder.put = put
    return seconds, made


def own(codec: dict[str, Any], made: list[tuple[int, int]]) -> dict[str, float]:
    """Return the figures of the codec's own coder."""

    def encode() -> bytes:
        coder = codec["RangeEncoder"](None)
        for bit, zero in made:
            coder.put(bit, zero)
        return coder.finish()

    def decode(data: bytes) -> list[int]:
        coder = codec["RangeDecoder"](None, data)
        return [coder.put(0, zero) for _, zero in made]

    encode_s, data = cpu_s(encode)
    decode_s, bits = cpu_s(lambda: decode(data))
    assert bits == [bit for bit, _ in made]
    return {"bytes": len(data), "encode_s": round(encode_s, 3), "decode_s": round(decode_s, 3)}


def constriction(made: list[tuple[int, int]]) -> dict[str, float]:
    """Return the figures of the package's coder."""
    bits, ones = np.array([bit for bit, _ in made], np.int32), 1 - np.array([zero for _, zero in made]) / UNIT
    package: Any = importlib.import_module("constriction")
    model, stream = package.stream.model.Bernoulli, package.stream.queue

    def encode() -> Any:
        coder = stream.RangeEncoder()
        coder.encode(bits, model(perfect=False), ones)
        return coder.get_compressed()

    def decode(data: Any) -> list[int]:
        coder = stream.RangeDecoder(data)
        return [coder.decode(model(one, perfect=False)) for one in ones]

    encode_s, data = cpu_s(encode)
    decode_s, found = cpu_s(lambda: decode(data))
    at_once_s, array = cpu_s(lambda: stream.RangeDecoder(data).decode(model(perfect=False), ones))
    assert found == bits.tolist() == array.tolist()
    return {
        "bytes": data.nbytes,
        "encode_s": round(encode_s, 3),
        "decode_s": round(decode_s, 3),
        "decode_at_once_s": round(at_once_s, 3),
    }


def measure(count: int = FRAMES) -> dict[str, Any]:
    """Return the figures of both coders, and what the package's encoder saves of the whole encoder's time."""
    clips = ClipSet()
    frames = list(clips.load(clips.choose("train", SEED)[0]))[:count]
    codec = load(write_codec(strongest()))
    whole_s, made = decisions(codec, frames)
    ours, theirs = own(codec, made), constriction(made)
    saved = ours["encode_s"] - theirs["encode_s"]
    return {
        "frames": len(frames),
        "decisions": len(made),
        "encoder_s": round(whole_s, 3),
        "own": ours,
        "constriction": theirs,
        "bytes_percent": round(100 * (theirs["bytes"] / ours["bytes"] - 1), 2),
        "encoder_saved_percent": round(100 * saved / whole_s, 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
