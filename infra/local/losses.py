"""Brings in order what a killed emulator has lost: it keeps objects, but forgets what its tables wrote.

Everything is restored from what is on disk all along: journals, conversations and notes in the bucket, commits in the
git repository. DynamoDB loses nothing, so nothing of this is deployed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from codec_evolution import artifacts
from codec_evolution import record as records
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import LoopControl
from codec_evolution.clock import day_of
from codec_evolution.loop import conclusion
from codec_evolution.loop.commit_message import ATTEMPT, trailer_of
from codec_evolution.loop.cycle import PREPARATION
from codec_evolution.loop.lost_attempts import conclude_lost
from codec_evolution.ports import Conflict, Control, Objects, Record
from codec_evolution.record import Attempt

from infra.local.bare_repository import BareRepository
from infra.local.github_api import BRANCH

COMMITS = 10_000
"""Commits of the branch that are looked through for those of lost versions."""


class NotedControl(LoopControl):
    """The loop's control items; a pause is noted in the bucket as well."""

    def __init__(self, table_name: str, record_table_name: str, bucket: ArtifactBucket, home: str) -> None:
        super().__init__(table_name, record_table_name, home=home)
        self._bucket = bucket

    def set_paused(
        self, lineage: str, paused: bool, *, at: str, reason: str, expected_at: str | None
    ) -> bool:
        """Pause or resume, and note it; raises `Conflict`."""
        changed = super().set_paused(lineage, paused, at=at, reason=reason, expected_at=expected_at)
        note_pause(self, self._bucket, lineage)
        return changed


def note_pause(control: Control, objects: Objects, lineage: str) -> None:
    """Note whether a lineage is paused."""
    state = control.state(lineage)
    note = {"paused": state.paused, "at": state.paused_at, "reason": state.paused_reason}
    objects.put_json(_pause_key(lineage), note)


@dataclass(frozen=True)
class Losses:
    """Restores what the tables lost of one lineage.

    Attributes
    ----------
    git
        The repository behind the GitHub stand-in.
    branch
        The branch of the lineage's versions.
    """

    record: Record
    control: Control
    objects: Objects
    git: BareRepository
    lineage: str
    branch: str = BRANCH

    def restore(self, keys: Iterable[str], of_others: Iterable[str] = ()) -> int:
        """Restore records, commits, dollars and the pause; returns how many attempts were restored.

        Parameters
        ----------
        keys
            All keys below ``attempts/<lineage>/``.
        of_others
            Those of the lineages that share its daily budget.
        """
        newest = self.record.latest(self.lineage, 1)
        known = artifacts.attempt(self.lineage, newest[0].attempt_id) if newest else ""
        begun = _files(keys)
        commits = self._commits()
        later = {folder: names for folder, names in begun.items() if folder > known}
        count = self._replay(later, commits) + self._conclude_open(later)
        self._restore_commits(commits)
        self._restore_dollars(later, {**begun, **_files(of_others)})
        self._restore_pause()
        return count

    def _replay(self, folders: Mapping[str, set[str]], commits: Mapping[str, str]) -> int:
        """Write journalled records, the adopted ones in the order of their versions."""
        journalled = [
            Attempt.from_item(stored)
            for folder, names in sorted(folders.items())
            if "record.json" in names and (stored := self.objects.get_json(f"{folder}/record.json"))
        ]
        plain = [each for each in journalled if each.status != records.ADOPTED]
        adopted = [each for each in journalled if each.status == records.ADOPTED]
        # Of two that claim a version, the one that was committed was adopted, otherwise the one that came first.
        adopted.sort(
            key=lambda each: (
                each.adopted_version or 0,
                each.attempt_id not in commits,
                str(each.finished_at),
            )
        )
        return sum(conclusion.replay(each, self.control, self.record) for each in [*plain, *adopted])

    def _conclude_open(self, folders: Mapping[str, set[str]]) -> int:
        """Conclude attempts that had begun and have no record: no execution outlives the emulator."""
        due: dict[str, list[str]] = defaultdict(list)
        for folder in folders:
            cycle_id, _, slot = folder.rpartition("/")[2].partition("_")
            if slot != PREPARATION:
                due[cycle_id].append(f"{cycle_id}#{slot}")
        state = self.control.state(self.lineage)
        return sum(
            len(
                conclude_lost(
                    self.record, self.objects, replace(state, cycle_id=cycle_id, due=tuple(attempts))
                )
            )
            for cycle_id, attempts in sorted(due.items())
        )

    def _commits(self) -> dict[str, str]:
        """Return the hash of each attempt's commit."""
        head = self.git.resolve(f"refs/heads/{self.branch}", "commit")
        history = self.git.history(head, 0, COMMITS) if head else []
        named = ((trailer_of(each.message, ATTEMPT), each.sha) for each in history)
        return {attempt_id: sha for attempt_id, sha in named if attempt_id}

    def _restore_commits(self, commits: Mapping[str, str]) -> None:
        """Note versions as committed that are: the branch's recent history alone does not show them all."""
        state = self.control.state(self.lineage)
        for version in range(state.committed_version + 1, state.version + 1):
            attempt = self.record.of_version(self.lineage, version)
            if attempt is None or attempt.attempt_id not in commits:
                return
            sha = commits[attempt.attempt_id]
            self.record.set_deployment(self.lineage, attempt.attempt_id, records.DEPLOYED, sha)
            self.control.set_committed(self.lineage, version)

    def _restore_dollars(self, later: Iterable[str], begun: Mapping[str, set[str]]) -> None:
        """Raise the counters of the days of lost attempts to what the conversations cost."""
        days = {_day(folder) for folder in later}
        spent: dict[str, float] = defaultdict(float)
        for folder, names in begun.items():
            if _day(folder) in days and "model_usage.json" in names:
                usage = self.objects.get_json(f"{folder}/model_usage.json") or {}
                spent[_day(folder)] += usage.get("llm_cost_usd", 0.0) + usage.get("probe_cost_usd", 0.0)
        for day, dollars in spent.items():
            missing = dollars - self.control.day(self.lineage, day).spent_usd
            if missing > 0:
                self.control.settle(self.lineage, day, 0.0, missing)

    def _restore_pause(self) -> None:
        note: dict[str, Any] | None = self.objects.get_json(_pause_key(self.lineage))
        if note is None or note["paused"] == self.control.state(self.lineage).paused:
            return
        try:
            self.control.set_paused(
                self.lineage, note["paused"], at=note["at"], reason=note["reason"], expected_at=None
            )
        except Conflict:  # the state was just read; a person was quicker
            return


def _files(keys: Iterable[str]) -> dict[str, set[str]]:
    """Return the names of the files in each folder."""
    found: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        folder, _, name = key.rpartition("/")
        found[folder].add(name)
    return found


def _day(folder: str) -> str:
    return day_of(folder.rpartition("/")[2].partition("_")[0])


def _pause_key(lineage: str) -> str:
    return f"local/{lineage}/pause.json"
