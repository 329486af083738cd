"""``python -m tests.chaos``: injects faults into the real loop and checks what is left after each.

Exit status 0: nothing was violated; 1: something was; 2: usage.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from infra.errors import UserError
from tests.chaos.audits import SITES_KEY, AuditRunner, audit_rows
from tests.chaos.doubles import Model
from tests.chaos.faults import Row, matrix
from tests.chaos.kills import Killed, kill_often
from tests.chaos.results import Results, commit
from tests.chaos.rows import Done, Runner, run_all
from tests.chaos.stack import open_stack

SINGLES, PAIRS, CROWDS, AUDITS, KILLS = 120, 40, 20, 1000, 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the faults and the kills that the command line asks for, and print a table."""
    options = _parser().parse_args(arguments)
    results = Results(options.seed, {commit()}, options.json)
    ends = time.monotonic() + options.seconds
    try:
        for path in options.merge:
            results.merge(path)
        if options.seconds > 0:
            with tempfile.TemporaryDirectory(prefix="chaos-") as folder, Model() as model:
                _run_rows(options, results, Path(folder), model, ends)
                _run_audits(options, results, Path(folder), model, ends)
                _run_kills(options, results, Path(folder), model, ends)
    except UserError as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 2
    print(results.table())
    return 1 if results.violations else 0


def _run_rows(options: argparse.Namespace, results: Results, work: Path, model: Model, ends: float) -> None:
    if not (options.singles or options.pairs or options.crowds):
        return
    if 1 in results.sites and not _due(options, results):
        return
    with open_stack(work / "state", work / "rows", model.url) as session:
        runner = Runner(session, work / "rows", model)
        if 1 not in results.sites:
            results.sites |= {slots: runner.sites(slots) for slots in (1, 2)}
        due, tell = _due(options, results), _Teller()
        tell.begin(len(due), "rows")

        def keep(done: Done) -> None:
            results.add_row(done.as_dict())
            tell.row(done)

        run_all(runner, due, options.at_once, keep, ends)


def _due(options: argparse.Namespace, results: Results) -> list[Row]:
    """Return the rows that the options ask for and that have not been run."""
    first, _, last = options.rows.partition(":")
    rows = matrix(results.sites, options.singles, options.pairs, options.crowds, options.seed)
    chosen = rows[int(first or 0) : int(last) if last else None]
    if options.row is not None:
        return [row for row in chosen if row.number == options.row]
    return results.due(chosen)


def _run_audits(options: argparse.Namespace, results: Results, work: Path, model: Model, ends: float) -> None:
    if not options.audits or time.monotonic() > ends:
        return
    known = results.sites.get(SITES_KEY)
    if known and not _due_audits(options, results):
        return
    with open_stack(work / "audits", work / "audit-rows", model.url) as session:
        runner = AuditRunner(Runner(session, work / "audit-rows", model))
        results.sites[SITES_KEY] = known or runner.sites()
        due, tell = _due_audits(options, results), _Teller()
        tell.begin(len(due), "audits")
        for place, row in enumerate(due):
            if time.monotonic() > ends:
                return
            done = runner.run(row)
            if place == len(due) - 1:
                done.violations.extend(runner.gate())
            results.add_row(done.as_dict())
            tell.row(done)


def _due_audits(options: argparse.Namespace, results: Results) -> list[Row]:
    rows = audit_rows(results.sites[SITES_KEY])[: options.audits]
    if options.row is not None:
        return [row for row in rows if row.number == options.row]
    return results.due(rows)


def _run_kills(options: argparse.Namespace, results: Results, work: Path, model: Model, ends: float) -> None:
    due = [number for number in range(options.kills) if (options.seed, number) not in results.kills]
    if not due or options.row is not None or time.monotonic() > ends:
        return
    tell = _Teller()
    tell.begin(len(due), "kills")

    def keep(killed: Killed) -> None:
        results.add_kill(killed.as_dict())
        tell.kill(killed)

    kill_often(work / "killed", due, options.seed, model, keep, ends)


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
    parser.add_argument(
        "--audits", type=int, default=AUDITS, help="rows of the audit, of all that there are (default all)"
    )
    parser.add_argument("--kills", type=int, default=KILLS, help=f"SIGKILLs of the stack (default {KILLS})")
    parser.add_argument("--seed", type=int, default=1, help="draws faults, pairs and moments (default 1)")
    parser.add_argument(
        "--rows", default=":", metavar="FIRST:LAST", help="only these rows of the seed's matrix"
    )
    parser.add_argument("--row", type=int, help="only this row of the seed's matrix, and no kills")
    parser.add_argument(
        "--at-once", type=int, default=4, help="rows that run side by side (default 4): they mostly wait"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=float("inf"),
        help="start no further row or kill after so many seconds; 0 prints the table of what was merged",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the result as JSON, after each row and kill"
    )
    parser.add_argument(
        "--merge",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="take over the result of an earlier run and leave out what it has; may be repeated",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
