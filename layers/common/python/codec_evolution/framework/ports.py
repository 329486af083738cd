"""What the other rooms need of the history of framework modifications; `adapters.modifications` implements it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from codec_evolution.framework.modifications import Facts, Modification, OutboxEntry, Status


class Modifications(Protocol):
    """The table `FrameworkModifications`."""

    def put_once(self, call: Modification) -> bool:
        """Write a new call unless it exists; returns whether it was written."""
        ...

    def get(self, modification_id: str) -> Modification | None:
        """Return one call by a consistent read."""
        ...

    def move(
        self,
        modification_id: str,
        current: Status,
        status: Status,
        facts: Facts,
        due: OutboxEntry | None = None,
    ) -> None:
        """Move a call from one state to the next, together with its entry in the outbox; raises `Conflict`."""
        ...

    def annotate(self, modification_id: str, facts: Facts) -> None:
        """Add what became known later and does not change the state, such as the commit."""
        ...

    def latest(self, limit: int, status: Status | None = None) -> list[Modification]:
        """Return the newest calls first; with a status, only the attributes in `framework.modifications.LISTED`."""
        ...

    def waiting_before(self, moment: str) -> Iterator[Modification]:
        """Yield the listed attributes of the calls from before a moment that wait for a person, oldest first."""
        ...

    def due(self, limit: int) -> list[OutboxEntry]:
        """Return the changes that are due for the git repository, oldest first."""
        ...

    def done(self, entry: OutboxEntry) -> None:
        """Mark a change as pushed."""
        ...
