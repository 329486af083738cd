"""The history of framework modifications: every framework tool call through all its states.

`Modification` is an item of the table. What happens to an attribute elsewhere is metadata of its field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal, Self, get_args

from codec_evolution.clock import format_time, parse_time
from codec_evolution.record import Attributes, Exposure, Text, Time, clip_text, exposures

HOST = "orchestrator"
"""Partition of the calls; there is one host."""
OUTBOX = "outbox"
"""Partition of the changes that are due for the git repository: status `DUE`, then `DONE`."""
DUE, DONE = "due", "done"

Status = Literal[
    "requested",
    "running",
    "pending_approval",
    "approved",
    "applied",
    "denied",
    "failed",
    "rolled_back",
    "expired",
]
REQUESTED: Status = "requested"
"""Recorded; the host has not been asked yet."""
RUNNING: Status = "running"
"""The host is asked."""
PENDING_APPROVAL: Status = "pending_approval"
"""A person must decide."""
APPROVED: Status = "approved"
"""A person approved it; the host has not been asked again yet."""
APPLIED: Status = "applied"
"""The host carried it out."""
DENIED: Status = "denied"
"""The guard or a person refused it."""
FAILED: Status = "failed"
"""It was allowed, but did not work."""
ROLLED_BACK: Status = "rolled_back"
"""It was applied and undone later."""
EXPIRED: Status = "expired"
"""Nobody decided in time."""

HOST_AWAY = "host-away"
"""The rule of a call that the host did not answer."""

STATES: tuple[Status, ...] = get_args(Status)
"""All states, in the order in which listings show them."""

NEXT: Mapping[Status, frozenset[Status]] = {
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
"""The states that may follow each state; the writes are conditional, so nothing else happens."""

UNFINISHED: frozenset[Status] = frozenset({REQUESTED, RUNNING, APPROVED})
"""A call that is found in one of these was interrupted, and is resumed."""

CANDIDATES = "candidates"
"""Value of ``target``: the call changes the requirements of the sandbox image."""
IMAGE_LOCK = "sandbox_container/requirements.lock"
"""What the sandbox image is built from."""
BUILDING, LIVE, BROKEN, SUPERSEDED = "building", "live", "failed", "superseded"
"""Values of ``image_status``: what became of the image that was built for a call. It is not a state of the call."""

APPROVAL_TTL = timedelta(hours=24)
"""How long a call waits for a person."""


class Facts(Attributes, frozen=True):
    """What becomes known of a call after it was requested. An unset or empty attribute is not stored."""

    file: Annotated[str, Exposure(listed=4)] = ""
    """Path of the file that the call is about."""
    tier: Annotated[str, Exposure(listed=2)] = ""
    """The file's tier in the guard."""
    rule: str = ""
    """The rule by which the call was refused, or ``approved``."""
    message: Text = ""
    duration_s: float | None = None
    """Seconds that the host needed."""
    arguments_sha256: str = ""
    file_sha256: str = ""
    """With `arguments_sha256`, what an approval is bound to."""
    before_sha256: str = ""
    after_sha256: str = ""
    backup: str = ""
    """Name of the host's backup."""
    diff: Text = ""
    package: str = ""
    target: str = ""
    """Who imports the package: ``host`` or `CANDIDATES`."""
    expires_at: Time | None = None
    approved_at: Time | None = None
    applied_at: Time | None = None
    finished_at: Annotated[Time | None, Exposure(listed=8)] = None
    release: str = ""
    """The release that a restart made live."""
    release_before: str = ""
    published: str = ""
    """What a restart published of changed code."""
    rolled_back_by: str = ""
    """Id of the call that undid this one."""
    rolled_back_at: Time | None = None
    commit: str = ""
    github_committed: bool | None = None
    resource: str = ""
    """What the call changes of the deployed system: an alarm, a setting or a function."""
    value_before: str = ""
    """Its value before, which a rollback puts back."""
    value: str = ""
    """Its value after."""
    build: str = ""
    """Id of the build of the sandbox image."""
    image_status: str = ""
    image_message: Text = ""
    image_finished_at: Time | None = None


class Modification(Facts, frozen=True, extra="allow"):
    """One framework tool call. Attributes that this version does not know are kept as they are.

    A listing by an index has only the attributes that are projected into it.
    """

    host: str = HOST
    modification_id: str
    """For a planner's call by `modification_id_for`; others begin with the time of the call, too."""
    tool: Annotated[str, Exposure(listed=1)]
    status: Annotated[Status, Exposure(listed=3)]
    summary: Annotated[str, Exposure(listed=5)] = ""
    reason: Text = ""
    attempt_id: Annotated[str, Exposure(listed=6)] = ""
    """The attempt whose planner made the call."""
    planner: str = ""
    """``operator`` for a person's call."""
    rolls_back: str = ""
    """Id of the call that this one undoes."""
    started_at: Annotated[Time | None, Exposure(listed=7)] = None

    def with_status(self, status: Status, facts: Facts | None = None) -> Self:
        """Return the call in another state, with what became known then."""
        known = {} if facts is None else facts.to_item()
        return self.from_item({**self.to_item(), **known, "status": status})

    def facts(self) -> Facts:
        """Return what became known of the call after it was requested."""
        item = self.to_item()
        return Facts.from_item({name: item[name] for name in Facts.model_fields if name in item})


LISTED = tuple(
    name
    for _, name in sorted((column.listed, name) for name, column in exposures(Modification) if column.listed)
)
"""The attributes that are projected into the indexes, in the order in which they are deployed."""


@dataclass(frozen=True)
class OutboxEntry:
    """A change that is due for the git repository.

    Attributes
    ----------
    applied_at
        When it was applied; entries sort by it.
    """

    modification_id: str
    applied_at: str

    @property
    def key(self) -> str:
        """Its sort key."""
        return f"{self.applied_at}#{self.modification_id}"

    @classmethod
    def from_key(cls, key: str) -> OutboxEntry:
        """Return the entry of a sort key."""
        applied_at, _, modification_id = key.partition("#")
        return cls(modification_id, applied_at)

    def to_item(self) -> dict[str, str]:
        """Return the item of the table."""
        return {"host": OUTBOX, "modification_id": self.key, "status": DUE}


def modification_id_for(attempt_id: str, round_number: int) -> str:
    """Return the id of a planner's call, which is the same for every retry of its round."""
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
) -> Modification:
    """Return a new call, with long texts cut to what the console shows well."""
    return Modification(
        host=HOST,
        modification_id=modification_id,
        tool=clip_text(tool, 80),
        status=REQUESTED,
        file=clip_text(str(arguments.get("file_path", "")), 300),
        summary=summarise(tool, arguments),
        reason=reason,
        attempt_id=attempt_id,
        planner=planner,
        rolls_back=rolls_back,
        started_at=now,
    )


_SUBJECTS = ("file_path", "command", "package", "key", "function_name", "name")
_KINDS = ("modification_type", "target", "value", "metric")
"""Arguments that say what a call is about, and in which way."""


def summarise(tool: str, arguments: Mapping[str, Any]) -> str:
    """Return one line that says what a call is about."""
    what = next((arguments[name] for name in _SUBJECTS if arguments.get(name)), "")
    kind = next((arguments[name] for name in _KINDS if arguments.get(name)), "")
    return clip_text(" ".join(str(part) for part in (tool, what, kind and f"({kind})") if part), 300)


def expires(now: str) -> str:
    """Return when an approval that is asked for now expires."""
    return format_time(parse_time(now) + APPROVAL_TTL)


def may_be_overdue_before(now: str) -> str:
    """Return the time before which a call must have been made to be overdue now."""
    return format_time(parse_time(now) - APPROVAL_TTL)


def is_expired(call: Modification, now: str) -> bool:
    """Return whether a call has waited too long for a person."""
    return call.expires_at is not None and parse_time(now) >= parse_time(call.expires_at)


def outcome(answer: Mapping[str, Any]) -> Facts:
    """Return what the record keeps of the host's answer; contents stay in the bucket."""
    changed = answer.get("changed") or []
    first = changed[0] if changed else {}
    kept = {
        "tier": answer.get("tier"),
        "rule": answer.get("rule"),
        "message": str(answer.get("message", "")),
        "duration_s": answer.get("duration_s"),
        "arguments_sha256": answer.get("arguments_sha256"),
        "file_sha256": answer.get("file_sha256"),
        "file": first.get("path") or answer.get("file"),
        "before_sha256": first.get("before_sha256"),
        "after_sha256": first.get("sha256"),
        "backup": answer.get("backup"),
        "diff": str(answer.get("diff", "")),
        "package": answer.get("package"),
        "target": answer.get("target"),
        "resource": answer.get("resource"),
    }
    return Facts.from_item({name: value for name, value in kept.items() if value not in (None, "")})


def size_of(arguments: Mapping[str, Any]) -> int:
    """Return the size of a call's arguments as JSON, in bytes."""
    return len(json.dumps(arguments).encode("ascii"))
