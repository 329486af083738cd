"""Framework tools from the command line: through the same function, guard, record and host as the planner's calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from codec_evolution import modifications as states
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.clock import utc_now
from codec_evolution.healing import healed, usage

from infra.local.errors import LocalError
from infra.local.session import LINEAGE, Progress, Session, join_session

CALL_TIMEOUT_S = 320
ANALYSED = 200
"""Newest modifications and attempts that the analytics read."""
TAKEN_EFFECT = frozenset({states.APPLIED, states.ROLLED_BACK, states.PENDING_APPROVAL})


def call_tool(state_dir: Path, tool: str, arguments: str, reason: str, progress: Progress) -> dict[str, Any]:
    """Make one call and return its item.

    Raises
    ------
    LocalError
        The arguments are not a JSON object, or the state directory holds no evolution.
    """
    try:
        given = json.loads(arguments)
    except ValueError as error:
        raise LocalError(f"--args must be a JSON object: {error}") from None
    if not isinstance(given, dict):
        raise LocalError("--args must be a JSON object")
    reason = str(given.pop("reason", "") or reason)
    event = {"modification_id": f"{utc_now()}#cli", "tool": tool, "arguments": given, "reason": reason}
    with join_session(state_dir, progress) as session:
        return invoke(session, event)


def decide(state_dir: Path, operation: str, modification_id: str, progress: Progress) -> dict[str, Any]:
    """Approve, deny or roll back a modification and return its item.

    Raises
    ------
    LocalError
        The operation cannot be carried out; the message says why.
    """
    with join_session(state_dir, progress) as session:
        item = invoke(session, {"operation": operation, "modification_id": modification_id})
    if item["status"] == "refused":
        raise LocalError(str(item["message"]))
    return item


def list_modifications(state_dir: Path, status: str | None, limit: int) -> dict[str, Any]:
    """Return ``{"modifications"}``, newest first; raises `LocalError` for an unknown status."""
    if status is not None and status not in states.STATES:
        raise LocalError(f"--status must be one of {', '.join(states.STATES)}, not {status!r}")
    with join_session(state_dir, lambda text: None) as session:
        table = modifications_of(session)
        found = table.latest(limit, status)
        if status is not None:
            found = [table.get(row["modification_id"]) or row for row in found]
    return {"modifications": found}


def analyse(state_dir: Path) -> dict[str, Any]:
    """Return ``{"tools", "healed"}``: how the tools are used, and which failures stopped after a release."""
    with join_session(state_dir, lambda text: None) as session:
        items = modifications_of(session).latest(ANALYSED)
        attempts = session.record.latest(LINEAGE, ANALYSED)
    return {"tools": usage(items), "healed": healed(items, attempts)}


def modifications_of(session: Session) -> FrameworkModifications:
    """Return the table of a running session."""
    return FrameworkModifications(session.deployment.framework_modifications_table)


def invoke(session: Session, event: dict[str, Any]) -> dict[str, Any]:
    """Invoke FrameworkTool; raises `LocalError` when it fails."""
    function = f"{session.deployment.functions['FrameworkTool']}:live"
    # As long as the function may take; the session points this process's clients at the emulator.
    client = boto3.client(
        "lambda", config=Config(read_timeout=CALL_TIMEOUT_S, retries={"total_max_attempts": 1})
    )
    answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    payload: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise LocalError(f"FrameworkTool failed: {payload.get('errorMessage', payload)}"[:500])
    return payload
