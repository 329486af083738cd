"""The rendered state machine: what the emulator does not check, AWS would find at the worst moment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from codec_evolution.contracts import (
    CloseRequest,
    CommitRequest,
    ConcludeRequest,
    OpenRequest,
    PlanRequest,
    ToolRequest,
)
from codec_evolution.loop.windows import WindowRequest

from infra.capabilities.aws_tools import CONFIGURABLE
from tests.support.policies import ACCOUNT, REGION, decision, rendered
from tests.support.templates import listed, statements

State = dict[str, Any]
QUALIFIED = r"^(Functions|Sandbox)|Live[0-9A-F]{8}$|CurrentVersion[0-9A-F]{8}[0-9a-f]{32}$"
"""What surrounds a function's name in the logical ids of its alias and its versions."""

GATES = "{% $item.kind = 'incumbent' ? ['validate'] : ['validate', 'smoke', 'screen'] %}"
"""A new incumbent has passed the gates, and is measured on the windows of its next contest."""
DRAFT_GATES = "{% [$states.input.request.stages[$ in ['validate', 'smoke', 'train', 'probe']]] %}"
"""Plan may not ask for `measure`, `sealed` or `audit`: its code can be amended."""


def levels(machine: State) -> Iterator[dict[str, State]]:
    """The states of the machine, then those of each Map: a Next may only name a state of its own level."""
    yield machine["States"]
    for state in machine["States"].values():
        if state["Type"] == "Map":
            yield from levels(state["ItemProcessor"])


def states(machine: State) -> dict[str, State]:
    return {name: state for level in levels(machine) for name, state in level.items()}


def exits(state: State) -> list[str]:
    following = [state[key] for key in ("Next", "Default") if key in state]
    following += [choice["Next"] for choice in state.get("Choices", [])]
    return following + [catch["Next"] for catch in state.get("Catch", [])]


def tasks(machine: State) -> dict[str, State]:
    return {name: state for name, state in states(machine).items() if state["Type"] == "Task"}


def test_every_task_has_a_timeout_a_bounded_retry_with_jitter_and_a_catch(definition: State) -> None:
    assert len(tasks(definition)) == 11 + 2 * 3, "three for one window, in Measure and in Confirm"
    for name, task in tasks(definition).items():
        assert task["TimeoutSeconds"] > 0, name
        assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
        services = task["Retry"][0]
        assert services["JitterStrategy"] == "FULL"
        assert services["MaxAttempts"] <= 4
        assert all(error.startswith("Lambda.") for error in services["ErrorEquals"])


def test_a_function_that_is_busy_or_asleep_is_waited_for_over_minutes(definition: State) -> None:
    """Model dollars are spent by then, and a function in a VPC that slept for weeks needs more than a minute."""
    for name, task in tasks(definition).items():
        (patient,) = [
            each for each in task["Retry"] if "Lambda.TooManyRequestsException" in each["ErrorEquals"]
        ]
        assert {
            "Lambda.ResourceNotReadyException",
            "Lambda.ResourceConflictException",
            "Lambda.ENINotReadyException",
        } <= set(patient["ErrorEquals"]), name
        waits = [
            min(patient["IntervalSeconds"] * patient["BackoffRate"] ** n, patient["MaxDelaySeconds"])
            for n in range(patient["MaxAttempts"])
        ]
        assert 300 <= sum(waits) <= 600, name
        assert patient["JitterStrategy"] == "NONE", "jitter would halve the sum"


def test_every_task_passes_the_execution_that_its_log_lines_name(definition: State) -> None:
    for name, task in tasks(definition).items():
        assert task["Arguments"]["Payload"]["execution"] == "{% $states.context.Execution.Id %}", name


CONTRACTS = {
    "OpenCycle": OpenRequest,
    "Plan": PlanRequest,
    "FrameworkTool": ToolRequest,
    "Conclude": ConcludeRequest,
    "Abandon": ConcludeRequest,
    "Commit": CommitRequest,
    "CloseCycle": CloseRequest,
    **{
        f"{step}{stage}Window": WindowRequest for step in ("Open", "Keep") for stage in ("Measure", "Confirm")
    },
}


def test_a_task_passes_what_the_contract_of_its_function_takes_and_all_that_it_requires(
    definition: State,
) -> None:
    for name, contract in CONTRACTS.items():
        passed = set(tasks(definition)[name]["Arguments"]["Payload"])
        fields = {field.alias or key: field for key, field in contract.model_fields.items()}
        assert passed <= set(fields), name
        assert {key for key, field in fields.items() if field.is_required()} <= passed, name
    others = {name for name in tasks(definition) if name not in CONTRACTS}
    assert others == {"TryDraft", "Measure", "Confirm", "Control", "MeasureWindow", "ConfirmWindow"}, (
        "the sandbox's"
    )


def test_nothing_is_retried_on_every_error(definition: State) -> None:
    for name, state in states(definition).items():
        for retry in state.get("Retry", []):
            assert not {"States.ALL", "States.TaskFailed"} & set(retry["ErrorEquals"]), name


def test_every_transition_names_a_state_of_its_level_and_every_state_is_reached(definition: State) -> None:
    assert definition["StartAt"] in definition["States"]
    for level in levels(definition):
        reached = {name for state in level.values() for name in exits(state)}
        assert reached <= set(level)
        assert len(set(level) - reached) == 1, "only the first state is not named by another"
        for name, state in level.items():
            ends = state.get("End") or state["Type"] in ("Fail", "Succeed")
            assert bool(exits(state)) != bool(ends), f"{name} must either go on or end"


def test_a_dead_sandbox_is_retried_once_and_then_decided_by_a_control_run(definition: State) -> None:
    for name in ("Measure", "MeasureWindow", "Confirm", "ConfirmWindow"):
        task = tasks(definition)[name]
        (deaths,) = [each for each in task["Retry"] if "Lambda.Unknown" in each["ErrorEquals"]]
        assert deaths["MaxAttempts"] == 1
        assert {"Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout"} <= set(
            deaths["ErrorEquals"]
        )
        assert task["Catch"][0]["ErrorEquals"] == deaths["ErrorEquals"]
        following = task["Catch"][0]["Next"]
        assert following == (f"{name}KilledSandbox" if name.endswith("Window") else "Control")
    assert tasks(definition)["Control"]["Arguments"]["Payload"]["control"] is True


def test_a_task_waits_longer_than_its_function_may_run(
    definition: State, app_resources: dict[str, dict[str, Any]]
) -> None:
    timeouts = {
        re.sub(r"^(Functions|Sandbox)|[0-9A-F]{8}$", "", name): each["Properties"]["Timeout"]
        for name, each in app_resources.items()
        if each["Type"] == "AWS::Lambda::Function"
    }
    for name, task in tasks(definition).items():
        alias = task["Arguments"]["FunctionName"]
        function = re.sub(QUALIFIED, "", alias)
        assert task["TimeoutSeconds"] > timeouts[function], name


@pytest.mark.parametrize(
    ("task", "stages", "split"),
    [
        ("TryDraft", DRAFT_GATES, "train"),
        ("Measure", GATES, "train"),
        ("MeasureWindow", ["measure", "sealed"], "train"),
        ("Confirm", ["validate"], "held_out"),
        ("ConfirmWindow", ["measure", "sealed"], "held_out"),
    ],
)
def test_only_confirm_looks_at_held_out_clips(
    definition: State, task: str, stages: list[str] | str, split: str
) -> None:
    payload = tasks(definition)[task]["Arguments"]["Payload"]
    assert payload["stages"] == stages
    assert payload["split"] == split
    assert payload["limits"] == {"call_s": 30, "total_cpu_s": 240, "memory_mb": 2048}


def test_a_draft_is_tried_with_the_settings_that_the_planner_asks_for(definition: State) -> None:
    payload = tasks(definition)["TryDraft"]["Arguments"]["Payload"]
    assert payload["configs"] == "{% $states.input.request.configs %}"
    assert "configs" not in tasks(definition)["Measure"]["Arguments"]["Payload"]


def test_measure_lists_the_training_windows_and_confirm_the_held_out_and_the_sealed_ones(
    definition: State,
) -> None:
    payloads = {name: tasks(definition)[name]["Arguments"]["Payload"] for name in ("Measure", "Confirm")}
    assert payloads["Measure"]["windows_of"] == ["measure"]
    # A new incumbent has its figures of record already.
    assert payloads["Confirm"]["windows_of"] == (
        "{% $item.kind = 'incumbent' ? ['measure'] : ['measure', 'sealed'] %}"
    )


@pytest.mark.parametrize(("name", "split"), [("Measure", "train"), ("Confirm", "held_out")])
def test_each_window_is_asked_for_measured_and_kept_and_a_stop_ends_the_map(
    definition: State, name: str, split: str
) -> None:
    found = states(definition)
    windows = found[f"{name}Windows"]
    listing = f"${name.lower()}"
    assert found[name]["Next"] == f"{name}Windows"
    assert windows["Items"] == f"{{% $exists({listing}.windows) ? [{listing}.windows] : [] %}}"
    assert (windows["ItemProcessor"]["ProcessorConfig"], windows["MaxConcurrency"]) == (
        {"Mode": "INLINE"},
        10,
    )
    assert windows["Next"] == "Conclude"
    inner = windows["ItemProcessor"]["States"]
    assert windows["ItemProcessor"]["StartAt"] == f"Open{name}Window"
    for asked in (f"Open{name}Window", f"Keep{name}Window"):
        payload = inner[asked]["Arguments"]["Payload"]
        assert (payload["split"], payload["listing"]) == (split, f"{{% {listing} %}}")
    assert inner[f"{name}WindowNeeded"]["Choices"][0]["Next"] == f"{name}Window"
    assert inner[f"{name}Window"]["Arguments"]["Payload"]["window"] == "{% $states.input.window.window %}"
    assert inner[f"{name}Window"]["Next"] == f"Keep{name}Window"
    assert inner[f"{name}GoesOn"]["Default"] == f"{name}WindowsStopped"
    caught = {each["ErrorEquals"][0]: each["Next"] for each in windows["Catch"]}
    assert caught == {
        inner[f"{name}WindowsStopped"]["Error"]: "Conclude",
        inner[f"{name}WindowKilledSandbox"]["Error"]: "Control",
        "States.ALL": "Abandon",
    }


def test_a_slot_assigns_no_variable_of_the_cycle(definition: State) -> None:
    def assigned(level: dict[str, State]) -> set[str]:
        places = [
            place
            for state in level.values()
            for place in (state, *state.get("Catch", []), *state.get("Choices", []))
        ]
        return {name for place in places for name in place.get("Assign", {})}

    cycle, slot, *windows = levels(definition)
    assert not assigned(cycle) & assigned(slot), "Step Functions refuses a name of the outer scope"
    assert [assigned(level) for level in windows] == [set(), set()]


def test_the_map_is_inline_and_within_what_aws_runs_at_once(definition: State) -> None:
    slots = definition["States"]["Slots"]
    assert slots["ItemProcessor"]["ProcessorConfig"] == {"Mode": "INLINE"}
    assert 1 <= slots["MaxConcurrency"] <= 40
    assert definition["TimeoutSeconds"] == 3 * 3600


def test_every_expression_stands_alone_in_its_string(definition: State) -> None:
    for text in re.findall(r'"((?:[^"\\]|\\.)*)"', json.dumps(definition)):
        if "{%" in text:
            assert text.startswith("{%"), text
            assert text.endswith("%}"), text


def test_a_cycle_ends_on_the_definition_and_the_functions_that_it_began_with(
    definition: State, app_resources: dict[str, dict[str, Any]]
) -> None:
    """Each revision becomes a version, and a deployment deletes no version of a function that one of them invokes."""
    (version,) = [
        name for name, each in app_resources.items() if each["Type"].endswith("StateMachineVersion")
    ]
    properties = app_resources[version]["Properties"]
    machine = properties["StateMachineArn"]["Ref"]
    # A changed revision replaces the version; Step Functions lets what runs on the old one end.
    assert properties["StateMachineRevisionId"] == {"Fn::GetAtt": [machine, "StateMachineRevisionId"]}
    (alias,) = [each for each in app_resources.values() if each["Type"].endswith("StateMachineAlias")]
    assert alias["Properties"]["Name"] == "live"
    assert alias["Properties"]["RoutingConfiguration"] == [
        {"StateMachineVersionArn": {"Ref": version}, "Weight": 100}
    ]
    by_alias = set()
    for task in tasks(definition).values():
        invoked = task["Arguments"]["FunctionName"]
        kind = app_resources[invoked]["Type"]
        if kind == "AWS::Lambda::Alias":
            by_alias.add(re.sub(QUALIFIED, "", invoked))
        else:
            assert kind == "AWS::Lambda::Version"
            assert app_resources[invoked]["DeletionPolicy"] == "Retain"
            assert app_resources[invoked]["UpdateReplacePolicy"] == "Retain"
    # Tools and PublishImage publish versions of these, so that only their alias is known.
    assert by_alias == {*CONFIGURABLE, "Benchmark"}


def test_a_cycle_of_an_earlier_version_may_still_invoke_its_functions(
    definition: State, app_resources: dict[str, dict[str, Any]]
) -> None:
    granted = statements(app_resources, "CycleStateMachine")
    for task in tasks(definition).values():
        invoked = app_resources[task["Arguments"]["FunctionName"]]
        if invoked["Type"] == "AWS::Lambda::Version":
            earlier = f"<{invoked['Properties']['FunctionName']['Ref']}.Arn>:7"
            assert decision(granted, action="lambda:InvokeFunction", resource=earlier) == "Allow"


def test_schedule_and_operators_start_the_alias_and_may_start_nothing_else(
    app_resources: dict[str, dict[str, Any]],
) -> None:
    (alias,) = [name for name, each in app_resources.items() if each["Type"].endswith("StateMachineAlias")]
    (schedule,) = [each for each in app_resources.values() if each["Type"] == "AWS::Scheduler::Schedule"]
    assert {"Ref": alias} in schedule["Properties"]["Target"]["Input"]["Fn::Join"][1]
    may_start = {
        name.partition("Role")[0]: each["Resource"]
        for name, resource in app_resources.items()
        if resource["Type"] == "AWS::IAM::Policy"
        for each in resource["Properties"]["PolicyDocument"]["Statement"]
        if "states:StartExecution" in listed(each["Action"])
    }
    named = rendered(may_start.pop("FunctionsActions"))
    assert named == f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:CodecEvolutionApp-Cycle:live"
    assert may_start == {"EveryMinute": {"Ref": alias}}
    actions = next(
        each["Properties"]["Environment"]["Variables"]
        for name, each in app_resources.items()
        if each["Type"] == "AWS::Lambda::Function" and name.startswith("FunctionsActions")
    )
    assert f"{rendered(actions['STATE_MACHINE_ARN'])}:{actions['STATE_MACHINE_ALIAS']}" == named
