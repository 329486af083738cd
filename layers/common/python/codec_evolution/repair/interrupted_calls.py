"""Interrupted framework tool calls: the function died between two states, and no retry resumed them."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from codec_evolution import artifacts
from codec_evolution.clock import format_time, parse_time
from codec_evolution.framework import modifications as states
from codec_evolution.framework.modifications import Facts, Modification
from codec_evolution.framework.tool_specs import RESTART
from codec_evolution.ports import Conflict
from codec_evolution.repair.tool_service import ToolService

AFTER = timedelta(minutes=15)
"""Longer than any function or command lives; a retry resumes a call sooner."""
MOST_READ = 10
"""Calls of each state that one look reads."""


def close(service: ToolService) -> list[str]:
    """Close every interrupted call according to what the host answered; returns their ids.

    A change that the host has made is recorded as applied, and so reaches the repository; a call that the host does not
    know has failed. Nothing is carried out a second time, because by now it might be wrong.
    """
    before = format_time(parse_time(service.now()) - AFTER)
    closed = []
    for status in (states.REQUESTED, states.RUNNING):
        for row in service.modifications.latest(MOST_READ, status):
            # The index lags behind, and lacks some of the times.
            call = service.modifications.get(row.modification_id)
            if call and call.status == status and _since(call) < before:
                with suppress(Conflict):
                    _conclude(service, call)
                    closed.append(call.modification_id)
    return closed


def _since(call: Modification) -> str:
    return call.approved_at or call.started_at or ""


def _conclude(service: ToolService, call: Modification) -> None:
    if call.status == states.REQUESTED:
        service.modifications.move(call.modification_id, states.REQUESTED, states.RUNNING, Facts())
    answer = None if call.tool == RESTART else service.host.answered(call.modification_id)
    # What the host asked before the approval is not its answer to the approved call.
    if answer and not (answer["status"] == "needs_approval" and call.approved_at):
        service.settle(call, answer)
        return
    advice = "call it again" if call.tool == RESTART else "the host knows nothing of it"
    facts = Facts(finished_at=service.now(), rule="cut-short", message=f"the call was interrupted; {advice}")
    service.objects.put_json(
        artifacts.modification(call.modification_id, "result.json"), {"status": "failed", **facts.to_item()}
    )
    service.modifications.move(call.modification_id, states.RUNNING, states.FAILED, facts)
