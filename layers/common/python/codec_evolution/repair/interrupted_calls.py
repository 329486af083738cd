"""Calls of framework tools that were cut short: the function died between two states, and nobody came back for them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from codec_evolution import artifacts
from codec_evolution.clock import format_time, parse_time
from codec_evolution.framework import modifications as states
from codec_evolution.framework.tool_specs import RESTART
from codec_evolution.ports import Conflict
from codec_evolution.repair.tool_service import ToolService

AFTER = timedelta(minutes=15)
"""Longer than any function or command lives; whoever retries a call does it sooner."""
LOOKED_AT = 10


def close(service: ToolService) -> list[str]:
    """Bring every such call to its end, from what the host answered; returns their ids.

    A change that the host has made is recorded as applied, and so reaches the repository; what the host knows nothing
    of has failed. Nothing is done a second time, because by now it might be wrong.
    """
    before = format_time(parse_time(service.now()) - AFTER)
    closed = []
    for status in (states.REQUESTED, states.RUNNING):
        for row in service.modifications.latest(LOOKED_AT, status):
            # The index shows a call late and without all of its times.
            item = service.modifications.get(row["modification_id"])
            if item and item["status"] == status and _since(item) < before:
                with suppress(Conflict):
                    _conclude(service, item)
                    closed.append(str(item["modification_id"]))
    return closed


def _since(item: Mapping[str, Any]) -> str:
    return str(item.get("approved_at", item["started_at"]))


def _conclude(service: ToolService, item: Mapping[str, Any]) -> None:
    modification_id = str(item["modification_id"])
    if item["status"] == states.REQUESTED:
        service.modifications.move(modification_id, states.REQUESTED, states.RUNNING, {})
    answer = None if item["tool"] == RESTART else service.host.answered(modification_id)
    if answer and not (answer["status"] == "needs_approval" and "approved_at" in item):
        service.settle(modification_id, item, answer)
        return
    known = "call it again" if item["tool"] == RESTART else "the host knows nothing of it"
    fields = {
        "finished_at": service.now(),
        "rule": "cut-short",
        "message": f"the call was cut short; {known}",
    }
    service.objects.put_json(
        artifacts.modification(modification_id, "result.json"), {"status": "failed", **fields}
    )
    service.modifications.move(modification_id, states.RUNNING, states.FAILED, fields)
