"""Approvals of framework changes: whatever the order of events, nothing is done unasked, and nothing twice."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from codec_evolution.clock import format_time, parse_time
from codec_evolution.framework import modifications as states
from codec_evolution.framework.modifications import NEXT, Modification
from codec_evolution.ports import Conflict
from codec_evolution.repair import operations
from codec_evolution.repair.operations import OperationRefused
from codec_evolution.repair.tool_service import ToolCall, ToolService
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.support.memory_bucket import MemoryBucket

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "40"))
START = "2026-11-21T22:00:00.000Z"
EDIT = {"file_path": "infra/a.py", "modification_type": "append", "content": "x"}
CALLS = st.integers(0, 2)
NO_RELEASER: Any = None
"""No call of these restarts the orchestrator."""


class Died(Exception):
    """The function that asked the host has died."""


class Host:
    """Asks for approval, carries out an approved call once, and answers a repeated one from its ledger."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.dies = False

    def call(self, document) -> dict:
        identity = document["modification_id"]
        if "approval" not in document:
            return {"status": "needs_approval", "arguments_sha256": identity, "file_sha256": "f"}
        assert document["approval"] == {"arguments_sha256": identity, "file_sha256": "f"}
        if not self.done[identity]:
            self.done[identity] += 1
        if self.dies:
            raise Died
        return {"status": "applied", "message": "changed"}


class Table:
    """Modifications in memory, with the conditions of the real one; remembers the way of each."""

    def __init__(self) -> None:
        self.items: dict[str, dict] = {}
        self.ways: dict[str, list[states.Status]] = {}

    def put_once(self, call: Modification) -> bool:
        if call.modification_id in self.items:
            return False
        self.items[call.modification_id] = call.to_item()
        self.ways[call.modification_id] = [call.status]
        return True

    def get(self, modification_id: str) -> Modification | None:
        found = self.items.get(modification_id)
        return Modification.from_item(found) if found else None

    def move(self, modification_id, current, status, facts, due=None) -> None:
        if self.items[modification_id]["status"] != current:
            raise Conflict
        self.items[modification_id] |= {**facts.to_item(), "status": status}
        self.ways[modification_id].append(status)

    def waiting_before(self, moment: str) -> list[Modification]:
        found = (Modification.from_item(item) for item in self.items.values())
        return [call for call in found if call.status == states.PENDING_APPROVAL]


class Approvals(RuleBasedStateMachine):
    """A planner, an operator, a clock, and functions that die."""

    @initialize()
    def begin(self) -> None:
        self.host, self.table, self.now = Host(), Table(), START
        parts: dict[str, Any] = {"modifications": self.table, "host": self.host, "objects": MemoryBucket()}
        self.service = ToolService(**parts, releaser=NO_RELEASER, mode="on", now=lambda: self.now)
        self.approved: dict[str, str] = {}
        self.denied: set[str] = set()

    @rule(number=CALLS)
    def call(self, number: int) -> None:
        self.host.dies = False
        self.service.call(
            ToolCall.of_request(f"2026#0{number}", 0, {"tool": "modify_framework_file", "arguments": EDIT})
        )

    @rule(number=CALLS, dies=st.booleans())
    def approve(self, number: int, dies: bool) -> None:
        self.host.dies = dies
        identity = self._identity(number)
        before = self.table.get(identity)
        try:
            operations.approve(self.service, identity)
        except Died:
            pass
        except OperationRefused:
            assert before is None or not before.approved_at
            return
        after = self.table.get(identity)
        if after is not None and after.approved_at:
            self.approved.setdefault(identity, str(after.approved_at))

    @rule(number=CALLS)
    def deny(self, number: int) -> None:
        try:
            operations.deny(self.service, self._identity(number))
        except OperationRefused:
            return
        self.denied.add(self._identity(number))

    @rule(hours=st.sampled_from([1, 13, 25]))
    def wait(self, hours: int) -> None:
        self.now = format_time(parse_time(self.now) + timedelta(hours=hours))

    @rule()
    def expire_overdue(self) -> None:
        operations.expire_overdue(self.service.modifications, self.now)

    @invariant()
    def nothing_is_done_unasked_and_nothing_twice(self) -> None:
        for identity, times in self.host.done.items():
            assert times <= 1
            assert identity in self.approved or not times, "the host did what nobody approved"
            assert identity not in self.denied or not times, "the host did what was denied"
            expires = self.table.items[identity].get("expires_at")
            assert not times or parse_time(self.approved[identity]) <= parse_time(str(expires)), (
                "approved too late"
            )

    @invariant()
    def every_call_goes_a_way_that_the_states_allow(self) -> None:
        for way in self.table.ways.values():
            assert way[0] == states.REQUESTED
            assert all(after in NEXT[before] for before, after in itertools.pairwise(way))
            assert sum(step == states.APPLIED for step in way) <= 1

    @staticmethod
    def _identity(number: int) -> str:
        return states.modification_id_for(f"2026#0{number}", 0)


@pytest.mark.slow
def test_a_change_is_made_once_and_only_with_an_approval_in_time():
    run_state_machine_as_test(
        Approvals,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=30, derandomize=True, deadline=None, database=None
        ),
    )
