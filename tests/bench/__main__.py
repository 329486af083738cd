"""Runs the benchmarks and prints one JSON object: ``python -m tests.bench [PART ...]``. Run it on an idle machine."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from typing import Any

PARTS = {
    "loop": "from the command to the first verdicts, by stage",
    "sandbox": "what isolation costs",
    "benchmark": "what measuring costs",
    "probe": "how well the probe ranks 32 codecs (half an hour)",
    "control": "the search beside random draws and best of n, at equal evaluations and compute (a quarter of an hour)",
    "entropy": "what the package constriction is worth: its range coder beside the grammar's (20 seconds)",
    "parts": "what each coding tool of the grammar costs in CPU time (four minutes)",
    "gains": "what each coding tool of the grammar saves (a quarter of an hour)",
    "round_trips": "whether 500 drawn videos are coded exactly, whatever the process (ten minutes)",
    "speed": "CPU seconds by size and tool, beside x265 (a minute)",
    "framework": "what a change of the framework costs",
    "planner": "what a round of Claude costs besides the model, at 1,000 attempts",
    "growth": "items that each call to the tables looks at, at 1,000 and 1,000,000 attempts (two and a half minutes)",
    "widgets": "what each widget takes, warm, at 1,000 attempts and 1,000 modifications (bound: 300 ms)",
}
"""Each is ``tests/bench/bench_<part>.py`` with a function ``measure()`` that returns its figures."""


def run(parts: list[str]) -> dict[str, Any]:
    """Measure the parts one after the other."""
    result: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "load_average": {}}
    for part in parts:
        result["load_average"][part] = round(os.getloadavg()[0], 1)
        print(f"{part}: {PARTS[part]} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        result[part] = importlib.import_module(f"tests.bench.bench_{part}").measure()
        print(f"{part}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    return result


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--list", action="store_true", help="say what there is, without measuring")
    arguments = parser.parse_args()
    if unknown := [part for part in arguments.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    found = {"parts": PARTS} if arguments.list else run(arguments.parts or list(PARTS))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
