"""The tools that change files: `modify_framework_file`, `rollback_file`, and the operator's restoring of one."""

from __future__ import annotations

import hashlib
from typing import Any

from codec_evolution.host import edits, merge, syntax
from codec_evolution.host.call import Call, only
from codec_evolution.host.checkout import Content, plain_path
from codec_evolution.host.guard import CODE, NEVER
from codec_evolution.host.packages import installed
from codec_evolution.host.refusal import FAILED, NEEDS_APPROVAL, Refused
from codec_evolution.host.room import Effect, Room, consent, diff
from codec_evolution.host.trial import quick_tests


def modify(call: Call, room: Room) -> Effect:
    """Edit one file of the checkout.

    Raises
    ------
    Refused
        By path, tier, size, encoding, syntax, tests, or because a person must approve it.
    """
    only(call.arguments, {"file_path", "modification_type", "content"})
    path = plain_path(call.arguments["file_path"])
    tier = tier_of(path, room)
    before = room.checkout.read(path)
    after = edits.edited(before, call.arguments["modification_type"], call.arguments["content"])
    return _change(call, room, path, tier, before, after, f"changed {path}")


def rollback(call: Call, room: Room) -> Effect:
    """Bring a file back to its newest backup."""
    only(call.arguments, {"file_path"})
    path = plain_path(call.arguments["file_path"])
    tier = tier_of(path, room)
    backup = room.backups.newest(path)
    if backup is None:
        raise Refused("backup-missing", f"there is no backup of {path} on this host", FAILED)
    before = room.checkout.read(path)
    if before is not None and before.data == backup.content:
        raise Refused("file-unchanged", f"{path} is like its newest backup already", FAILED)
    effect = _change(call, room, path, tier, before, backup.content, f"restored {path} from {backup.name}")
    put = effect.settle

    def settle() -> None:
        put()
        room.backups.discard(path, backup.name)

    effect.settle = settle
    return effect


def restore(call: Call, room: Room) -> Effect:
    """Undo one recorded change by its contents, also on a host that never saw it, also under later changes.

    Only an operator's command asks for this; no tool of the planner does.

    Raises
    ------
    Refused
        ``merge-conflict`` when later changes touch the same lines.
    """
    only(call.arguments, {"file_path", "before", "after"})
    path = plain_path(call.arguments["file_path"])
    tier = tier_of(path, room)
    old, new = (_bytes(call.arguments[name]) for name in ("before", "after"))
    current = room.checkout.read(path)
    if (current.data if current else None) == old:
        raise Refused("file-unchanged", f"{path} is as it was before that change already", FAILED)
    if (current.data if current else None) == new:
        merged = old
    elif current is None or old is None or new is None:
        raise Refused("merge-conflict", f"{path} was made or removed by a later change", FAILED)
    else:
        merged = merge.merge(current.data, new, old)
    return _change(call, room, path, tier, current, merged, f"undid the change of {path}")


def tier_of(path: str, room: Room) -> str:
    """Return ``data`` or ``code``; raises `Refused` for what no tool may touch."""
    tier = room.guard.tier(path)
    if tier == NEVER:
        raise Refused(
            "tier-never",
            f"{path} belongs to what no tool may change (guard, gate, meter, tests, infrastructure)",
        )
    if tier is None:
        raise Refused("tier-unknown", f"{path} has no tier in the guard, so no tool may change it")
    return tier


def _change(
    call: Call, room: Room, path: str, tier: str, before: Content | None, after: bytes | None, message: str
) -> Effect:
    if after is not None:
        syntax.check(path, after)
    needs_person = tier == CODE and room.config.autonomy != CODE
    facts = {"file": path, "tier": tier, "diff": diff(path, before, after)}
    file_sha256 = before.sha256 if before else ""
    question = f"{path} is code of the framework; a person must approve the change" if needs_person else ""
    consent(call, room, question, rule="tier-code", file_sha256=file_sha256, facts=facts)
    tests, unseen = room.guard.quick_tests[tier], tier == CODE and call.approval is None
    output = None
    if tests:
        try:
            output = quick_tests(
                room.checkout.root,
                {path: after},
                tests,
                room.config.python,
                installed(room.state),
                strict=unseen,
            )
        except Refused as refused:
            if refused.status == NEEDS_APPROVAL:
                consent(call, room, refused.message, rule=refused.rule, file_sha256=file_sha256, facts=facts)
            raise
    backup = room.backups.store(path, before, room.now(), call.modification_id)

    def settle() -> None:
        with room.checkout.folder_of(path) as (folder, name):
            folder.replace(name, after, before)

    return Effect(
        message,
        tier=tier,
        changed=[
            {
                "path": path,
                "mode": oct(before.mode if before else 0o644),
                "content": None if after is None else after.decode("utf-8"),
                "sha256": None if after is None else hashlib.sha256(after).hexdigest(),
                "before": before.data.decode("utf-8", "replace") if before else None,
                "before_sha256": before.sha256 if before else None,
            }
        ],
        backup=backup,
        output=output.as_dict() if output else None,
        facts={"file": path, "diff": facts["diff"]},
        settle=settle,
    )


def _bytes(value: Any) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refused("argument-content", "before and after must be texts or null", FAILED)
    return value.encode("utf-8")
