"""Compares this project with OpenEvolve and ShinkaEvolve: ``python -m tests.bench.peers [--json FILE]``.

Prints a Markdown table. The peers are installed from PyPI into environments of their own below ``.peers``. They run
without isolation, because what they recommend (Docker, Slurm) is nothing that they start themselves on one machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.peers import candidates
from tests.bench.peers.environments import FOLDER, VERSIONS, python_of
from tests.bench.peers.systems import OpenEvolve, Ours, Run, Shinka
from tests.bench.peers.witness import Witness

SHORT, LONG = 4, 24
"""Candidates of two runs; the difference is the cost of a candidate without start-up."""
REPEATS = 3
"""Runs of each length, of which the least disturbed one counts."""
WORKERS = (1, 2)

System = Ours | OpenEvolve | Shinka


def overhead(system: System, workers: int) -> dict[str, float]:
    """Return what one trivial candidate costs: CPU and wall in ms, candidates a minute, start-up in CPU seconds.

    A wall time that the machine's other work hides (not above 0) gives no candidates a minute.
    """
    runs = {
        count: [
            system.run([system.source("", number) for number in range(count)], workers)
            for _ in range(REPEATS)
        ]
        for count in (SHORT, LONG)
    }
    cpu, wall = (
        {count: min(getattr(run, name) for run in found) for count, found in runs.items()}
        for name in ("cpu_s", "wall_s")
    )
    cpu_s, wall_s = ((each[LONG] - each[SHORT]) / (LONG - SHORT) for each in (cpu, wall))
    return {
        "cpu_ms": round(1000 * cpu_s, 1),
        "wall_ms": round(1000 * wall_s, 1),
        "a_minute": round(60 / wall_s) if wall_s > 0 else 0,
        "start_cpu_s": round(cpu[SHORT] - SHORT * cpu_s, 1),
        "measured_right": min(_right(system, run, LONG) for run in runs[LONG]),
    }


def robustness(system: System) -> dict[str, dict[str, Any]]:
    """Return for each fault how many of the good candidates beside it were measured right."""
    found = {}
    for name, statements in candidates.FAULTS.items():
        sources = [
            system.source(statements if number == candidates.BAD else "", number)
            for number in range(candidates.CANDIDATES)
        ]
        run = system.run(sources, 1)
        good = _right(system, run, candidates.CANDIDATES) - (
            run.scores.get(candidates.BAD) == system.expected(candidates.BAD)
        )
        found[name] = {
            "good_measured_right": good,
            "of": candidates.CANDIDATES - 1,
            "bad_one": run.scores.get(candidates.BAD),
            "exit_status": run.status,
            "wall_s": round(run.wall_s, 1),
        }
    return found


def attacked(system: System) -> dict[str, bool]:
    """Return for each attack whether it succeeded."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="peers-proof-") as name, Witness(Path(name)) as witness:
        for attack, statements in witness.attacks().items():
            witness.reset()
            source = system.source(statements, 0)
            if attack == "forge the score" and isinstance(system, Ours):
                source = candidates.SMUGGLER
            run = system.run([source], 1)
            found[attack] = witness.proves(attack, run.scores.get(0))
    return found


def _right(system: System, run: Run, count: int) -> int:
    return sum(run.scores.get(number) == system.expected(number) for number in range(count))


def markdown(result: dict[str, Any]) -> str:
    """Return the tables for people, and a sentence on where a peer is faster."""
    systems = result["systems"]
    names = list(systems)
    head = f"| | {' | '.join(names)} |\n|---|{'---|' * len(names)}"
    rows = []
    for workers in WORKERS:
        costs = [systems[name]["overhead"][str(workers)] for name in names]
        rows += [
            (
                f"CPU a candidate, {workers} worker{'s'[: workers - 1]}",
                [f"{c['cpu_ms']:.0f} ms" for c in costs],
            ),
            (
                f"candidates a minute, {workers} worker{'s'[: workers - 1]}",
                [f"{c['a_minute']:,}" for c in costs],
            ),
        ]
    rows.append(("start-up, CPU", [f"{systems[n]['overhead']['1']['start_cpu_s']} s" for n in names]))
    for fault in candidates.FAULTS:
        cells = [systems[name]["robustness"][fault] for name in names]
        rows.append(
            (
                f"good ones measured beside one with {fault}",
                [f"{c['good_measured_right']} of {c['of']}" for c in cells],
            )
        )
    for attack in systems[names[0]]["attacks"]:
        rows.append((attack, ["succeeds" if systems[n]["attacks"][attack] else "held" for n in names]))
    body = "\n".join(f"| {label} | {' | '.join(cells)} |" for label, cells in rows)
    return f"{head}\n{body}\n\n{faster(systems)}"


def faster(systems: dict[str, Any]) -> str:
    """Return where a peer is faster than this project, and by how much."""
    ours = systems[Ours.name]["overhead"]
    said = []
    for name in systems:
        for workers in WORKERS:
            theirs, mine = systems[name]["overhead"][str(workers)], ours[str(workers)]
            if theirs["a_minute"] > mine["a_minute"] > 0:
                factor = theirs["a_minute"] / mine["a_minute"]
                said.append(f"{name} is {factor:.1f} times as fast with {workers} worker{'s'[: workers - 1]}")
    return f"Where a peer is faster: {'; '.join(said) or 'nowhere'}."


def measure() -> dict[str, Any]:
    """Return everything as one JSON object."""
    systems: list[System] = [Ours(), OpenEvolve(python_of("openevolve")), Shinka(python_of("shinka"))]
    result: dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 1),
        "versions": VERSIONS,
        "systems": {},
    }
    for system in systems:
        print(f"{system.name} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        result["systems"][system.name] = {
            "overhead": {str(workers): overhead(system, workers) for workers in WORKERS},
            "robustness": robustness(system),
            "attacks": attacked(system),
        }
        print(f"{system.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return result


def main() -> int:
    """Measure, write the JSON, and print the table; 2 when a peer cannot be installed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument(
        "--json", type=Path, default=FOLDER / "peers.json", help="where the figures are written"
    )
    options = parser.parse_args()
    try:
        result = measure()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"a peer cannot be installed or run: {error}", file=sys.stderr)
        return 2
    options.json.write_text(json.dumps(result, indent=2) + "\n")
    print(markdown(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
