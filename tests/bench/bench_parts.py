"""What each coding tool costs in CPU time: the grammar's strongest codec with it and without it.

``python -m tests.bench parts`` prints what `planners.parts.MEASURED` keeps for the prompt.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from codec_evolution.planners.grammar.genome import Genome
from codec_evolution.planners.grammar.writer import write_codec
from codec_evolution.planners.parts import parts, strongest, without
from codec_sandbox.clips import ClipSet

from tests.unit.planners.codec_runs import decode, encode, load

FRAMES = 3
"""Of one training window; the first one is coded without motion."""
QUALITY = 50
STEP = 5
"""Percent; repeats differ by as much."""
SEED = "parts"
"""Of the window."""


def seconds(genome: Genome, frames: list[Any]) -> tuple[float, float]:
    """Return the CPU seconds of encoder and decoder for some frames."""
    source = write_codec(genome)
    load(source)  # compiles
    began = time.process_time()
    packets, _ = encode(source, frames, QUALITY)
    middle = time.process_time()
    decode(source, packets, frames, QUALITY)
    return middle - began, time.process_time() - middle


def measure(count: int = FRAMES) -> dict[str, Any]:
    """Return the share of the strongest codec's CPU time that each tool takes, in percent of encoder and decoder."""
    clips = ClipSet()
    frames = list(clips.load(clips.choose("train", SEED)[0]))[:count]
    whole = seconds(strongest(), frames)
    rows: dict[str, list[int]] = {}
    for part in parts():
        less = seconds(without(part["name"]), frames)
        rows[part["name"]] = [
            STEP * round(100 / STEP * (1 - b / a)) for a, b in zip(whole, less, strict=True)
        ]
        print(f"{part['name']}: {rows[part['name']]}", file=sys.stderr, flush=True)
    return {"encode_s": round(whole[0], 2), "decode_s": round(whole[1], 2), "cpu_percent": rows}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
