"""What an operator decides: approve, deny or roll back a framework modification."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from codec_evolution import artifacts
from codec_evolution.framework import modifications as states
from codec_evolution.framework.tool_specs import RESTART, RESTORE
from codec_evolution.ports import Conflict, Modifications, PublishRefused
from codec_evolution.record import clip_text
from codec_evolution.repair.tool_service import ToolCall, ToolService

OVERDUE_PER_CYCLE = 20
"""How many waiting calls are closed when a cycle opens; the rest is for the next one."""


class OperationRefused(Exception):
    """An operation cannot be done; the message says why, and nothing has changed."""


def approve(service: ToolService, modification_id: str) -> dict[str, Any]:
    """Approve a waiting call and have it done; approving twice does it once.

    Raises
    ------
    OperationRefused
        There is no such call, or it does not wait for anybody.
    """
    item = _existing(service, modification_id)
    if item["status"] == states.PENDING_APPROVAL:
        if states.is_expired(item, service.now()):
            expire(service.modifications, modification_id, service.now())
            return _existing(service, modification_id)
        # When somebody else decides at the same moment, what they decided is read below.
        with suppress(Conflict):
            service.modifications.move(
                modification_id, states.PENDING_APPROVAL, states.APPROVED, {"approved_at": service.now()}
            )
        item = _existing(service, modification_id)
    if "approved_at" not in item:
        raise OperationRefused(f"{modification_id} is {item['status']}; only a waiting call can be approved")
    return _built(service, service.run(item) if item["status"] in states.UNFINISHED else item)


def _built(service: ToolService, item: dict[str, Any]) -> dict[str, Any]:
    """Start the build of the sandbox image for an applied change of its requirements, once.

    Such a change is never applied without an approval, so no call of the planner's ends here.
    """
    is_due = item["status"] == states.APPLIED and item.get("target") == states.CANDIDATES
    if not is_due or "image_status" in item or service.images is None:
        return item
    undoes = item.get("rolls_back")
    if undoes and _existing(service, str(undoes)).get("image_status") == states.BROKEN:
        return item  # no image with that change ever served
    modification_id = str(item["modification_id"])
    result = service.objects.get_json(artifacts.modification(modification_id, "result.json")) or {}
    lock = next(each["content"] for each in result["changed"] if each["path"] == states.IMAGE_LOCK)
    try:
        build = service.images.start(modification_id, lock)
    except PublishRefused as refused:
        said = f"the image is not built: {refused}; approve or roll back once more to start it"
        return item | {"message": clip_text(said)}
    service.modifications.annotate(modification_id, {"image_status": states.BUILDING, "build": build})
    return _existing(service, modification_id)


def deny(service: ToolService, modification_id: str) -> dict[str, Any]:
    """Deny a waiting call; raises `OperationRefused`."""
    item = _existing(service, modification_id)
    fields = {"finished_at": service.now(), "rule": "person", "message": "a person denied it"}
    try:
        service.modifications.move(modification_id, states.PENDING_APPROVAL, states.DENIED, fields)
    except Conflict:
        item = _existing(service, modification_id)
        if item["status"] != states.DENIED:
            raise OperationRefused(
                f"{modification_id} is {item['status']}; only a waiting call can be denied"
            ) from None
    return _existing(service, modification_id)


def expire(modifications: Modifications, modification_id: str, now: str) -> bool:
    """Close a call that waited too long; returns False when it was decided at the last moment."""
    fields = {"finished_at": now, "rule": "expired", "message": "nobody approved it in time"}
    try:
        modifications.move(modification_id, states.PENDING_APPROVAL, states.EXPIRED, fields)
    except Conflict:
        return False
    return True


def expire_overdue(modifications: Modifications, now: str) -> list[str]:
    """Close the calls that waited too long, oldest first and at most `OVERDUE_PER_CYCLE`; returns their ids.

    An id begins with the time of its call, so what is younger than an approval lives is not looked at; and only what
    is closed counts, so that no number of calls that may wait on keeps an overdue one waiting.
    """
    closed: list[str] = []
    for row in modifications.waiting_before(states.may_be_overdue_before(now)):
        if len(closed) == OVERDUE_PER_CYCLE:
            break
        # The index shows a call late and without its time.
        item = modifications.get(row["modification_id"])
        if item and states.is_expired(item, now) and expire(modifications, item["modification_id"], now):
            closed.append(item["modification_id"])
    return closed


def rollback(service: ToolService, modification_id: str, number: int = 0) -> dict[str, Any]:
    """Undo an applied change and make the undoing live; works after the host was replaced, and below later changes.

    Parameters
    ----------
    number
        Counts the tries: a refused rollback may be asked for again, after the conflict was settled.

    Returns
    -------
    dict
        The item of the undoing, a modification of its own.

    Raises
    ------
    OperationRefused
        There is no such change, it was not applied, or it changed nothing that can be undone.
    """
    item = _existing(service, modification_id)
    undoing_id = f"{modification_id}#undo{number}"
    if item["status"] == states.ROLLED_BACK:
        return _built(service, _existing(service, str(item["rolled_back_by"])))
    if item["status"] != states.APPLIED:
        raise OperationRefused(
            f"{modification_id} is {item['status']}; only an applied change can be rolled back"
        )
    if item["tool"] == RESTART:
        return _back_to(service, item)
    result = service.objects.get_json(artifacts.modification(modification_id, "result.json")) or {}
    changed = result.get("changed") or []
    if not changed:
        raise OperationRefused(f"{modification_id} changed no file, so there is nothing to roll back")
    known = service.modifications.get(undoing_id)
    if known is not None and known["status"] in (states.FAILED, states.DENIED, states.EXPIRED):
        return rollback(service, modification_id, number + 1)
    undone = service.call(
        ToolCall(
            modification_id=undoing_id,
            tool=RESTORE,
            arguments=_undoing(item, changed),
            reason=f"Roll back {modification_id}",
            planner="operator",
            rolls_back=modification_id,
        )
    )
    if undone["status"] == states.PENDING_APPROVAL:
        undone = approve(service, undoing_id)  # asking for it was the approval
    if undone["status"] != states.APPLIED:
        return undone
    if item.get("target") == states.CANDIDATES:
        # What is live here is an image: the one without the package is built.
        _rolled_back(service, modification_id, undoing_id)
        return _built(service, undone)
    live = service.call(
        ToolCall(
            modification_id=f"{undoing_id}#live",
            tool=RESTART,
            arguments={},
            reason=f"Make the rollback of {modification_id} live",
            planner="operator",
        )
    )
    if live["status"] == states.PENDING_APPROVAL:
        live = approve(service, live["modification_id"])
    _rolled_back(service, modification_id, undoing_id)
    return undone | {"live": {name: live.get(name, "") for name in ("status", "message", "release")}}


def _undoing(item: dict[str, Any], changed: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the arguments that undo a change by its contents."""
    files = [
        {"file_path": each["path"], "before": each["before"], "after": each["content"]} for each in changed
    ]
    return {"files": files} if item.get("target") == states.CANDIDATES else files[0]


def _back_to(service: ToolService, item: dict[str, Any]) -> dict[str, Any]:
    """Point the lineage back to the release that a restart replaced."""
    before = item.get("release_before")
    if not before or before == item.get("release"):
        raise OperationRefused(
            f"{item['modification_id']} moved no release, so there is nothing to roll back"
        )
    try:
        service.releaser.control.set_release(service.releaser.lineage, before, expected=item["release"])
    except Conflict:
        raise OperationRefused(
            f"release {item['release']} is not live any more; roll back the newer one first"
        ) from None
    _rolled_back(service, item["modification_id"], item["modification_id"])
    return _existing(service, item["modification_id"])


def _rolled_back(service: ToolService, modification_id: str, undoing_id: str) -> None:
    fields = {"rolled_back_by": undoing_id, "rolled_back_at": service.now()}
    with suppress(Conflict):  # the same rollback, asked for twice, ended in the other call first
        service.modifications.move(modification_id, states.APPLIED, states.ROLLED_BACK, fields)


def _existing(service: ToolService, modification_id: str) -> dict[str, Any]:
    item = service.modifications.get(modification_id)
    if item is None:
        raise OperationRefused(f"there is no modification {modification_id}")
    return item
