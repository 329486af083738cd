"""Runs rows of the matrix, each in a lineage of its own, and checks what they leave."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.session import Session
from tests.chaos.doubles import Model, answer_usd
from tests.chaos.faults import Row, Site, to_json
from tests.chaos.injected import HAPPENED, PLAN, SITES, SLOTS
from tests.chaos.invariants import Bill, Stored, violations
from tests.chaos.stack import run_cycle

AT = "2026-01-01T00:00:00.000Z"
"""When a row is paused, as the state has it."""
PREPARES = ("#prep", "open_cycle/3")
"""Steps of the second cycle in which faults are injected: what its first pass does is new."""


@dataclass(frozen=True)
class Done:
    """A row that was run.

    Attributes
    ----------
    happened
        Faults that were really injected: after the first one, a row may never come to the second.
    ended
        How the executions of its cycles ended.
    """

    row: Row
    happened: list[str]
    ended: list[str]
    violations: list[str]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            **self.row.as_dict(),
            "happened": self.happened,
            "ended": self.ended,
            "violations": self.violations,
            "seconds": self.seconds,
        }


@dataclass
class Runner:
    """Runs rows on one stack.

    Attributes
    ----------
    folder
        Where the functions find their faults.
    attempt
        Distinguishes runs of the same row on one stack.
    """

    session: Session
    folder: Path
    model: Model
    attempt: str = ""

    def sites(self, slots: int) -> list[Site]:
        """Return the sites that a row without faults passes, except those of the second cycle that the first has."""
        row = Row(-slots, slots, ())
        lineage = self.begin(row)
        first = self._cycle_sites(lineage)
        second = self._cycle_sites(lineage) - first
        broken = violations(Stored(self.session, lineage), self.bill(row, lineage))
        if broken:
            raise AssertionError(f"a run without faults is broken already: {broken}")
        return sorted(first | {site for site in second if any(part in site.step for part in PREPARES)})

    def run(self, row: Row) -> Done:
        """Run one row: two cycles with its faults, one without, and one while it is paused."""
        began = time.monotonic()
        lineage = self.begin(row)
        (self.folder / lineage / PLAN).write_text(to_json(row.faults))
        ended, broken = [], []
        try:
            ended.append(run_cycle(self.session, lineage)["status"])
            if len(self.happened(lineage)) < len(row.faults):
                ended.append(run_cycle(self.session, lineage)["status"])
            (self.folder / lineage / PLAN).unlink()
            ended.append(run_cycle(self.session, lineage)["status"])
            broken = violations(Stored(self.session, lineage), self.bill(row, lineage))
            broken += self._started_while_paused(lineage)
        except TimeoutError as error:
            broken.append(str(error))
        if ended and ended[-1] != "SUCCEEDED":
            broken.append(f"the clean cycle ended as {ended[-1]}")
        return Done(row, self.happened(lineage), ended, broken, round(time.monotonic() - began, 1))

    def begin(self, row: Row) -> str:
        """Make a row known to the functions, and return its lineage."""
        lineage = f"{row.lineage}{self.attempt}"
        folder = self.folder / lineage
        folder.mkdir(parents=True)
        (folder / SLOTS).write_text(str(row.slots))
        return lineage

    def _cycle_sites(self, lineage: str) -> set[Site]:
        path = self.folder / lineage / SITES
        ended = run_cycle(self.session, lineage)
        if ended["status"] != "SUCCEEDED":
            raise AssertionError(f"a cycle without faults ended as {ended}")
        return {Site(*line.split("\t")) for line in path.read_text().splitlines()}

    def happened(self, lineage: str) -> list[str]:
        """Return the faults that were injected into a lineage, a line each."""
        path = self.folder / lineage / HAPPENED
        return path.read_text().replace("\t", " ").splitlines() if path.exists() else []

    def bill(self, row: Row, lineage: str) -> Bill:
        """Return what a row owes."""
        return Bill(self.model.answers[lineage] * answer_usd(), row.stranded)

    def _started_while_paused(self, lineage: str) -> list[str]:
        """Pause, start a cycle, and return what it did: it may do nothing."""
        control = self.session.control
        control.set_paused(lineage, True, at=AT, reason="chaos", expected_at=None)
        before = _things(self.session, lineage), self.model.answers[lineage]
        run_cycle(self.session, lineage)
        after = _things(self.session, lineage), self.model.answers[lineage]
        return [] if before == after else ["a paused lineage has started something"]


def _things(session: Session, lineage: str) -> tuple[Any, ...]:
    stored = Stored(session, lineage)
    return stored.records, stored.keys, stored.state, stored.spent_usd


def run_all(
    runner: Runner, rows: Sequence[Row], at_once: int, tell: Callable[[Done], None], ends: float = math.inf
) -> None:
    """Run rows side by side; `tell` hears of each as it ends, and none begins after the monotonic time `ends`."""

    def run(row: Row) -> None:
        if time.monotonic() < ends:
            tell(runner.run(row))

    with ThreadPoolExecutor(at_once) as pool:
        for _ in pool.map(run, rows):
            pass
