"""``python -m tests.chaos``: injects faults into the real loop and checks what is left after each.

Exit status 0: nothing was violated; 1: something was; 2: usage.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos.doubles import Model
from tests.chaos.faults import matrix
from tests.chaos.kills import Killed, kill_often
from tests.chaos.rows import Done, Runner, run_all
from tests.chaos.stack import open_stack

SINGLES, PAIRS, CROWDS, KILLS = 120, 40, 20, 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the faults and the kills that the command line asks for, and print JSON and a table."""
    options = _parser().parse_args(arguments)
    first, _, last = options.rows.partition(":")
    chosen = slice(int(first or 0), int(last) if last else None)
    ends = time.monotonic() + options.seconds
    tell = _Teller()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, Model() as model:
        work = Path(folder)
        done: list[Done] = []
        if options.singles or options.pairs or options.crowds:
            with open_stack(work / "state", work / "rows", model.url) as session:
                runner = Runner(session, work / "rows", model)
                sites = {1: runner.sites(1), 2: runner.sites(2)}
                rows = matrix(sites, options.singles, options.pairs, options.crowds, options.seed)[chosen]
                rows = [row for row in rows if options.row in (None, row.number)]
                tell.begin(len(rows), "rows")
                done = run_all(runner, rows, options.at_once, tell.row, ends)
        kills: list[Killed] = []
        if options.kills and options.row is None:
            tell.begin(options.kills, "kills")
            kills = kill_often(work / "killed", options.kills, options.seed, model, tell.kill, ends)
    found = _result(options, done, kills)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(_table(done, kills))
    return 1 if found["violations"] else 0


class _Teller:
    """Prints one line of progress for each run to standard error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._count = self._of = 0

    def begin(self, of: int, what: str) -> None:
        self._count, self._of = 0, of
        print(f"{of} {what}", file=sys.stderr, flush=True)

    def row(self, done: Done) -> None:
        self._line(
            f"row {done.row.number}: {', '.join(map(str, done.row.faults))}",
            done.violations,
            "" if len(done.happened) == len(done.row.faults) else f"({len(done.happened)} happened) ",
        )

    def kill(self, killed: Killed) -> None:
        self._line(f"kill {killed.number} {killed.what} after {killed.after_s:.1f} s", killed.violations)

    def _line(self, text: str, violations: Sequence[str], note: str = "") -> None:
        with self._lock:
            self._count += 1
            spent = time.monotonic() - self._began
            verdict = "ok" if not violations else "VIOLATED: " + "; ".join(violations)
            print(
                f"[{self._count}/{self._of} {spent:.0f} s] {text} {note}{verdict}",
                file=sys.stderr,
                flush=True,
            )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--singles", type=int, default=SINGLES, help=f"rows with one fault (default {SINGLES})"
    )
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"rows with two faults (default {PAIRS})")
    parser.add_argument("--crowds", type=int, default=CROWDS, help=f"rows with eight (default {CROWDS})")
    parser.add_argument("--kills", type=int, default=KILLS, help=f"SIGKILLs of the stack (default {KILLS})")
    parser.add_argument("--seed", type=int, default=1, help="draws faults, pairs and moments (default 1)")
    parser.add_argument(
        "--rows", default=":", metavar="FIRST:LAST", help="only these rows of the seed's matrix"
    )
    parser.add_argument("--row", type=int, help="only this row of the seed's matrix, and no kills")
    parser.add_argument("--at-once", type=int, default=2, help="rows that run side by side (default 2)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=float("inf"),
        help="start no further row or kill after so many seconds",
    )
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON")
    return parser


def _result(options: argparse.Namespace, done: Sequence[Done], kills: Sequence[Killed]) -> dict[str, Any]:
    return {
        "seed": options.seed,
        "faults": sum(len(each.happened) for each in done),
        "kills": len(kills),
        "violations": sum(bool(each.violations) for each in [*done, *kills]),
        "rows": [each.as_dict() for each in done],
        "killed": [each.as_dict() for each in kills],
    }


def _table(done: Sequence[Done], kills: Sequence[Killed]) -> str:
    """Return how often each kind of fault was injected where, and what it broke."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for each in done:
        for text in each.happened:
            site, kind = text.rsplit(" ", 1)
            function = site.partition("/")[0].partition("#")[0]
            counts[function, kind][0] += 1
            counts[function, kind][1] += bool(each.violations)
    for killed in kills:
        counts["local stack", f"SIGKILL {killed.what}"][0] += 1
        counts["local stack", f"SIGKILL {killed.what}"][1] += bool(killed.violations)
    lines = ["| where | fault | injected | violated |", "|---|---|---:|---:|"]
    lines += [f"| {where} | {kind} | {n} | {bad} |" for (where, kind), (n, bad) in sorted(counts.items())]
    total, bad = sum(n for n, _ in counts.values()), sum(bad for _, bad in counts.values())
    return "\n".join([*lines, f"| **all** | | **{total}** | **{bad}** |"])


if __name__ == "__main__":
    sys.exit(main())
