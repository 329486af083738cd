"""What the framework tools changed or tried to change, and what waits for a person."""

from __future__ import annotations

from typing import Any

from codec_evolution import artifacts
from codec_evolution.framework.modifications import APPLIED, DENIED, EXPIRED, FAILED, PENDING_APPROVAL
from codec_evolution.widgets.html import render
from codec_evolution.widgets.request import Room, WidgetRequest

MOST_WAITING = 10
TEXT_CHARS = 400
ARGUMENTS_CHARS = 20_000
CUT = "..."
"""How a text of an item ends that was cut."""
REFUSED = (DENIED, FAILED, EXPIRED)


def modifications(room: Room, request: WidgetRequest) -> str:
    """Return the newest framework modifications; an applied one has a button that undoes it."""
    found = room.modifications.latest(request.limit)
    return render("modifications.html.j2", room, request, rows=[_row(room, each) for each in found])


def approvals(room: Room, request: WidgetRequest) -> str:
    """Return the modifications that wait for a person, each with its two buttons."""
    waiting = room.modifications.latest(MOST_WAITING + 1, PENDING_APPROVAL)
    more, waiting = len(waiting) > MOST_WAITING, waiting[:MOST_WAITING]
    # The index holds what a list needs; who decides wants the reason and the difference.
    whole = [room.modifications.get(each["modification_id"]) or each for each in waiting]
    rows = [{**_row(room, each), "arguments": _unseen(room, each)} for each in whole]
    return render("approvals.html.j2", room, request, rows=rows, more=more)


def _unseen(room: Room, found: dict[str, Any]) -> str:
    """Return the whole arguments of a call whose item shows only the beginning; who approves must see all."""
    diff, what = str(found.get("diff", "")), str(found.get("summary", ""))
    if not diff.endswith(CUT) and (diff or not what.endswith(CUT)):
        return ""
    key = artifacts.modification(found["modification_id"], "request.json")
    document = room.objects.get_json(key)
    if document is None:
        return f"The item shows only a part, and {key} is not in the bucket. Deny it."
    text = "\n".join(_lines("", document["arguments"]))
    if len(text) <= ARGUMENTS_CHARS:
        return text
    rest = f"{len(text) - ARGUMENTS_CHARS} more characters: read {key} in the bucket before you approve this."
    return f"{rest}\n\n{text[:ARGUMENTS_CHARS]}"


def _lines(name: str, value: Any) -> list[str]:
    """Return a name and its value as lines, what lies within it by dotted names."""
    if isinstance(value, dict):
        return [line for key, each in value.items() for line in _lines(f"{name}.{key}".lstrip("."), each)]
    return [f"{name}:", str(value)] if "\n" in str(value) else [f"{name}: {value}"]


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
