"""The seams of the framework tools against real interfaces: the table, Run Command, and publishing of code."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from botocore.stub import ANY, Stubber
from codec_evolution.adapters import hosts
from codec_evolution.adapters.hosts import REQUESTS, RESULTS, SsmHost
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.framework import modifications as states
from codec_evolution.framework.modifications import Facts, OutboxEntry, requested
from codec_evolution.ports import Conflict, HostAway
from codec_evolution.repair import operations

from infra.commands.framework_calls import invoke
from infra.local.host import LocalHostFiles
from infra.local.session import LINEAGE
from tests.integration.framework import operator

NOW = "2026-11-21T22:00:00.000Z"
INSTANCE = "i-0123456789abcdef0"
LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)
SEARCH = "layers/common/python/codec_evolution/planners/search.py"


# --- the table ---------------------------------------------------------------------------------------


@pytest.fixture
def table(session) -> FrameworkModifications:
    return FrameworkModifications(session.deployment.framework_modifications_table)


def new(table: FrameworkModifications, made: str = NOW) -> str:
    """Record a call that was made at a moment; no other test has its id."""
    identifier = f"{made}#{uuid.uuid4()}"
    arguments = {"file_path": "prompts/a.md"}
    item = requested(identifier, tool="rollback_file", arguments=arguments, reason="r", now=made)
    assert table.put_once(item) is True
    return identifier


def test_a_call_is_written_once(table):
    identifier = new(table)
    assert table.put_once(table.get(identifier)) is False
    assert table.get(identifier).status == states.REQUESTED
    assert table.get("nothing") is None


def test_a_state_is_left_once(table):
    identifier = new(table)
    table.move(
        identifier,
        states.REQUESTED,
        states.RUNNING,
        Facts(duration_s=0.5, message="is a reserved word: status"),
    )
    with pytest.raises(Conflict):
        table.move(identifier, states.REQUESTED, states.RUNNING, Facts())
    assert table.get(identifier).duration_s == 0.5
    with pytest.raises(ValueError, match="does not go from"):
        table.move(identifier, states.RUNNING, states.ROLLED_BACK, Facts())


def test_an_applied_change_enters_the_outbox_together_with_its_state(table):
    identifier = new(table)
    table.move(identifier, states.REQUESTED, states.RUNNING, Facts())
    entry = OutboxEntry(identifier, NOW)
    with pytest.raises(Conflict):
        table.move(identifier, states.APPROVED, states.RUNNING, Facts(), entry)
    assert identifier not in due(table)
    table.move(identifier, states.RUNNING, states.APPLIED, Facts(), entry)
    assert identifier in due(table)
    table.done(entry)
    assert identifier not in due(table)


def due(table: FrameworkModifications) -> list[str]:
    return [entry.modification_id for entry in table.due(1000)]


def test_listings_are_newest_first_by_state_and_by_file(table):
    first, second = sorted([new(table), new(table)])
    found = [call.modification_id for call in table.latest(1000)]
    assert found.index(second) < found.index(first)
    assert second in [call.modification_id for call in table.latest(1000, states.REQUESTED)]
    assert second in [call.modification_id for call in table.of_file("prompts/a.md", 1000)]
    assert len(table.latest(1)) == 1


def wait_for_a_person(table: FrameworkModifications, made: str, expires_at: str = "") -> str:
    identifier = new(table, made)
    table.move(identifier, states.REQUESTED, states.RUNNING, Facts())
    facts = Facts(expires_at=expires_at or states.expires(made))
    table.move(identifier, states.RUNNING, states.PENDING_APPROVAL, facts)
    return identifier


def test_a_call_that_nobody_approved_in_time_expires_by_itself_and_a_younger_one_waits_on(table):
    late = wait_for_a_person(table, "2001-01-01T10:00:00.000Z")
    young = wait_for_a_person(table, "2001-01-01T11:00:00.000Z")
    now = "2001-01-02T10:30:00.000Z"
    assert operations.expire_overdue(table, now) == [late]
    call = table.get(late)
    assert (call.status, call.rule) == (states.EXPIRED, "expired")
    assert table.get(young).status == states.PENDING_APPROVAL
    assert operations.expire_overdue(table, now) == []


def test_no_number_of_calls_that_may_wait_on_keeps_an_overdue_one_waiting(table):
    """An old call may have been asked for late, as the undoing of an old change is."""
    for number in range(operations.OVERDUE_PER_CYCLE + 10):
        wait_for_a_person(table, f"2002-01-01T10:00:{number:02d}.000Z", "2002-02-01T00:00:00.000Z")
    late = wait_for_a_person(table, "2002-01-01T11:00:00.000Z")
    assert late in operations.expire_overdue(table, "2002-01-03T00:00:00.000Z")


def test_one_cycle_closes_a_bounded_number_and_the_next_one_the_rest(table):
    for number in range(operations.OVERDUE_PER_CYCLE + 1):
        wait_for_a_person(table, f"2000-01-01T10:00:{number:02d}.000Z")
    now = "2000-01-03T00:00:00.000Z"
    closed = [len(operations.expire_overdue(table, now)) for _ in range(3)]
    assert closed == [operations.OVERDUE_PER_CYCLE, 1, 0]


def test_opening_a_cycle_closes_what_waited_too_long(session, table):
    late = wait_for_a_person(table, "1999-01-01T00:00:00.000Z")
    execution = "arn:aws:states:us-east-1:000000000000:execution:m:none"
    event = {"execution": execution, "started": NOW, "pass": 0, "input": {}}
    client = session.deployment.client("lambda")
    name = f"{session.deployment.functions['OpenCycle']}:live"
    # Refused, so that the other tests' evolution stays as it is.
    session.control.set_paused(LINEAGE, True, at=NOW, reason="a test", expected_at=None)
    try:
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    finally:
        session.control.set_paused(LINEAGE, False, at=NOW, reason="", expected_at=NOW)
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert table.get(late).status == states.EXPIRED


def test_the_next_call_closes_an_interrupted_one(session, table):
    lost = new(table, "2003-01-01T00:00:00.000Z")
    table.move(lost, states.REQUESTED, states.RUNNING, Facts())
    assert operator(session, "run_shell_command", {"command": "curl x"})["status"] == states.DENIED
    assert (table.get(lost).status, table.get(lost).rule) == (states.FAILED, "cut-short")


# --- Run Command -------------------------------------------------------------------------------------


@pytest.fixture
def ssm_host(session):
    """A host whose Systems Manager client is told what to answer; the network ends there."""
    host = SsmHost("HostParameter", {"run_shell_command": "Shell"}, session.bucket, "commands")
    with Stubber(host._ssm) as stubber, Stubber(host._ec2) as instances:
        was(instances, "running")
        yield host, stubber


def command(identifier: str, **arguments: str) -> dict:
    return {
        "modification_id": identifier,
        "tool": "run_shell_command",
        "arguments": arguments,
        "reason": "r",
    }


def find_instance(stubber: Stubber) -> None:
    stubber.add_response("get_parameter", {"Parameter": {"Value": INSTANCE}}, {"Name": "HostParameter"})


def was(instances: Stubber, state: str) -> None:
    """Let the next request to start the instance tell its state before."""
    change = {"InstanceId": INSTANCE, "PreviousState": {"Name": state}}
    instances.add_response("start_instances", {"StartingInstances": [change]}, {"InstanceIds": [INSTANCE]})


def agent(stubber: Stubber, status: str, *, seen: datetime | None = None) -> None:
    """Let the next question for the agent be answered like this."""
    found = {"InstanceId": INSTANCE, "PingStatus": status, "LastPingDateTime": seen or datetime.now(UTC)}
    stubber.add_response("describe_instance_information", {"InstanceInformationList": [found]})


def expect(stubber: Stubber, request: object, *statuses: str) -> None:
    find_instance(stubber)
    agent(stubber, "Online", seen=LONG_AGO)
    send(stubber, request, *statuses)


def send(stubber: Stubber, request: object, *statuses: str) -> None:
    stubber.add_response(
        "send_command",
        {"Command": {"CommandId": "00000000-0000-0000-0000-000000000000"}},
        {
            "InstanceIds": [INSTANCE],
            "DocumentName": "Shell",
            "Parameters": {"Request": request, "Result": ANY},
            "TimeoutSeconds": 60,
            "CloudWatchOutputConfig": ANY,
        },
    )
    stubber.add_client_error("get_command_invocation", "InvocationDoesNotExist")
    for status in statuses:
        stubber.add_response("get_command_invocation", {"Status": status})


def test_a_call_travels_as_one_base64_parameter_and_its_result_by_the_bucket(ssm_host, session):
    host, stubber = ssm_host
    document = command(f"m{uuid.uuid4()}", command="uptime")
    request = base64.b64encode(json.dumps(document).encode()).decode()
    expect(stubber, [request], "Pending", "Success")
    session.bucket.put_json(f"{RESULTS}/{name_of(document)}.json", {"status": "applied"})
    assert host.call(document) == {"status": "applied"}
    stubber.assert_no_pending_responses()


def test_a_large_call_goes_by_the_bucket(ssm_host, session):
    host, stubber = ssm_host
    document = command(f"m{uuid.uuid4()}", command="x" * 60_000)
    expect(stubber, ["bucket"], "Success")
    session.bucket.put_json(f"{RESULTS}/{name_of(document)}.json", {"status": "denied"})
    assert host.call(document)["status"] == "denied"
    assert session.bucket.get_json(f"{REQUESTS}/{name_of(document)}.json") == document


def test_what_the_host_answered_before_is_read_without_asking_it_again(ssm_host, session):
    host, stubber = ssm_host
    document = command(f"m{uuid.uuid4()}")
    assert host.answered(document["modification_id"]) is None
    session.bucket.put_json(f"{RESULTS}/{name_of(document)}.json", {"status": "applied"})
    assert host.answered(document["modification_id"]) == {"status": "applied"}
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize("status", ["Failed", "TimedOut", "Success"])
def test_a_command_without_a_result_is_a_host_that_is_away(ssm_host, status):
    host, stubber = ssm_host
    expect(stubber, ANY, status)
    with pytest.raises(HostAway, match=status):
        host.call(command(f"m{uuid.uuid4()}"))


def test_an_instance_that_is_not_there_is_a_host_that_is_away(ssm_host):
    host, stubber = ssm_host
    find_instance(stubber)
    agent(stubber, "Online")
    stubber.add_client_error("send_command", "InvalidInstanceId")
    with pytest.raises(HostAway, match="InvalidInstanceId"):
        host.call(command(f"m{uuid.uuid4()}"))


@pytest.fixture
def asleep(session, monkeypatch):
    """A host whose instance may be stopped, and which is asked again at once."""
    monkeypatch.setattr(hosts, "WAKE_POLL_S", 0.001)
    host = SsmHost("HostParameter", {"run_shell_command": "Shell"}, session.bucket, "commands")
    with Stubber(host._ssm) as stubber, Stubber(host._ec2) as instances:
        find_instance(stubber)
        yield host, stubber, instances


def test_a_stopped_host_is_started_and_waited_for_until_its_agent_shows_a_new_sign_of_life(asleep, session):
    host, stubber, instances = asleep
    was(instances, "stopped")
    # Systems Manager takes the agent for online for minutes after it is gone.
    agent(stubber, "Online", seen=LONG_AGO)
    agent(stubber, "Online", seen=datetime.now(UTC) + timedelta(hours=1))
    send(stubber, ANY, "Success")
    document = command(f"m{uuid.uuid4()}")
    session.bucket.put_json(f"{RESULTS}/{name_of(document)}.json", {"status": "applied"})
    assert host.call(document) == {"status": "applied"}
    stubber.assert_no_pending_responses()
    instances.assert_no_pending_responses()


def test_a_host_that_is_just_stopping_is_started_once_it_has_stopped(asleep, session):
    host, stubber, instances = asleep
    for _ in range(2):
        instances.add_client_error("start_instances", "IncorrectInstanceState")
    was(instances, "stopped")
    agent(stubber, "Online", seen=datetime.now(UTC) + timedelta(hours=1))
    send(stubber, ANY, "Success")
    document = command(f"m{uuid.uuid4()}")
    session.bucket.put_json(f"{RESULTS}/{name_of(document)}.json", {"status": "applied"})
    assert host.call(document) == {"status": "applied"}
    instances.assert_no_pending_responses()


def test_a_host_that_does_not_come_up_is_waited_for_so_long_and_no_longer(asleep, monkeypatch):
    host, stubber, instances = asleep
    monkeypatch.setattr(hosts, "WAKE_TIMEOUT_S", 0)
    was(instances, "stopped")
    agent(stubber, "ConnectionLost")
    with pytest.raises(HostAway, match=f"{INSTANCE} did not come up within 0 s"):
        host.call(command(f"m{uuid.uuid4()}"))


def test_an_instance_that_is_gone_is_a_host_that_is_away(asleep):
    host, _, instances = asleep
    instances.add_client_error("start_instances", "InvalidInstanceID.NotFound")
    with pytest.raises(HostAway, match=r"InvalidInstanceID\.NotFound"):
        host.call(command(f"m{uuid.uuid4()}"))


def name_of(document: dict) -> str:

    return hashlib.sha256(document["modification_id"].encode()).hexdigest()


# --- publishing code ---------------------------------------------------------------------------------


def approve(session, item: dict) -> dict:
    return invoke(session, {"operation": "approve", "modification_id": item["modification_id"]})


def live_plan(session) -> dict:
    name = session.deployment.functions["Plan"]
    return session.deployment.client("lambda").get_function_configuration(FunctionName=name, Qualifier="live")


def test_approved_code_goes_live_by_a_restart_and_back_by_a_rollback(session):
    before = live_plan(session)
    arguments = {"file_path": SEARCH, "modification_type": "append", "content": "\nAMENDED = True\n"}
    waiting = operator(session, "modify_framework_file", arguments)
    assert (waiting["status"], waiting["rule"]) == ("pending_approval", "tier-code")
    assert "+AMENDED = True" in waiting["diff"]
    changed = approve(session, waiting)
    assert changed["status"] == "applied", changed["message"]
    restarted = operator(session, "restart_orchestrator", {})
    assert restarted["status"] == "applied", restarted["message"]
    assert "amended code" in restarted["published"]
    after = live_plan(session)
    assert after["Version"] != before["Version"]
    undone = invoke(session, {"operation": "rollback", "modification_id": changed["modification_id"]})
    assert undone["live"]["status"] == "applied", undone
    assert live_plan(session)["Description"] == "code as deployed"


def test_code_that_does_not_come_up_never_serves(session):
    """The tests do not import the planner as the function does, so this change passes them."""
    before = live_plan(session)
    content = "\nimport os\nif 'AWS_LAMBDA_FUNCTION_NAME' in os.environ:\n    raise RuntimeError('down')\n"
    arguments = {"file_path": SEARCH, "modification_type": "append", "content": content}
    changed = approve(session, operator(session, "modify_framework_file", arguments))
    assert changed["status"] == "applied", changed["message"]
    restarted = operator(session, "restart_orchestrator", {})
    assert (restarted["status"], restarted["rule"]) == ("failed", "release")
    assert "does not come up" in restarted["message"]
    assert live_plan(session)["Version"] == before["Version"]
    invoke(session, {"operation": "rollback", "modification_id": changed["modification_id"]})


def test_nothing_goes_live_from_a_checkout_whose_guarded_files_differ(session):
    checkout = LocalHostFiles.of(session.state_dir).checkout
    guarded = checkout / "layers/common/python/codec_evolution/judging/adoption.py"
    original = guarded.read_bytes()
    guarded.write_bytes(original + b"\n# easier\n")
    try:
        item = operator(session, "restart_orchestrator", {})
    finally:
        guarded.write_bytes(original)
    assert (item["status"], item["rule"]) == ("denied", "never-changed")
    assert "adoption.py" in item["message"]
