"""The Map over a contest's windows, as deployed, on the emulator; its Lambda tasks answer what a test tells them to."""

import copy
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

LISTED = [{"window": key, "role": "train"} for key in ("bunny/0", "bunny/3", "carphone/0")]


@dataclass(frozen=True)
class Slot:
    """The states of a slot in the deployed definition, and the state machine's role."""

    states: dict[str, Any]
    role: str


@pytest.fixture(scope="module")
def slot(session) -> Slot:
    arn = session.deployment.state_machine_arn
    found = session.deployment.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
    states = json.loads(found["definition"])["States"]["Slots"]["ItemProcessor"]["States"]
    return Slot(states, found["roleArn"])


def answering(task: dict[str, Any], payload: str) -> dict[str, Any]:
    """Return a Pass that ends like a task whose function answered with this JSONata."""
    output = json.loads(json.dumps(task["Output"]).replace("$states.result.Payload", f"({payload})"))
    return {"Type": "Pass", "Output": output, "Next": task["Next"]}


def run(session, slot, *, listed=LISTED, needed="true", goes_on="true", dies=False) -> dict[str, Any]:
    """Run the Map over `listed`; `needed` and `goes_on` are what Conclude answers before and after a window."""
    windows = copy.deepcopy(slot.states["MeasureWindows"])
    inner = windows["ItemProcessor"]["States"]
    open_, measure, keep = (inner[f"{verb}Window"] for verb in ("OpenMeasure", "Measure", "KeepMeasure"))
    inner["OpenMeasureWindow"] = answering(open_, f"{{'go': {needed}}}")
    inner["KeepMeasureWindow"] = answering(keep, f"{{'go': {goes_on}}}")
    inner["MeasureWindow"] = answering(measure, "{'outcome': 'passed'}")
    if dies:
        error = {"Error": "Sandbox.Timedout", "Cause": "Task timed out"}
        inner["MeasureWindow"] = {"Type": "Pass", "Output": error, "Next": measure["Catch"][0]["Next"]}
    ends = {
        name: {"Type": "Pass", "Output": {"ended": name, "facts": "{% $states.input %}"}, "End": True}
        for name in ("Conclude", "Control", "Abandon")
    }
    facts = {"measure": {"windows": listed}, "item": {"seed": "s"}, "fault": "{% null %}", "stage": ""}
    begin = {"Type": "Pass", "Assign": facts, "Next": "MeasureWindows"}
    machine = {
        "QueryLanguage": "JSONata",
        "StartAt": "Begin",
        "States": {"Begin": begin, "MeasureWindows": windows, **ends},
    }
    client = session.deployment.client("stepfunctions")
    made = client.create_state_machine(
        name=f"windows-{uuid.uuid4().hex[:8]}", roleArn=slot.role, definition=json.dumps(machine)
    )["stateMachineArn"]
    execution = client.start_execution(stateMachineArn=made, input="{}")["executionArn"]
    while (found := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(0.02)
    client.delete_state_machine(stateMachineArn=made)
    assert found["status"] == "SUCCEEDED", found
    return json.loads(found["output"])


@pytest.mark.parametrize("listed", [[], LISTED[:1], LISTED], ids=len)
def test_conclude_follows_when_every_window_was_measured(session, slot, listed):
    assert run(session, slot, listed=listed)["ended"] == "Conclude"


def test_a_window_that_is_not_needed_is_passed_over(session, slot):
    assert run(session, slot, needed="false", dies=True)["ended"] == "Conclude"


def test_a_window_that_decides_stops_the_others_and_conclude_follows(session, slot):
    last = "$states.input.window.window != 'bunny/3'"
    found = run(session, slot, goes_on=last)
    assert found["ended"] == "Conclude"
    assert found["facts"]["Error"] == "WindowsStopped"


def test_a_window_whose_sandbox_died_twice_leads_to_the_control_run(session, slot):
    found = run(session, slot, dies=True)
    assert found["ended"] == "Control"
    assert found["facts"]["Error"] == "WindowKilledSandbox"
    assert found["facts"]["Cause"] == "Sandbox.Timedout: Task timed out"
