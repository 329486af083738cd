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

from tests.bench.one_thread import figures_of
from tests.unit.planners.codec_runs import decode, encode, load

FRAMES = 3
"""Of one training window; the first one is coded without motion."""
QUALITY = 50
STEP = 5
"""Percent; repeats differ by as much."""
SEED = "parts"
"""Of the window."""
REPEATS = 3
"""Of both codecs in turn, of which the fastest counts: others on the machine only make a run slower."""


def seconds(genome: Genome, frames: list[Any]) -> tuple[float, float]:
    """Return the CPU seconds of encoder and decoder for some frames."""
    source = write_codec(genome)
    load(source)  # compiles
    began = time.process_time()
    packets, _ = encode(source, frames, QUALITY)
    middle = time.process_time()
    decode(source, packets, frames, QUALITY)
    return middle - began, time.process_time() - middle


def fastest(genomes: tuple[Genome, Genome], frames: list[Any]) -> list[tuple[float, float]]:
    """Return the least CPU seconds of encoder and decoder for each of two genomes, measured in turn."""
    runs = [[seconds(genome, frames) for genome in genomes] for _ in range(REPEATS)]
    return [(min(run[0] for run in each), min(run[1] for run in each)) for each in zip(*runs, strict=True)]


def shares() -> dict[str, Any]:
    """Return the share of the strongest codec's CPU time that each tool takes, in percent of encoder and decoder."""
    clips = ClipSet()
    frames = list(clips.load(clips.choose("train", SEED)[0]))[:FRAMES]
    wholes, rows = [], {}
    for part in parts():
        whole, less = fastest((strongest(), without(part["name"])), frames)
        wholes.append(whole)
        rows[part["name"]] = [
            STEP * round(100 / STEP * (1 - b / a)) for a, b in zip(whole, less, strict=True)
        ]
        print(f"{part['name']}: {rows[part['name']]}", file=sys.stderr, flush=True)
    encode_s, decode_s = (round(min(column), 2) for column in zip(*wholes, strict=True))
    return {"encode_s": encode_s, "decode_s": decode_s, "cpu_percent": rows}


def measure() -> dict[str, Any]:
    """Return the shares, as of `shares`, by a process whose libraries have one thread, as in the sandbox."""
    return figures_of("tests.bench.bench_parts")


if __name__ == "__main__":
    print(json.dumps(shares()))
