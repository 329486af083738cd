"""What the framework tools changed or tried to change, and what waits for a person."""

from __future__ import annotations

from typing import Any

from codec_evolution.modifications import APPLIED, DENIED, EXPIRED, FAILED, PENDING_APPROVAL
from codec_evolution.widgets.html import render
from codec_evolution.widgets.request import Room, WidgetRequest

MOST_WAITING = 10
TEXT_CHARS = 400
REFUSED = (DENIED, FAILED, EXPIRED)


def modifications(room: Room, request: WidgetRequest) -> str:
    """Return the newest framework modifications; an applied one has a button that undoes it."""
    found = room.modifications.latest(request.limit)
    return render("modifications.html.j2", room, request, rows=[_row(room, each) for each in found])


def approvals(room: Room, request: WidgetRequest) -> str:
    """Return the modifications that wait for a person, each with its two buttons."""
    waiting = room.modifications.latest(MOST_WAITING, PENDING_APPROVAL)
    # The index holds what a list needs; who decides wants the reason and the difference.
    whole = [room.modifications.get(each["modification_id"]) or each for each in waiting]
    return render("approvals.html.j2", room, request, rows=[_row(room, each) for each in whole])


def _row(room: Room, found: dict[str, Any]) -> dict[str, Any]:
    sha = str(found.get("commit", ""))
    what = str(found.get("summary") or found.get("file") or "")
    of = {"modification_id": found["modification_id"]}
    return {
        **found,
        "what": _cut(what),
        # The tool has a place of its own.
        "subject": _cut(what.removeprefix(str(found["tool"])).strip()),
        "refusal": _cut(str(found.get("message", ""))) if found["status"] in REFUSED else "",
        "why": _cut(str(found.get("reason", ""))),
        "sha": sha[:8],
        "commit_link": room.links.commit(sha),
        "can_roll_back": found["status"] == APPLIED and not found.get("rolls_back"),
        **{f"{action}_payload": {"action": action, **of} for action in ("approve", "deny", "rollback")},
    }


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "\u2026"
