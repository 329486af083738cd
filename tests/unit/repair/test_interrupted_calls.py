"""Calls that nobody came back for end by what the host knows of them."""

import pytest
from codec_evolution import artifacts
from codec_evolution.framework.modifications import Modification
from codec_evolution.repair import interrupted_calls
from codec_evolution.repair.tool_service import ToolService

from tests.support.memory_bucket import MemoryBucket
from tests.unit.repair.test_tool_service import (
    APPLIED,
    ASKED,
    NOW,
    RESTARTED,
    Host,
    Releaser,
    Table,
    call,
)

ID = "2026#00#tool0"
SOON, LATER = "2026-11-21T22:10:00.000Z", "2026-11-21T22:16:00.000Z"


class Listed(Table):
    def latest(self, limit, status=None):
        found = [item for item in self.items.values() if item["status"] == status]
        return [Modification.from_item(item) for item in found[:limit]]


class Knowing(Host):
    """A host that also knows what it answered before."""

    known = None

    def answered(self, modification_id):
        return self.known


def left(status: str, known=None, tool: str = "modify_framework_file", **fields) -> ToolService:
    """Return a service some time after a call was interrupted in a state."""
    host = Knowing(RESTARTED if tool == "restart_orchestrator" else APPLIED)
    at = ToolService(Listed(), host, MemoryBucket(), Releaser(), "on", lambda: NOW)
    call(at, tool=tool, **({"arguments": {}} if tool == "restart_orchestrator" else {}))
    at.modifications.outbox.clear()
    item = at.modifications.items[ID]
    at.modifications.items[ID] = {
        name: item[name] for name in ("modification_id", "tool", "started_at", "reason")
    } | {"status": status, **fields}
    host.known = known
    return ToolService(at.modifications, host, at.objects, at.releaser, "on", lambda: LATER)


def test_a_change_that_the_host_made_is_recorded_and_reaches_the_repository():
    at = left("running", known=APPLIED)
    assert interrupted_calls.close(at) == [ID]
    assert at.modifications.items[ID]["status"] == "applied"
    assert len(at.modifications.outbox) == 1
    assert at.objects[artifacts.framework_overlay("prompts/a.md")]["content"] == "new"
    assert len(at.host.asked) == 1, "nothing is done a second time"


@pytest.mark.parametrize("status", ["requested", "running"])
def test_what_the_host_knows_nothing_of_has_failed(status):
    at = left(status)
    assert interrupted_calls.close(at) == [ID]
    item = at.modifications.items[ID]
    assert (item["status"], item["rule"]) == ("failed", "cut-short")
    assert len(at.host.asked) == 1


def test_the_answer_before_the_approval_is_not_the_one_after_it():
    at = left("running", known=ASKED, approved_at=NOW)
    interrupted_calls.close(at)
    assert at.modifications.items[ID]["status"] == "failed"


def test_a_question_that_was_never_recorded_is_asked_now():
    at = left("running", known=ASKED)
    interrupted_calls.close(at)
    assert at.modifications.items[ID]["status"] == "pending_approval"


def test_an_old_restart_is_not_made_up_for():
    """What it handed out may be older than what is live by now."""
    at = left("running", known=RESTARTED, tool="restart_orchestrator")
    interrupted_calls.close(at)
    assert at.modifications.items[ID]["status"] == "failed"
    assert "call it again" in at.modifications.items[ID]["message"]


def test_a_call_that_may_still_run_is_left_alone():
    at = left("running", approved_at=SOON)
    assert interrupted_calls.close(at) == []
    assert at.modifications.items[ID]["status"] == "running"


@pytest.mark.parametrize("status", ["approved", "pending_approval", "applied", "failed"])
def test_other_states_are_nobodys_leftovers(status):
    assert interrupted_calls.close(left(status)) == []
