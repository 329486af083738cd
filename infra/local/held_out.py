"""How attempts did on the held-out windows, for people: neither deployed widgets nor planners may read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codec_evolution import artifacts
from codec_evolution.ports import Objects, Record
from codec_evolution.widgets.html import render_for_people
from codec_evolution.widgets.request import read_request

VIEW = "held_out"
"""Name of the view on the local page."""
TITLE = "Held-out clips"
ABOUT = "Why an attempt was confirmed, or not. For people only: no planner sees these figures."
LOOKED_AT = 50
"""Newest attempts that are searched for confirmations."""


def held_out_of(objects: Objects, lineage: str, attempt_id: str) -> dict[str, Any] | None:
    """Return ``reason`` and ``clips`` of an attempt's confirmation; None where it did not get that far."""
    verdict = objects.get_json(artifacts.held_out_verdict(lineage, attempt_id))
    if verdict is None:
        return None
    return {"reason": verdict.get("held_out_reason", ""), "clips": verdict["held_out_rows"]}


class HeldOutView:
    """The view of the newest confirmations.

    Parameters
    ----------
    record, objects
        Read with the rights of whoever runs the page.
    lineage
        Whose attempts are shown, unless a request names another one.
    """

    def __init__(self, record: Record, objects: Objects, lineage: str) -> None:
        self._record, self._objects, self._lineage = record, objects, lineage
        self._found: dict[tuple[str, str], dict[str, Any] | None] = {}

    def draw(self, event: Mapping[str, Any]) -> str:
        """Return the HTML for the event of a widget; raises `WidgetRequestError` for a parameter out of range."""
        request = read_request(event)
        lineage = request.lineage or self._lineage
        rows = []
        for attempt in self._record.latest(lineage, LOOKED_AT):
            found = self._of(lineage, attempt.attempt_id)
            if found is not None and len(rows) < request.limit:
                rows.append({**found, "status": attempt.status, "time": attempt.started_at})
        return render_for_people("held_out.html.j2", request, rows=rows, about=ABOUT)

    def _of(self, lineage: str, attempt_id: str) -> dict[str, Any] | None:
        # What is kept of a concluded attempt never changes, and the page asks every other second.
        if (lineage, attempt_id) not in self._found:
            self._found[lineage, attempt_id] = held_out_of(self._objects, lineage, attempt_id)
        return self._found[lineage, attempt_id]
