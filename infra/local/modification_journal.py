"""A journal of framework modifications in the bucket, from which a table that lost its last writes is restored.

Only the emulator needs it: when it is killed it keeps objects, but loses what its tables wrote since its last stop.
DynamoDB does not, so nothing of this is deployed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from codec_evolution import artifacts
from codec_evolution.framework import modifications as states
from codec_evolution.framework.tool_specs import RESTART
from codec_evolution.ports import Conflict, Control, Modifications, Objects

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

    def put_once(self, item: Mapping[str, Any]) -> bool:
        """Write a new call unless it is there."""
        written = self.table.put_once(item)
        if written:
            self._note(item)
        return written

    def get(self, modification_id: str) -> dict[str, Any] | None:
        """Return one call."""
        return self.table.get(modification_id)

    def move(
        self,
        modification_id: str,
        current: str,
        status: str,
        fields: Mapping[str, Any],
        outbox: Mapping[str, Any] | None = None,
    ) -> None:
        """Move a call to its next state; raises `Conflict`."""
        self.table.move(modification_id, current, status, fields, outbox)
        self._note_present(modification_id)

    def annotate(self, modification_id: str, fields: Mapping[str, Any]) -> None:
        """Add what became known later and is no state."""
        self.table.annotate(modification_id, fields)
        self._note_present(modification_id)

    def latest(self, limit: int, status: str | None = None) -> list[dict[str, Any]]:
        """Return the newest calls first."""
        return self.table.latest(limit, status)

    def waiting_before(self, moment: str) -> Iterator[dict[str, Any]]:
        """Yield the calls from before a moment that wait for a person."""
        return self.table.waiting_before(moment)

    def due(self, limit: int) -> list[dict[str, Any]]:
        """Return outbox items that are due."""
        return self.table.due(limit)

    def done(self, outbox_id: str) -> None:
        """Take an item out of the outbox."""
        self.table.done(outbox_id)

    def _note_present(self, modification_id: str) -> None:
        item = self.table.get(modification_id)
        if item is not None:
            self._note(item)

    def _note(self, item: Mapping[str, Any]) -> None:
        self.objects.put_json(_key(str(item["modification_id"]), str(item["status"])), dict(item))


@dataclass(frozen=True)
class Replayer:
    """Writes what the journal has and the table lost, through the table's own conditions."""

    table: Modifications
    objects: Objects
    control: Control
    lineage: str

    def replay(self, keys: Iterable[str], known: Mapping[str, str]) -> int:
        """Restore the table from the journal, oldest call first; returns how many calls were restored.

        Parameters
        ----------
        keys
            All keys below `artifacts.MODIFICATIONS`, sorted.
        known
            States by modification id, as the table has them.
        """
        stored = {_folder(modification_id): status for modification_id, status in known.items()}
        newest: dict[str, str] = {}
        for key in keys:
            folder, found, name = key.rpartition("/states/")
            status = name.removesuffix(".json")
            if found and status in LATER:
                newest[folder] = max(newest.get(folder, status), status, key=LATER.index)
        return sum(
            self._bring_up(folder, status)
            for folder, status in newest.items()
            if stored.get(folder) != status
        )

    def _bring_up(self, folder: str, status: str) -> bool:
        item: dict[str, Any] | None = self.objects.get_json(f"{folder}/states/{status}.json")
        if item is None:
            return False
        modification_id = item["modification_id"]
        self.table.put_once({**item, "status": states.REQUESTED})
        stored = self.table.get(modification_id) or {}
        steps = _path(str(stored["status"]), status)
        if steps is None:
            return False  # the table is ahead of the journal
        fields = {
            name: value for name, value in item.items() if name not in ("host", "modification_id", "status")
        }
        before = str(stored["status"])
        for step in steps:
            outbox = self._outbox(item) if step == states.APPLIED else None
            try:
                self.table.move(modification_id, before, step, fields, outbox)
            except Conflict:
                return False
            before = step
        self._point(item)
        return True

    def _outbox(self, item: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the entry that has Commit push a change; what is in the repository is not pushed a second time."""
        result = self.objects.get_json(artifacts.modification(item["modification_id"], "result.json")) or {}
        return (
            states.outbox_item(item["modification_id"], item["applied_at"]) if result.get("changed") else None
        )

    def _point(self, item: Mapping[str, Any]) -> None:
        """Move the release pointer as an applied restart had moved it, unless it is elsewhere by now."""
        if item["tool"] != RESTART or item["status"] != states.APPLIED or "release_before" not in item:
            return
        with suppress(Conflict):
            if not self.control.state(self.lineage).release:
                self.control.set_release(self.lineage, item["release_before"], expected="")
            self.control.set_release(self.lineage, item["release"], expected=item["release_before"])


def _path(current: str, wanted: str) -> list[str] | None:
    """Return the states that lead from one to another, or None when none does."""
    due: deque[tuple[str, list[str]]] = deque([(current, [])])
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
