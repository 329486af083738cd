"""The state machine of a full-size audit, and how a cycle starts it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from codec_evolution.record import Audited
from codec_sandbox.request import MAX_CALL_S, MAX_TOTAL_CPU_S
from codec_sandbox.segments import MOST_SEGMENTS

from infra.capabilities.audit import CALL_S, TOTAL_CPU_S
from infra.capabilities.benchmark import CORES
from infra.capabilities.service_rules import SLOW_PERCENT
from infra.errors import UserError
from infra.preflight import Account, check_segments, problems
from infra.settings import Settings
from tests.infra.conftest import definition_of
from tests.infra.test_cloudformation import linted
from tests.support.assemblies import ALL_ALARMS
from tests.support.policies import ACCOUNT, decision
from tests.support.templates import Resources, listed, named, statements
from tests.unit.sandbox.test_segments import make_segments

State = dict[str, Any]
FUNCTION_S, REPORTING_S, WORST_ATTEMPTS = 900, 20, 2
"""Lambda's limit, what the handler keeps for the report, and how often a segment is measured at worst."""
SANDBOX_DIED = "Sandbox.Timedout"


@pytest.fixture(scope="module")
def audited_resources(synthesised: Callable[[Settings], Path]) -> Resources:
    """The app whose cycles start audits."""
    assembly = synthesised(ALL_ALARMS)
    return json.loads((assembly / "CodecEvolutionApp.template.json").read_text())["Resources"]


@pytest.fixture(scope="module")
def audit(app_resources: Resources) -> State:
    return definition_of(app_resources, "AuditStateMachine")


def caught(state: State) -> dict[str, str]:
    return {error: each["Next"] for each in state.get("Catch", []) for error in each["ErrorEquals"]}


def test_it_is_valid_amazon_states_language(audit: State, tmp_path: Path) -> None:
    properties = {"Definition": audit, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r"}
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    file = tmp_path / "machine.template.json"
    file.write_text(json.dumps({"Resources": {"Machine": resource}}).replace("AWS::Partition", "aws"))
    assert linted([file]) == []


def test_nothing_is_measured_before_conclude_allows_it(audit: State) -> None:
    states = audit["States"]
    assert states["OpenAudit"]["Next"] == "MayAudit"
    (may,) = states["MayAudit"]["Choices"]
    assert (may["Condition"], may["Next"]) == ("{% $states.input.go = true %}", "ListSegments")
    assert states["MayAudit"]["Default"] == "NotAudited"


def test_each_segment_is_measured_by_its_own_invocation_and_a_failed_one_ends_no_other(audit: State) -> None:
    segments = audit["States"]["Segments"]
    assert segments["MaxConcurrency"] == 2
    measure = segments["ItemProcessor"]["States"]["MeasureSegment"]
    payload = measure["Arguments"]["Payload"]
    assert (payload["stages"], payload["window"]) == (["audit"], "{% $states.input.window %}")
    assert caught(measure) == {"States.ALL": "SegmentFailed"}
    retried = {error: each["MaxAttempts"] for each in measure["Retry"] for error in each["ErrorEquals"]}
    assert retried[SANDBOX_DIED] == WORST_ATTEMPTS - 1
    assert segments["Next"] == "KeepAudit"


def test_a_segment_ends_with_a_report_before_lambda_ends_it_and_before_it_counts_as_slow() -> None:
    wall_s = FUNCTION_S - CALL_S - REPORTING_S
    assert wall_s <= FUNCTION_S * SLOW_PERCENT / 100 - 10 < 840
    assert TOTAL_CPU_S == CORES * wall_s <= MAX_TOTAL_CPU_S
    assert CALL_S <= MAX_CALL_S


def test_the_longest_audit_ends_before_the_machine_does(audit: State) -> None:
    turns = -(-MOST_SEGMENTS // audit["States"]["Segments"]["MaxConcurrency"])
    assert turns * WORST_ATTEMPTS * FUNCTION_S <= audit["TimeoutSeconds"] == 6 * 3600


def test_it_invokes_conclude_and_the_benchmark_alone(app_resources: Resources) -> None:
    granted = statements(app_resources, "AuditStateMachine")
    invoked = [
        json.dumps(resource)
        for each in granted
        if "lambda:InvokeFunction" in each["Action"]
        for resource in each["Resource"]
    ]
    assert len(invoked) == 2
    assert any("ConcludeLive" in each for each in invoked)
    assert any("BenchmarkLive" in each for each in invoked)
    actions = {action.partition(":")[0] for each in granted for action in each["Action"]}
    assert actions == {"lambda", "logs", "xray"}


def test_conclude_changes_no_attribute_of_a_record_but_the_audits(app_resources: Resources) -> None:
    granted = [
        each
        for each in statements(app_resources, "FunctionsConclude")
        if "dynamodb:UpdateItem" in each["Action"] and "EvolutionRecord" in json.dumps(each["Resource"])
    ]
    (only,) = granted
    (conditions,) = only["Condition"].values()
    assert set(conditions["dynamodb:Attributes"]) == {"lineage", "attempt_id", *Audited.model_fields}
    assert conditions["dynamodb:LeadingKeys"] == ["main"]


def test_by_default_no_cycle_starts_an_audit(definition: State, app_resources: Resources) -> None:
    assert definition["States"]["OnlyPrepared"]["Default"] == "CloseCycle"
    granted = statements(app_resources, "CycleStateMachine")
    assert not [each for each in granted if "states:StartExecution" in each["Action"]]


def test_a_cycle_starts_audits_without_waiting_and_closes_whatever_becomes_of_them(
    audited_resources: Resources,
) -> None:
    states = definition_of(audited_resources)["States"]
    assert states["OnlyPrepared"]["Default"] == "Audits"
    audits = states["Audits"]
    assert audits["Next"] == "CloseCycle"
    assert caught(audits) == {"States.ALL": "CloseCycle"}
    start = audits["ItemProcessor"]["States"]["StartAudit"]
    assert start["Resource"].endswith(":states:::states:startExecution"), "neither .sync nor a task token"
    assert caught(start) == {"States.ALL": "AuditNotStarted"}
    assert start["Arguments"]["Name"] == "{% $open.lineage & '-v' & $string($states.input.version) %}"
    assert "again" not in start["Arguments"]["Input"]


def test_a_cycle_may_start_the_audit_and_no_other_machine(audited_resources: Resources) -> None:
    (granted,) = [
        each
        for each in statements(audited_resources, "CycleStateMachine")
        if "states:StartExecution" in each["Action"]
    ]
    (machine,) = [
        name
        for name, each in audited_resources.items()
        if each is named(audited_resources, "AWS::StepFunctions::StateMachine", "Audit")
    ]
    assert granted["Resource"] == [{"Ref": machine}]
    assert decision([granted], action="states:StartExecution", resource=f"<{machine}>") == "Allow"
    assert listed(granted["Action"]) == ["states:StartExecution"]


def test_the_audits_of_cycles_have_environments_of_their_own() -> None:
    without, audited = Settings(islands=2), Settings(islands=2, audit="on")
    assert without.reserved_concurrency == 21
    assert audited.reserved_concurrency == 25
    (problem,) = problems(
        Account(20, 20, 3), Settings(reserve_benchmark_concurrency=False, audit="on", windows_at_once=11)
    )
    assert "2 for audits" in problem
    assert "set windows_at_once=10" in problem


def test_audits_are_deployed_only_with_segments_to_measure(tmp_path: Path) -> None:
    check_segments(Settings(), tmp_path)
    with pytest.raises(UserError, match="codec-evolution clips audit FILE"):
        check_segments(Settings(audit="on"), tmp_path)
    make_segments(tmp_path, "film", 1)
    check_segments(Settings(audit="on"), tmp_path)
