"""What the framework tools changed or tried to change, and what waits for a person."""

from __future__ import annotations

from typing import Any

from codec_evolution.widgets.html import render
from codec_evolution.widgets.overview import PENDING
from codec_evolution.widgets.request import Room, WidgetRequest

APPLIED = "applied"
TEXT_CHARS = 400


def modifications(room: Room, request: WidgetRequest) -> str:
    """Return the newest framework modifications; an applied one has a button that undoes it."""
    found = room.modifications.latest(request.limit)
    return render("modifications.html.j2", room, request, rows=[_row(room, each) for each in found])


def approvals(room: Room, request: WidgetRequest) -> str:
    """Return the modifications that wait for a person, each with its two buttons."""
    found = room.modifications.latest(request.limit, PENDING)
    return render("approvals.html.j2", room, request, rows=[_row(room, each) for each in found])


def _row(room: Room, found: dict[str, Any]) -> dict[str, Any]:
    sha = str(found.get("commit", ""))
    expected = {"modification_id": found["modification_id"], "expected": found["status"]}
    return {
        **found,
        "what": _cut(str(found.get("summary") or found.get("file") or "")),
        "why": _cut(str(found.get("reason", ""))),
        "sha": sha[:8],
        "commit_link": room.links.commit(sha),
        "can_roll_back": found.get("status") == APPLIED and bool(found.get("file")),
        **{f"{action}_payload": {"action": action, **expected} for action in ("approve", "deny", "rollback")},
    }


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "\u2026"
