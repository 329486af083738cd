"""What every tool of the host works with, and what it returns."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codec_evolution.host.backups import Backups
from codec_evolution.host.call import Call
from codec_evolution.host.checkout import Checkout, Content
from codec_evolution.host.config import HostConfig
from codec_evolution.host.guard import Guard
from codec_evolution.host.refusal import NEEDS_APPROVAL, HostRefusal

DIFF_BYTES = 1800
"""What the record keeps of a difference; a longer one says at its head that it was cut."""


@dataclass(frozen=True)
class HostContext:
    """The host's settings, guard, checkout, backups and clock."""

    config: HostConfig
    guard: Guard
    now: Callable[[], str]

    @property
    def state(self) -> Path:
        """The host's own folder."""
        return Path(self.config.state)

    @property
    def checkout(self) -> Checkout:
        """The framework checkout."""
        return Checkout(Path(self.config.checkout))

    @property
    def backups(self) -> Backups:
        """The backups of its files."""
        return Backups(self.state / "backups")


@dataclass
class Effect:
    """What a call does.

    Attributes
    ----------
    changed
        One entry for each changed file: ``path``, ``mode``, ``content`` and ``sha256`` after, ``before`` and
        ``before_sha256``; all texts, None where there is no file.
    backup
        Name of the backup of the last changed file.
    output
        `processes.Output.as_dict` of the program that ran.
    facts
        Further attributes of the answer.
    settle
        Writes the files, after the ledger has noted what they will be.
    """

    message: str
    tier: str = ""
    success: bool = True
    changed: list[dict[str, Any]] = field(default_factory=list)
    backup: str = ""
    output: dict[str, Any] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    settle: Callable[[], None] = lambda: None

    def as_dict(self, call: Call) -> dict[str, Any]:
        """Return the answer."""
        return {
            "success": self.success,
            "status": "applied" if self.success else "failed",
            "rule": "" if self.success else "exit-status",
            "message": self.message,
            "tier": self.tier,
            "changed": self.changed,
            "backup": self.backup,
            "output": self.output,
            "arguments_sha256": call.arguments_sha256,
            **self.facts,
        }


class ApprovalNeeded(HostRefusal):
    """A person must approve the call; ``facts`` tell what they would approve."""

    def __init__(self, rule: str, message: str, facts: dict[str, Any]) -> None:
        super().__init__(rule, message, NEEDS_APPROVAL)
        self.facts = facts


def consent(
    call: Call, context: HostContext, question: str, *, rule: str, file_sha256: str, facts: dict[str, Any]
) -> None:
    """Let a call pass that needs no approval, or that was approved exactly as it is.

    Parameters
    ----------
    question
        Why a person must approve it; empty when only ``tools = approve_all`` demands approval.
    file_sha256
        Hash of the current file; "" for no file.

    Raises
    ------
    HostRefusal
        ``approval-altered`` or ``approval-file-changed``: another call, or another file, was approved.
    ApprovalNeeded
        A person must approve it first.
    """
    if call.approval is not None:
        if call.approval.arguments_sha256 != call.arguments_sha256:
            raise HostRefusal("approval-altered", "the approval was given for another call")
        if call.approval.file_sha256 != file_sha256:
            raise HostRefusal("approval-file-changed", "the file has changed since the approval was given")
        return
    if not question and context.config.tools == "approve_all":
        rule, question = "approve-all", "the operator approves every call"
    if question:
        bound = {"file_sha256": file_sha256, "arguments_sha256": call.arguments_sha256}
        raise ApprovalNeeded(rule, question, bound | facts)


def diff(path: str, before: Content | None, after: bytes | None) -> str:
    """Return a change as a unified difference; one that is longer than `DIFF_BYTES` says first that it was cut."""
    old, new = (
        (data or b"").decode("utf-8", "replace").splitlines(keepends=True)
        for data in (before.data if before else None, after)
    )
    lines = list(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", n=2))
    shown, size = 0, 0
    for line in lines:
        size += len(line.encode("utf-8"))
        if size > DIFF_BYTES:
            break
        shown += 1
    if shown == len(lines):
        return "".join(lines)
    whole = f"[{shown} of {len(lines)} lines of the difference; read the whole call before you approve it]\n"
    return whole + "".join(lines[:shown])
