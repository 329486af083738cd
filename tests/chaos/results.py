"""What the harness found, written down after each row and kill, so that a long run may be taken in pieces."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.errors import UserError
from infra.local.synthesis import ROOT
from infra.workbench.whole_file import write_whole
from tests.chaos.faults import Row, Site


def commit() -> str:
    """Return the commit that is checked out, with ``-dirty`` if files differ from it."""
    command = ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty"]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout.strip()


@dataclass
class Results:
    """Rows and kills, those of other seeds as well.

    Attributes
    ----------
    seed
        Of the rows and kills that are run now.
    commits
        Those that were tested.
    path
        Where everything is written after each row and kill, or None.
    sites
        The sites of a run without faults, by its number of slots, from which the seed's matrix is drawn; under 0 those
        of an audit. They differ a little from run to run, so a later piece draws from those of the first.
    rows, kills
        As `rows.Done` and `kills.Killed` describe themselves, by seed and number.
    """

    seed: int
    commits: set[str]
    path: Path | None = None
    sites: dict[int, list[Site]] = field(default_factory=dict)
    rows: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    kills: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def merge(self, path: Path) -> None:
        """Take over what a file of an earlier run holds; raises `UserError` if it is none, or of other code."""
        try:
            found = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"--merge {path} cannot be read: {error}") from None
        sites = {int(slots): [Site(*each) for each in of] for slots, of in found["sites"].items()}
        if found["seed"] != self.seed:
            sites = {}
        if sites and self.sites and sites != self.sites:
            raise UserError(
                f"--merge {path} was drawn from other sites than the files before: it is of other code"
            )
        self.sites = self.sites or sites
        self.commits |= set(found["commits"])
        for each in found["rows"]:
            self.rows[each.get("seed", found["seed"]), each["row"]] = each
        for each in found["killed"]:
            self.kills[each.get("seed", found["seed"]), each["number"]] = each

    def due(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows that have not been run; raises `UserError` if one was run with other faults."""
        for row in rows:
            known = self.rows.get((self.seed, row.number))
            if known is not None and known["faults"] != row.as_dict()["faults"]:
                raise UserError(f"row {row.number} was merged with other faults: it is of other code")
        return [row for row in rows if (self.seed, row.number) not in self.rows]

    def add_row(self, done: dict[str, Any]) -> None:
        """Keep a row that was run."""
        with self._lock:
            self.rows[self.seed, done["row"]] = {"seed": self.seed, **done}
            self._save()

    def add_kill(self, killed: dict[str, Any]) -> None:
        """Keep a kill."""
        with self._lock:
            self.kills[self.seed, killed["number"]] = {"seed": self.seed, **killed}
            self._save()

    @property
    def violations(self) -> int:
        """How many rows and kills violated something."""
        return sum(bool(each["violations"]) for each in [*self.rows.values(), *self.kills.values()])

    def table(self) -> str:
        """Return how often each kind of fault was injected where, and what it broke."""
        counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for row in self.rows.values():
            for fault in row["happened"]:
                site, kind = fault.rsplit(" ", 1)
                _count(counts, (_function_of(site), kind), row)
        for kill in self.kills.values():
            _count(counts, ("local stack", f"SIGKILL {kill['what']}"), kill)
        lines = ["| where | fault | injected | violated |", "|---|---|---:|---:|"]
        lines += [f"| {where} | {kind} | {n} | {bad} |" for (where, kind), (n, bad) in sorted(counts.items())]
        total, bad = sum(n for n, _ in counts.values()), sum(bad for _, bad in counts.values())
        seeds = sorted({seed for seed, _ in [*self.rows, *self.kills]})
        tested = f"seed {', '.join(map(str, seeds))}, commit {', '.join(sorted(self.commits))}: {len(self.rows)} rows, "
        return "\n".join(
            [*lines, f"| **all** | | **{total}** | **{bad}** |", "", f"{tested}{len(self.kills)} kills"]
        )

    def _save(self) -> None:
        if self.path is not None:
            write_whole(self.path, (json.dumps(self._as_dict(), indent=2) + "\n").encode())

    def _as_dict(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "commits": sorted(self.commits),
            "faults": sum(len(each["happened"]) for each in self.rows.values()),
            "kills": len(self.kills),
            "violations": self.violations,
            "sites": {slots: [[each.step, each.call] for each in of] for slots, of in self.sites.items()},
            "rows": [self.rows[key] for key in sorted(self.rows)],
            "killed": [self.kills[key] for key in sorted(self.kills)],
        }


def _function_of(site: str) -> str:
    """Return the function of a site, apart where it works for an audit."""
    function, _, of = site.partition("/")[0].partition("#")
    return f"audit: {function}" if of.startswith("audit") else function


def _count(counts: dict[tuple[str, str], list[int]], place: tuple[str, str], run: Mapping[str, Any]) -> None:
    counts[place][0] += 1
    counts[place][1] += bool(run["violations"])
