"""Framework tools from the command line: through the same function, guard, record and host as the planner's calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ReadTimeoutError
from codec_evolution import artifacts
from codec_evolution.adapters.decisions import FrameworkTool, FrameworkToolFailed
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.clock import utc_now
from codec_evolution.framework import modifications as states
from codec_evolution.framework.tool_specs import TOOLS
from codec_evolution.framework.tool_statistics import healed, usage

from infra.commands.reach import CALL_TIMEOUT_S, live_framework_tool
from infra.commands.target import Readable, Target
from infra.errors import UserError
from infra.local.session import Session

ANALYSED = 200
"""Newest modifications, and newest attempts, that the analysis reads."""
TAKEN_EFFECT = frozenset({states.APPLIED, states.ROLLED_BACK, states.PENDING_APPROVAL})
"""States after which a command counts as successful."""


def call_tool(target: Target, tool: str, arguments: str, reason: str) -> dict[str, Any]:
    """Make one call and return its item.

    Parameters
    ----------
    arguments
        A JSON object.
    reason
        Why, unless the arguments say so.

    Raises
    ------
    UserError
        There is no such tool, or the arguments are not a JSON object.
    """
    try:
        given = json.loads(arguments)
    except ValueError as error:
        raise UserError(f"--args must be a JSON object: {error}") from None
    if tool not in TOOLS:
        raise UserError(f"NAME must be one of {', '.join(TOOLS)}, not {tool!r}")
    if not isinstance(given, dict):
        raise UserError("--args must be a JSON object")
    reason = str(given.pop("reason", "") or reason)
    event = {"modification_id": f"{utc_now()}#cli", "tool": tool, "arguments": given, "reason": reason}
    return _call(target.framework_tool, event)


def decide(target: Target, operation: str, modification_id: str) -> dict[str, Any]:
    """Approve, deny or roll back a modification and return its item.

    Raises
    ------
    UserError
        The operation is not possible; the message says why.
    """
    item = _call(target.framework_tool, {"operation": operation, "modification_id": modification_id})
    if item["status"] == "refused":
        raise UserError(str(item["message"]))
    return item


def list_modifications(target: Readable, status: str | None, limit: int, file: str = "") -> dict[str, Any]:
    """Return ``{"modifications"}``, newest first; raises `UserError` for an unknown status.

    Parameters
    ----------
    file
        Only calls about this path; empty for all. It goes with no status: a table has one index for each.
    """
    wanted: states.Status | None = next((each for each in states.STATES if each == status), None)
    if status is not None and wanted is None:
        raise UserError(f"--status must be one of {', '.join(states.STATES)}, not {status!r}")
    if file and wanted:
        raise UserError("--file and --status cannot be used together: leave out one of them")
    table = target.modifications
    found = table.of_file(file, limit) if file else table.latest(limit, wanted)
    if wanted is not None or file:
        found = [table.get(row.modification_id) or row for row in found]
    return {"modifications": [each.to_item() for each in found]}


def show_modification(target: Readable, modification_id: str) -> dict[str, Any]:
    """Return ``{"modification", "request"}``: a call's item, and the whole call as the host gets it.

    Raises
    ------
    UserError
        There is no such modification.
    """
    call = target.modifications.get(modification_id)
    if call is None:
        raise UserError(f"there is no modification {modification_id}")
    request = target.bucket.get_json(artifacts.modification(modification_id, "request.json"))
    return {"modification": call.to_item(), "request": request}


def analyse(target: Readable) -> dict[str, Any]:
    """Return ``{"tools", "healed"}``: how the tools are used, and which failures stopped after a release."""
    items = target.modifications.latest(ANALYSED)
    attempts = target.record.latest(target.lineage, ANALYSED)
    return {"tools": usage(items), "healed": healed(items, attempts)}


def modifications_of(session: Session) -> FrameworkModifications:
    """Return the table of a running session."""
    return FrameworkModifications(session.deployment.framework_modifications_table)


def invoke(session: Session, event: Mapping[str, Any]) -> dict[str, Any]:
    """Invoke FrameworkTool of a running session; raises `UserError` when it fails."""
    return _call(live_framework_tool(session.deployment.functions["FrameworkTool"]), event)


def _call(tool: FrameworkTool, event: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return tool.call(event)
    except FrameworkToolFailed as failed:
        raise UserError(f"FrameworkTool failed: {failed}") from None
    except ReadTimeoutError:
        raise UserError(
            f"FrameworkTool has not answered within {CALL_TIMEOUT_S} s; what it does may still be going on: look at "
            "codec-evolution modifications before you ask again"
        ) from None
