"""The history of framework modifications: every tool call through all its states."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from codec_evolution.clock import format_time, parse_time
from codec_evolution.record import clip_text

HOST = "orchestrator"
OUTBOX = "outbox"
"""Partition of the changes that are due for the git repository: status `DUE`, then `DONE`."""
DUE, DONE = "due", "done"

REQUESTED = "requested"
DENIED = "denied"
PENDING_APPROVAL = "pending_approval"
APPROVED = "approved"
RUNNING = "running"
APPLIED = "applied"
FAILED = "failed"
ROLLED_BACK = "rolled_back"
EXPIRED = "expired"

NEXT: Mapping[str, frozenset[str]] = {
    REQUESTED: frozenset({RUNNING, DENIED}),
    RUNNING: frozenset({APPLIED, FAILED, DENIED, PENDING_APPROVAL}),
    PENDING_APPROVAL: frozenset({APPROVED, DENIED, EXPIRED}),
    APPROVED: frozenset({RUNNING, EXPIRED}),
    APPLIED: frozenset({ROLLED_BACK}),
    DENIED: frozenset(),
    FAILED: frozenset(),
    ROLLED_BACK: frozenset(),
    EXPIRED: frozenset(),
}
"""Which state may follow which; the writes are conditional, so nothing else happens."""

STATES = tuple(NEXT)
UNFINISHED = frozenset({REQUESTED, RUNNING, APPROVED})
"""A call that is found so was cut short, and is taken up again."""

CANDIDATES = "candidates"
"""Value of ``target``: the call changes the requirements of the sandbox image."""
IMAGE_LOCK = "sandbox_container/requirements.lock"
"""What the sandbox image is built from."""
BUILDING, LIVE, BROKEN, SUPERSEDED = "building", "live", "failed", "superseded"
"""Values of ``image_status``: what became of the image that was built for a call; it is no state of the call."""

APPROVAL_TTL = timedelta(hours=24)


def modification_id_for(attempt_id: str, round_number: int) -> str:
    """Return the id of a planner's call: the same for every retry of one round."""
    return f"{attempt_id}#tool{round_number}"


def requested(
    modification_id: str,
    *,
    tool: str,
    arguments: Mapping[str, Any],
    reason: str,
    now: str,
    attempt_id: str = "",
    planner: str = "",
    rolls_back: str = "",
) -> dict[str, Any]:
    """Return the item of a new call, as the console shall show it: flat, short and readable."""
    item = {
        "host": HOST,
        "modification_id": modification_id,
        "tool": clip_text(tool, 80),
        "status": REQUESTED,
        "file": clip_text(str(arguments.get("file_path", "")), 300),
        "summary": summarise(tool, arguments),
        "reason": clip_text(reason),
        "attempt_id": attempt_id,
        "planner": planner,
        "rolls_back": rolls_back,
        "started_at": now,
    }
    # An index refuses an empty key, and the console reads better without empty columns.
    return {name: value for name, value in item.items() if value != ""}


def summarise(tool: str, arguments: Mapping[str, Any]) -> str:
    """Return one line that says what a call is about."""
    what = arguments.get("file_path") or arguments.get("command") or arguments.get("package") or ""
    kind = arguments.get("modification_type") or arguments.get("target")
    return clip_text(" ".join(str(part) for part in (tool, what, kind and f"({kind})") if part), 300)


def expires(now: str) -> str:
    """Return when an approval that is asked for now is no longer taken."""
    return format_time(parse_time(now) + APPROVAL_TTL)


def may_be_overdue_before(now: str) -> str:
    """Return the moment before which a call must have been made to wait too long by now."""
    return format_time(parse_time(now) - APPROVAL_TTL)


def is_expired(item: Mapping[str, Any], now: str) -> bool:
    """Tell whether a call waited too long for a person."""
    return "expires_at" in item and parse_time(now) >= parse_time(str(item["expires_at"]))


def outcome(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the item keeps of the host's answer; contents stay in the bucket."""
    changed = answer.get("changed") or []
    first = changed[0] if changed else {}
    kept = {
        "tier": answer.get("tier"),
        "rule": answer.get("rule"),
        "message": clip_text(str(answer.get("message", ""))),
        "duration_s": answer.get("duration_s"),
        "arguments_sha256": answer.get("arguments_sha256"),
        "file_sha256": answer.get("file_sha256"),
        "file": first.get("path") or answer.get("file"),
        "before_sha256": first.get("before_sha256"),
        "after_sha256": first.get("sha256"),
        "backup": answer.get("backup"),
        "diff": clip_text(str(answer.get("diff", ""))),
        "package": answer.get("package"),
        "target": answer.get("target"),
    }
    return {name: value for name, value in kept.items() if value not in (None, "")}


def outbox_item(modification_id: str, now: str) -> dict[str, Any]:
    """Return the entry that has Commit push a change; its key sorts by the time of the change."""
    return {"host": OUTBOX, "modification_id": f"{now}#{modification_id}", "status": DUE}


def of_outbox(outbox_id: str) -> str:
    """Return the modification that an outbox entry is about."""
    return outbox_id.partition("#")[2]


def size_of(arguments: Mapping[str, Any]) -> int:
    """Return the bytes of a call's arguments as JSON."""
    return len(json.dumps(arguments).encode("ascii"))
