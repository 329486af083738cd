"""Bringing adopted versions into the git repository: one reconciler a cycle, safe to repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from codec_evolution import artifacts
from codec_evolution import record as records
from codec_evolution.loop.commit import GithubAway, GithubRefused, Repository, reconcile
from codec_evolution.ports import Control, LoopState, Objects, Record
from codec_evolution.record import Attempt

VERSIONS_PER_CYCLE = 20
"""How far one reconciliation catches up; the rest waits for the next cycle."""


@dataclass
class Deployed:
    """What one reconciliation did."""

    committed: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    waiting: str = ""
    """Why versions are still due; empty when none is."""


@dataclass(frozen=True)
class Deployer:
    """Commits every version above the committed one, in order.

    Attributes
    ----------
    connect
        Returns the repository, or None when none is configured; may raise `GithubRefused`.
    """

    record: Record
    control: Control
    objects: Objects
    connect: Callable[[], Repository | None]

    def commit_due(self, lineage: str) -> Deployed:
        """Commit what is due; GitHub being away leaves it due and is no fault."""
        done = Deployed()
        state = self.control.state(lineage)
        due = self._due(state)
        if not due:
            return done
        try:
            repository = self.connect()
            if repository is None:
                done.waiting = "no_repository: github_repository is not set"
                return done
            previous = self.record.of_version(lineage, state.committed_version)
            for made in reconcile(
                due, self._source, repository, on_away=lambda away: _away(done, away), previous=previous
            ):
                self.record.set_deployment(made.lineage, made.attempt_id, records.DEPLOYED, made.sha)
                self.control.set_committed(made.lineage, made.version)
                done.committed.append({"version": made.version, "sha": made.sha})
        except GithubRefused as refused:
            done.waiting = f"github_refused: {refused}"
        return done

    def _due(self, state: LoopState) -> list[Attempt]:
        last = min(state.version, state.committed_version + VERSIONS_PER_CYCLE)
        due: list[Attempt] = []
        for version in range(state.committed_version + 1, last + 1):
            attempt = self.record.of_version(state.lineage, version)
            if attempt is None:
                # The index is eventually consistent: a version that it does not show yet, and all after it, wait.
                break
            due.append(attempt)
        return due

    def _source(self, attempt: Attempt) -> str:
        return artifacts.load_source(self.objects, attempt.source_sha256)


def _away(done: Deployed, away: GithubAway) -> None:
    done.waiting = f"github_away: {away}"
