"""Framework modifications: the latest ones, and those waiting for approval."""

from __future__ import annotations

from typing import Any

from codec_evolution import artifacts
from codec_evolution.framework.modifications import (
    APPLIED,
    DENIED,
    EXPIRED,
    FAILED,
    PENDING_APPROVAL,
    Modification,
)
from codec_evolution.widgets.html import render
from codec_evolution.widgets.request import WidgetContext, WidgetRequest

MOST_WAITING = 10
TEXT_CHARS = 400
ARGUMENTS_CHARS = 20_000
CUT = "..."
"""Ends a text that was truncated when the item was written."""
REFUSED = (DENIED, FAILED, EXPIRED)


def modifications(context: WidgetContext, request: WidgetRequest) -> str:
    """Return the latest framework modifications; an applied one has a button to roll it back."""
    found = context.modifications.latest(request.limit)
    return render("modifications.html.j2", context, request, rows=[_row(context, each) for each in found])


def approvals(context: WidgetContext, request: WidgetRequest) -> str:
    """Return the modifications waiting for approval, each with its two buttons."""
    waiting = context.modifications.latest(MOST_WAITING + 1, PENDING_APPROVAL)
    more, waiting = len(waiting) > MOST_WAITING, waiting[:MOST_WAITING]
    # The index lacks the reason and the diff, which an approver needs.
    whole = [context.modifications.get(each.modification_id) or each for each in waiting]
    rows = [{**_row(context, each), "arguments": _unseen(context, each)} for each in whole]
    return render("approvals.html.j2", context, request, rows=rows, more=more)


def _unseen(context: WidgetContext, found: Modification) -> str:
    """Return the full arguments of a call whose item was truncated: an approver must see all of it."""
    if not found.diff.endswith(CUT) and (found.diff or not found.summary.endswith(CUT)):
        return ""
    key = artifacts.modification(found.modification_id, "request.json")
    document = context.objects.get_json(key)
    if document is None:
        return f"Only part of this change is known, and {key} is not in the bucket. Deny it."
    text = "\n".join(_lines("", document["arguments"]))
    if len(text) <= ARGUMENTS_CHARS:
        return text
    rest = f"{len(text) - ARGUMENTS_CHARS} more characters: read {key} in the bucket before you approve this."
    return f"{rest}\n\n{text[:ARGUMENTS_CHARS]}"


def _lines(name: str, value: Any) -> list[str]:
    """Return a name and its value as lines; nested values have dotted names."""
    if isinstance(value, dict):
        return [line for key, each in value.items() for line in _lines(f"{name}.{key}".lstrip("."), each)]
    return [f"{name}:", str(value)] if "\n" in str(value) else [f"{name}: {value}"]


def _row(context: WidgetContext, found: Modification) -> dict[str, Any]:
    what = found.summary or found.file
    of = {"modification_id": found.modification_id}
    return {
        **found.to_item(),
        "what": _cut(what),
        # The tool is shown in a column of its own.
        "subject": _cut(what.removeprefix(found.tool).strip()),
        "refusal": _cut(found.message) if found.status in REFUSED else "",
        "why": _cut(found.reason),
        "sha": found.commit[:8],
        "commit_link": context.links.commit(found.commit),
        "can_roll_back": found.status == APPLIED and not found.rolls_back,
        **{f"{action}_payload": {"action": action, **of} for action in ("approve", "deny", "rollback")},
    }


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "\u2026"
