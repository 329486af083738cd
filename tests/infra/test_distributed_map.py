"""More than 40 slots: a Distributed Map, whose definition is held here because the emulator runs it inline."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from codec_evolution.contracts import CAPS_BYTES, KIB, CycleOpened, Shared, Slot
from codec_evolution.loop.cycle import slot_share
from codec_evolution.record import attempt_id

from infra.errors import UserError
from infra.local.maps import make_inline
from infra.settings import INLINE_SLOTS, MAX_SLOTS
from tests.support.policies import ACCOUNT, REGION, decision
from tests.support.templates import Resources, listed, named

State = dict[str, Any]
PAYLOAD_BYTES, HISTORY_EVENTS, CHILDREN = 256 * KIB, 25_000, 1_000
"""Quotas of Step Functions: a payload, the events of one execution, and child executions that run at the same time."""
WINDOWS = {"MeasureWindows": 6, "ConfirmWindows": 13}
"""The most windows of one stage: six, and when confirming as many sealed ones and a repeated one."""
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:CodecEvolutionApp-Cycle"
EXECUTION = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:CodecEvolutionApp-Cycle"


def slots_of(definition: State) -> State:
    return definition["States"]["Slots"]


def test_more_than_forty_slots_are_standard_executions_of_their_own(crowd_definition: State) -> None:
    slots = slots_of(crowd_definition)
    assert slots["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert slots["MaxConcurrency"] == 50, "the setting concurrency"
    assert slots["ToleratedFailurePercentage"] == 50
    assert slots["Label"] == "Slots"
    assert MAX_SLOTS <= CHILDREN


def test_both_maps_run_the_same_states(definition: State, crowd_definition: State) -> None:
    def processor(of: State) -> State:
        config = {**slots_of(of)["ItemProcessor"], "ProcessorConfig": None}
        return json.loads(re.sub(r"CurrentVersion[0-9A-F]{8}[0-9a-f]{32}", "Version", json.dumps(config)))

    assert processor(definition) == processor(crowd_definition)
    differing = {"ItemProcessor", "MaxConcurrency", "ToleratedFailurePercentage", "Label"}
    inline, distributed = slots_of(definition), slots_of(crowd_definition)
    assert {k: v for k, v in inline.items() if k not in differing} == {
        k: v for k, v in distributed.items() if k not in differing
    }


def expressions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)
    elif isinstance(node, str) and node.startswith("{%"):
        yield node


def test_a_slot_reads_no_variable_of_the_cycle(crowd_definition: State) -> None:
    """A child execution has none of its parent's variables."""
    states = slots_of(crowd_definition)["ItemProcessor"]["States"]
    used = {name for text in expressions(states) for name in re.findall(r"\$(\w+)\b(?!\()", text)}
    own = set(states["Begin"]["Assign"])
    assert used - own == {"states"}


def granted_to_children(resources: Resources) -> list[State]:
    """Return the statements for child executions, with the machine's ARN and name filled in."""
    policy = named(resources, "AWS::IAM::Policy", "DistributedMapPolicy")["Properties"]["PolicyDocument"]
    (machine,) = [
        {"Ref": name}
        for name, each in resources.items()
        if each["Type"] == "AWS::StepFunctions::StateMachine" and name.startswith("Cycle")
    ]
    name = {"Fn::Select": [6, {"Fn::Split": [":", machine]}]}
    text = json.dumps(policy["Statement"]).replace(json.dumps(name), f'"{MACHINE.rsplit(":", 1)[1]}"')
    return json.loads(text.replace(json.dumps(machine), f'"{MACHINE}"'))


def test_the_role_starts_describes_and_stops_executions_of_its_own_machine_only(
    crowd_resources: Resources, app_resources: Resources
) -> None:
    granted = granted_to_children(crowd_resources)
    for action, resource in (
        ("states:StartExecution", MACHINE),
        ("states:DescribeExecution", f"{EXECUTION}:child"),
        ("states:StopExecution", f"{EXECUTION}:child"),
    ):
        assert decision(granted, action=action, resource=resource) == "Allow"
        assert decision(granted, action=action, resource=resource.replace("Cycle", "Other")) == ""
    actions = {action for each in granted for action in listed(each["Action"])}
    assert actions == {f"states:{verb}Execution" for verb in ("Start", "Describe", "Stop", "Redrive")}
    assert not any("DistributedMapPolicy" in name for name in app_resources), "an inline Map needs none of it"


def test_the_largest_map_fits_on_every_edge() -> None:
    cycle = "2026-11-28T13:23:00.000000Z"
    slots = [
        Slot(
            attempt_id=attempt_id(cycle, number),
            slot=number,
            kind="candidate",
            tools=number == 0,
            budget_usd=slot_share(20.0, 0.123456789, MAX_SLOTS),
        )
        for number in range(MAX_SLOTS)
    ]
    shared = Shared(lineage="l" * 32, cycle_id=cycle, version=999, release="r" * 64, seed="s" * 16)
    opened = CycleOpened(
        go=True, lineage=shared.lineage, cycle_id=cycle, version=999, release=shared.release, slots=slots
    ).model_copy(update={"shared": shared})
    assert len(opened.model_dump_json(exclude_none=True)) <= CAPS_BYTES["open_cycle"]
    assert len(json.dumps([each.model_dump() for each in opened.items()])) < PAYLOAD_BYTES / 2
    result = {"attempt_id": slots[-1].attempt_id, "status": "test_failed", "version": 999, "cost_usd": 1 / 3}
    assert len(json.dumps([result] * MAX_SLOTS)) < PAYLOAD_BYTES / 8


def test_attempts_of_one_cycle_sort_by_slot_up_to_the_last_one() -> None:
    ids = [attempt_id("2026-11-28T13:23:00Z", slot) for slot in range(MAX_SLOTS + 1)]
    assert ids == sorted(ids)


def events(state: State) -> int:
    """Events of one visit of a state that succeeds."""
    if state["Type"] == "Task":
        return 5  # entered, scheduled, started, succeeded, exited
    return 2


def test_slots_of_one_execution_stay_below_the_events_of_its_history(definition: State) -> None:
    """Every slot takes all rounds, each with a draft, and is measured and confirmed on all windows."""
    states = slots_of(definition)["ItemProcessor"]["States"]
    rounds = 5 * sum(events(states[name]) for name in ("Plan", "Planned", "TryDraft"))
    once = (
        "Begin",
        "Plan",
        "Planned",
        "Measure",
        "Conclude",
        "Promising",
        "Confirm",
        "Conclude",
        "Promising",
    )
    total = rounds + sum(events(states[name]) for name in once) + events(states["Concluded"])
    for name, count in WINDOWS.items():
        inner = states[name]["ItemProcessor"]["States"].values()
        window = sum(events(each) for each in inner if each["Type"] != "Fail")
        total += 4 + count * (2 + window)  # the Map itself, and the start and the end of each iteration
    assert 500 < total < HISTORY_EVENTS / INLINE_SLOTS


def test_the_emulator_gets_the_same_states_inline(
    crowd_resources: Resources, crowd_definition: State
) -> None:
    resources = copy.deepcopy(crowd_resources)
    make_inline(resources)
    machine = named(resources, "AWS::StepFunctions::StateMachine", "Cycle")
    text = json.dumps(machine["Properties"]["DefinitionString"])
    assert "DISTRIBUTED" not in text
    cycle = named(crowd_resources, "AWS::StepFunctions::StateMachine", "Cycle")
    before = json.dumps(cycle["Properties"]["DefinitionString"])
    added, removed = r"\"Mode\":\"INLINE\"", r"\"Mode\":\"DISTRIBUTED\",\"ExecutionType\":\"STANDARD\""
    assert before.replace(removed, added) == text


def test_a_distributed_map_without_a_local_form_is_an_error() -> None:
    definition = '{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"}}'
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"DefinitionString": {"Fn::Join": ["", [definition, {"Ref": "X"}]]}},
    }
    with pytest.raises(UserError, match="Distributed Map of Machine"):
        make_inline({"Machine": machine})
