"""Applying approved changes: backups first, then all files or none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codec_evolution.host.call import Call
from codec_evolution.host.checkout import Checkout, Content
from codec_evolution.host.context import Effect, HostContext
from codec_evolution.host.processes import Output
from codec_evolution.host.refusal import HostRefusal


@dataclass(frozen=True)
class Edit:
    """One file before and after a change; None where there is no file."""

    path: str
    before: Content | None
    after: bytes | None


def apply(
    call: Call,
    context: HostContext,
    edits: Sequence[Edit],
    tier: str,
    message: str,
    *,
    facts: Mapping[str, Any],
    output: Output | None = None,
) -> Effect:
    """Back the files up and return the effect that changes them; the caller has checked that it is allowed."""
    moment = context.now()
    backups = [context.backups.store(each.path, each.before, moment, call.modification_id) for each in edits]
    return Effect(
        message,
        tier=tier,
        changed=[_entry(each) for each in edits],
        backup=backups[-1],
        output=output.as_dict() if output else None,
        facts=dict(facts),
        settle=lambda: _put(context.checkout, edits),
    )


def _put(checkout: Checkout, edits: Sequence[Edit]) -> None:
    done: list[Edit] = []
    try:
        for each in edits:
            _replace(checkout, each.path, each.after, each.before)
            done.append(each)
    except HostRefusal:
        for each in reversed(done):
            _replace(checkout, each.path, each.before.data if each.before else None, checkout.read(each.path))
        raise


def _replace(checkout: Checkout, path: str, data: bytes | None, expected: Content | None) -> None:
    with checkout.folder_of(path) as (folder, name):
        folder.replace(name, data, expected)


def _entry(edit: Edit) -> dict[str, Any]:
    before, after = edit.before, edit.after
    return {
        "path": edit.path,
        "mode": oct(before.mode if before else 0o644),
        "content": None if after is None else after.decode("utf-8"),
        "sha256": None if after is None else hashlib.sha256(after).hexdigest(),
        "before": before.data.decode("utf-8", "replace") if before else None,
        "before_sha256": before.sha256 if before else None,
    }
