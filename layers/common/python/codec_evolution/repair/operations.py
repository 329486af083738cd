"""What an operator decides about a framework modification: approve, deny or roll back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from codec_evolution import artifacts
from codec_evolution.framework import modifications as states
from codec_evolution.framework.modifications import Facts, Modification
from codec_evolution.framework.ports import Modifications
from codec_evolution.framework.tool_specs import AWS_TOOLS, RESTART, RESTORE
from codec_evolution.ports import ChangeRefused, Conflict, PublishRefused
from codec_evolution.record import clip_text
from codec_evolution.repair.tool_service import ToolCall, ToolService

OVERDUE_PER_CYCLE = 20
"""Waiting calls that are closed when a cycle opens; the rest is left to the next one."""


class OperationRefused(Exception):
    """An operation is not possible; the message says why, and nothing has changed."""


@dataclass(frozen=True)
class Decided:
    """A decision that was carried out.

    Attributes
    ----------
    modification
        The call that was approved, denied or rolled back to; for the rollback of a change, the call that undid it.
    live
        The restart that made a rollback live.
    message
        What the operator must know besides the record.
    """

    modification: Modification
    live: Modification | None = None
    message: str = ""

    def to_payload(self) -> dict[str, Any]:
        """Return the item as the operator reads it."""
        payload = self.modification.to_item()
        if self.message:
            payload["message"] = clip_text(self.message)
        if self.live:
            live = self.live
            payload["live"] = {"status": live.status, "message": live.message, "release": live.release}
        return payload


def approve(service: ToolService, modification_id: str) -> Decided:
    """Approve a waiting call and have it carried out; approving twice does it once.

    Raises
    ------
    OperationRefused
        There is no such call, or it does not wait for approval.
    """
    call = _existing(service, modification_id)
    if call.status == states.PENDING_APPROVAL:
        if states.is_expired(call, service.now()):
            expire(service.modifications, modification_id, service.now())
            return Decided(_existing(service, modification_id))
        # When somebody else decides at the same moment, that decision is read below.
        with suppress(Conflict):
            service.modifications.move(
                modification_id, states.PENDING_APPROVAL, states.APPROVED, Facts(approved_at=service.now())
            )
        call = _existing(service, modification_id)
    if not call.approved_at:
        raise OperationRefused(f"{modification_id} is {call.status}; only a waiting call can be approved")
    return _with_build(service, service.run(call) if call.status in states.UNFINISHED else call)


def deny(service: ToolService, modification_id: str) -> Decided:
    """Deny a waiting call; raises `OperationRefused`."""
    _existing(service, modification_id)
    facts = Facts(finished_at=service.now(), rule="person", message="a person denied it")
    try:
        service.modifications.move(modification_id, states.PENDING_APPROVAL, states.DENIED, facts)
    except Conflict:
        status = _existing(service, modification_id).status
        if status != states.DENIED:
            raise OperationRefused(
                f"{modification_id} is {status}; only a waiting call can be denied"
            ) from None
    return Decided(_existing(service, modification_id))


def rollback(service: ToolService, modification_id: str) -> Decided:
    """Undo an applied change and make that live; works on a new host, and below later changes.

    Returns
    -------
    Decided
        With the call that undid it, a modification of its own.

    Raises
    ------
    OperationRefused
        There is no such change, it was not applied, or it changed nothing that can be undone.
    """
    call = _existing(service, modification_id)
    if call.status == states.ROLLED_BACK:
        return _with_build(service, _existing(service, call.rolled_back_by))
    if call.status != states.APPLIED:
        raise OperationRefused(
            f"{modification_id} is {call.status}; only an applied change can be rolled back"
        )
    if call.tool == RESTART:
        return _back_to_release_before(service, call)
    if call.tool in AWS_TOOLS:
        return _back_to_value_before(service, call)
    undone = _undo(service, call)
    if undone.status != states.APPLIED:
        return Decided(undone)
    if call.target == states.CANDIDATES:
        # What is live here is an image; the one without the package is built.
        _note_rolled_back(service, modification_id, undone.modification_id)
        return _with_build(service, undone)
    live = _restart(service, undone, f"Make the rollback of {modification_id} live")
    _note_rolled_back(service, modification_id, undone.modification_id)
    return Decided(undone, live)


def expire(modifications: Modifications, modification_id: str, now: str) -> bool:
    """Close a call that waited too long; returns False when it was decided at the last moment."""
    facts = Facts(finished_at=now, rule="expired", message="nobody approved it in time")
    try:
        modifications.move(modification_id, states.PENDING_APPROVAL, states.EXPIRED, facts)
    except Conflict:
        return False
    return True


def expire_overdue(modifications: Modifications, now: str) -> list[str]:
    """Close the calls that waited too long, oldest first and at most `OVERDUE_PER_CYCLE`; returns their ids.

    An id begins with the time of its call, so calls younger than `APPROVAL_TTL` are not read. Only closed calls count
    towards the limit, so any number of calls that may wait longer cannot keep an overdue one open.
    """
    closed: list[str] = []
    for row in modifications.waiting_before(states.may_be_overdue_before(now)):
        if len(closed) == OVERDUE_PER_CYCLE:
            break
        # The index lags behind, and lacks the time.
        call = modifications.get(row.modification_id)
        if call and states.is_expired(call, now) and expire(modifications, call.modification_id, now):
            closed.append(call.modification_id)
    return closed


def _undo(service: ToolService, call: Modification) -> Modification:
    """Have the host undo a change; one that was refused may be tried again, after the conflict was settled."""
    result = service.objects.get_json(artifacts.modification(call.modification_id, "result.json")) or {}
    changed = result.get("changed") or []
    if not changed:
        raise OperationRefused(f"{call.modification_id} changed no file, so there is nothing to roll back")
    undone = service.call(
        ToolCall(
            modification_id=_free_undoing_id(service, call.modification_id),
            tool=RESTORE,
            arguments=_undoing(call, changed),
            reason=f"Roll back {call.modification_id}",
            planner="operator",
            rolls_back=call.modification_id,
        )
    )
    if undone.status == states.PENDING_APPROVAL:
        # Asking for the rollback was the approval.
        return approve(service, undone.modification_id).modification
    return undone


def _free_undoing_id(service: ToolService, modification_id: str) -> str:
    """Return the first id of an undoing that was not refused."""
    number = 0
    while True:
        undoing_id = f"{modification_id}#undo{number}"
        known = service.modifications.get(undoing_id)
        if known is None or known.status not in (states.FAILED, states.DENIED, states.EXPIRED):
            return undoing_id
        number += 1


def _undoing(call: Modification, changed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the arguments that undo a change by its contents."""
    files = [
        {"file_path": each["path"], "before": each["before"], "after": each["content"]} for each in changed
    ]
    return {"files": files} if call.target == states.CANDIDATES else files[0]


def _restart(service: ToolService, undone: Modification, reason: str) -> Modification:
    live = service.call(
        ToolCall(
            modification_id=f"{undone.modification_id}#live",
            tool=RESTART,
            arguments={},
            reason=reason,
            planner="operator",
        )
    )
    if live.status == states.PENDING_APPROVAL:
        return approve(service, live.modification_id).modification
    return live


def _back_to_release_before(service: ToolService, call: Modification) -> Decided:
    """Point the lineage back to the release that a restart replaced."""
    before = call.release_before
    if not before or before == call.release:
        raise OperationRefused(f"{call.modification_id} moved no release, so there is nothing to roll back")
    try:
        service.releaser.control.set_release(service.releaser.lineage, before, expected=call.release)
    except Conflict:
        raise OperationRefused(
            f"release {call.release} is not live any more; roll back the newer one first"
        ) from None
    _note_rolled_back(service, call.modification_id, call.modification_id)
    return Decided(_existing(service, call.modification_id))


def _back_to_value_before(service: ToolService, call: Modification) -> Decided:
    """Put back what a call has changed of the deployed system."""
    if service.aws is None:
        raise OperationRefused("there is no deployed system here whose resources could be changed")
    try:
        service.aws.undo(call)
    except ChangeRefused as refused:
        raise OperationRefused(f"{refused.args[0]} ({refused.rule})") from None
    _note_rolled_back(service, call.modification_id, call.modification_id)
    return Decided(_existing(service, call.modification_id))


def _with_build(service: ToolService, call: Modification) -> Decided:
    """Start the build of the sandbox image for an applied change of its requirements, once.

    Such a change is never applied without an approval, so no call of the planner's ends here.
    """
    is_due = call.status == states.APPLIED and call.target == states.CANDIDATES
    if not is_due or call.image_status or service.images is None:
        return Decided(call)
    if call.rolls_back and _existing(service, call.rolls_back).image_status == states.BROKEN:
        return Decided(call)  # no image with that change ever served
    result = service.objects.get_json(artifacts.modification(call.modification_id, "result.json")) or {}
    lock = next(each["content"] for each in result["changed"] if each["path"] == states.IMAGE_LOCK)
    try:
        build = service.images.start(call.modification_id, lock)
    except PublishRefused as refused:
        said = f"the image is not built: {refused}; approve or roll back once more to start it"
        return Decided(call, message=said)
    service.modifications.annotate(call.modification_id, Facts(image_status=states.BUILDING, build=build))
    return Decided(_existing(service, call.modification_id))


def _note_rolled_back(service: ToolService, modification_id: str, undoing_id: str) -> None:
    facts = Facts(rolled_back_by=undoing_id, rolled_back_at=service.now())
    with suppress(Conflict):  # the same rollback, asked for twice, ended in the other call first
        service.modifications.move(modification_id, states.APPLIED, states.ROLLED_BACK, facts)


def _existing(service: ToolService, modification_id: str) -> Modification:
    call = service.modifications.get(modification_id)
    if call is None:
        raise OperationRefused(f"there is no modification {modification_id}")
    return call
