"""A journal of framework modifications in the bucket, from which a table that lost its last writes is restored.

Only the emulator needs it: when it is killed it keeps objects, but loses what its tables wrote since its last stop.
DynamoDB does not, so nothing of this is deployed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from codec_evolution import artifacts
from codec_evolution.framework import modifications as states
from codec_evolution.framework.modifications import Facts, Modification, OutboxEntry, Status
from codec_evolution.framework.ports import Modifications
from codec_evolution.framework.tool_specs import RESTART
from codec_evolution.ports import Conflict, Control, Objects

LATER = (
    states.REQUESTED,
    states.RUNNING,
    states.PENDING_APPROVAL,
    states.APPROVED,
    states.EXPIRED,
    states.DENIED,
    states.FAILED,
    states.APPLIED,
    states.ROLLED_BACK,
)
"""States in the order in which a call passes them; an approved call runs a second time and counts as approved."""


@dataclass(frozen=True)
class Journalled:
    """A table of modifications that journals each state after writing it; implements `ports.Modifications`.

    After and not before, because a write whose condition failed must leave no entry.
    """

    table: Modifications
    objects: Objects

    def put_once(self, call: Modification) -> bool:
        """Write a new call unless it exists."""
        written = self.table.put_once(call)
        if written:
            self._note(call)
        return written

    def get(self, modification_id: str) -> Modification | None:
        """Return one call."""
        return self.table.get(modification_id)

    def move(
        self,
        modification_id: str,
        current: Status,
        status: Status,
        facts: Facts,
        due: OutboxEntry | None = None,
    ) -> None:
        """Move a call to its next state; raises `Conflict`."""
        self.table.move(modification_id, current, status, facts, due)
        self._note_present(modification_id)

    def annotate(self, modification_id: str, facts: Facts) -> None:
        """Add what became known later and does not change the state."""
        self.table.annotate(modification_id, facts)
        self._note_present(modification_id)

    def latest(self, limit: int, status: Status | None = None) -> list[Modification]:
        """Return the newest calls first."""
        return self.table.latest(limit, status)

    def waiting_before(self, moment: str) -> Iterator[Modification]:
        """Yield the calls from before a moment that wait for a person."""
        return self.table.waiting_before(moment)

    def due(self, limit: int) -> list[OutboxEntry]:
        """Return the changes that are due for the git repository."""
        return self.table.due(limit)

    def done(self, entry: OutboxEntry) -> None:
        """Mark a change as pushed."""
        self.table.done(entry)

    def _note_present(self, modification_id: str) -> None:
        call = self.table.get(modification_id)
        if call is not None:
            self._note(call)

    def _note(self, call: Modification) -> None:
        self.objects.put_json(_key(call.modification_id, call.status), call.to_item())


@dataclass(frozen=True)
class Replayer:
    """Writes what the journal has and the table lost, through the table's own conditions."""

    table: Modifications
    objects: Objects
    control: Control
    lineage: str

    def replay(self, keys: Iterable[str], known: Mapping[str, Status]) -> int:
        """Restore the table from the journal, oldest call first; returns how many calls were restored.

        Parameters
        ----------
        keys
            All keys below `artifacts.MODIFICATIONS`, sorted.
        known
            States by modification id, as the table has them.
        """
        stored = {_folder(modification_id): status for modification_id, status in known.items()}
        newest: dict[str, Status] = {}
        for key in keys:
            folder, found, name = key.rpartition("/states/")
            status: Status | None = next((each for each in LATER if found and name == f"{each}.json"), None)
            if status:
                known_as = newest.get(folder, status)
                newest[folder] = status if LATER.index(status) > LATER.index(known_as) else known_as
        return sum(
            self._bring_up(folder, status)
            for folder, status in newest.items()
            if stored.get(folder) != status
        )

    def _bring_up(self, folder: str, status: Status) -> bool:
        journalled = Modification.from_item(self.objects.get_json(f"{folder}/states/{status}.json") or {})
        modification_id = journalled.modification_id
        self.table.put_once(journalled.with_status(states.REQUESTED))
        stored = self.table.get(modification_id)
        steps = _path(stored.status, status) if stored else None
        if stored is None or steps is None:
            return False  # the table is ahead of the journal
        facts, before = journalled.facts(), stored.status
        for step in steps:
            due = self._due(journalled) if step == states.APPLIED else None
            try:
                self.table.move(modification_id, before, step, facts, due)
            except Conflict:
                return False
            before = step
        self._point(journalled)
        return True

    def _due(self, call: Modification) -> OutboxEntry | None:
        """Return the entry that has Commit push a change; one that is in the repository is not pushed again."""
        result = self.objects.get_json(artifacts.modification(call.modification_id, "result.json")) or {}
        if not result.get("changed") or not call.applied_at:
            return None
        return OutboxEntry(call.modification_id, call.applied_at)

    def _point(self, call: Modification) -> None:
        """Move the release pointer as an applied restart did, unless it has moved on."""
        if call.tool != RESTART or call.status != states.APPLIED or not call.release_before:
            return
        with suppress(Conflict):
            if not self.control.state(self.lineage).release:
                self.control.set_release(self.lineage, call.release_before, expected="")
            self.control.set_release(self.lineage, call.release, expected=call.release_before)


def _path(current: Status, wanted: Status) -> list[Status] | None:
    """Return the states that lead from one to another, or None when none does."""
    due: deque[tuple[Status, list[Status]]] = deque([(current, [])])
    seen = {current}
    while due:
        status, steps = due.popleft()
        if status == wanted:
            return steps
        for following in sorted(states.NEXT[status] - seen):
            seen.add(following)
            due.append((following, [*steps, following]))
    return None


def _folder(modification_id: str) -> str:
    return artifacts.modification(modification_id, "").rstrip("/")


def _key(modification_id: str, status: str) -> str:
    return artifacts.modification(modification_id, f"states/{status}.json")
