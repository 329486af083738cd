"""Changes of the deployed system: the value before is kept, a repeated call changes once, a rollback restores it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from codec_evolution.ports import ChangeRefused
from codec_evolution.repair import interrupted_calls, operations
from codec_evolution.repair.aws_changes import AwsChanges
from codec_evolution.repair.tool_service import ToolService

from tests.support.memory_bucket import MemoryBucket
from tests.unit.repair.test_interrupted_calls import LATER, Knowing, Listed
from tests.unit.repair.test_tool_service import NOW, Host, Releaser, approve, call, payload, rollback

ID = "2026#00#tool0"
REQUEST = {"key": "function.Plan.memory_mb", "value": 2048}
ALLOWED = {
    "status": "applied",
    "message": "allowed",
    "resource": "function.Plan.memory_mb",
    "aws": REQUEST,
    "changed": [],
}
ASKED = ALLOWED | {
    "status": "needs_approval",
    "rule": "aws-change",
    "arguments_sha256": "a",
    "file_sha256": "",
}


class Memory:
    """The setting in memory, with the same conditions."""

    def __init__(self) -> None:
        self.value, self.writes = "1024", 0

    def current(self, request):
        return self.value

    def change(self, request, before):
        self._move(before, str(request["value"]))
        return self.value

    def undo(self, request, before, after):
        self._move(after, before)

    def _move(self, old, new):
        if self.value not in (old, new):
            raise ChangeRefused("aws-changed", f"it is {self.value} now")
        self.writes += self.value != new
        self.value = new


@pytest.fixture
def memory() -> Memory:
    return Memory()


def service(memory: Memory, *answers, host: Any = None) -> Any:
    bucket: Any = MemoryBucket()
    table: Any = Listed()
    releaser: Any = Releaser()
    asked: Any = host or Host(*answers)
    aws = AwsChanges({"modify_aws_config": memory}, bucket)
    return ToolService(table, asked, bucket, releaser, "on", lambda: NOW, aws=aws)


def configure(at: Any) -> dict:
    return call(at, tool="modify_aws_config", arguments=dict(REQUEST))


def test_a_person_sees_the_value_that_the_change_replaces(memory):
    at = service(memory, ASKED)
    item = configure(at)
    assert (item["status"], item["resource"], item["value_before"]) == (
        "pending_approval",
        "function.Plan.memory_mb",
        "1024",
    )
    assert "It is 1024 now." in item["message"]
    assert "waits for a person" in payload(item, {})["message"]
    assert memory.value == "1024"


def test_an_approved_change_is_made_recorded_and_rolled_back(memory):
    at = service(memory, ASKED, ALLOWED)
    configure(at)
    done = approve(at)
    assert (done["status"], done["rule"], done["value_before"], done["value"]) == (
        "applied",
        "approved",
        "1024",
        "2048",
    )
    assert memory.value == "2048"
    assert rollback(at)["status"] == "rolled_back"
    assert memory.value == "1024"
    assert rollback(at)["status"] == "rolled_back"
    assert memory.writes == 2
    assert at.modifications.outbox == [], "nothing of it belongs into the repository"


def test_what_a_person_did_not_see_is_not_replaced(memory):
    at = service(memory, ASKED, ALLOWED)
    configure(at)
    memory.value = "512"
    refused = approve(at)
    assert (refused["status"], refused["rule"]) == ("failed", "aws-changed")
    assert memory.value == "512"


def test_a_later_change_is_not_undone_with_an_earlier_one(memory):
    at = service(memory, ALLOWED)
    configure(at)
    memory.value = "3008"
    with pytest.raises(operations.OperationRefused, match="aws-changed"):
        rollback(at)
    assert at.modifications.items[ID]["status"] == "applied"


def test_a_resource_that_is_not_there_is_said_before_a_person_is_asked(memory):
    def absent(request):
        raise ChangeRefused("aws-absent", "this deployment has no alarm")

    memory.current = absent
    item = configure(service(memory, ASKED))
    assert (item["status"], item["rule"]) == ("failed", "aws-absent")


def test_without_a_deployed_system_the_call_fails_by_the_rules_name(memory):
    item = configure(replace(service(memory, ASKED), aws=None))
    assert (item["status"], item["rule"]) == ("failed", "aws-only")


def test_an_interrupted_change_is_resumed_with_the_value_that_it_found_first(memory):
    at = service(memory, ALLOWED, ALLOWED)
    configure(at)
    at.modifications.items[ID]["status"] = "running"
    item = configure(at)
    assert (item["status"], item["value_before"], item["value"]) == ("applied", "1024", "2048")
    assert memory.writes == 1


def test_a_change_that_nobody_came_back_for_is_recorded_as_it_is(memory):
    host: Any = Knowing(ALLOWED)
    at = service(memory, host=host)
    configure(at)
    at.modifications.items[ID] |= {"status": "running", "value": ""}
    host.known = ALLOWED
    assert interrupted_calls.close(replace(at, now=lambda: LATER)) == [ID]
    assert at.modifications.items[ID]["status"] == "applied"
    assert (at.modifications.items[ID]["value"], memory.writes) == ("2048", 1)


def test_a_host_without_a_deployed_system_rolls_no_change_of_it_back(memory):
    at = service(memory, ALLOWED)
    configure(at)
    with pytest.raises(operations.OperationRefused, match="there is no deployed system"):
        operations.rollback(replace(at, aws=None), ID)
    assert memory.value == "2048"
