"""Islands in the templates: a schedule, alarms and rights for each lineage, and for no other one."""

from __future__ import annotations

import json
from typing import Any

from tests.support.policies import REGION, rendered
from tests.support.templates import Resources, listed, of_type, statements

NAMES = ["main", "main-2", "main-3"]


def ticks(resources: Resources) -> dict[str, dict[str, Any]]:
    """Return what each schedule starts, by the schedule's name."""
    return {
        each["Properties"]["Name"]: json.loads(rendered(each["Properties"]["Target"]["Input"]))
        for each in of_type(resources, "AWS::Scheduler::Schedule")
    }


def test_each_island_has_a_schedule_that_starts_a_cycle_of_its_lineage(crowd_resources: Resources) -> None:
    found = ticks(crowd_resources)
    assert {name: json.loads(each["Input"]) for name, each in found.items()} == {
        "CodecEvolutionApp-EveryMinute": {"lineage": "main"},
        "CodecEvolutionApp-EveryMinute-2": {"lineage": "main-2"},
        "CodecEvolutionApp-EveryMinute-3": {"lineage": "main-3"},
    }
    assert len({each["StateMachineArn"] for each in found.values()}) == 1
    assert {each["Properties"]["State"] for each in of_type(crowd_resources, "AWS::Scheduler::Schedule")} == {
        "DISABLED"
    }


def test_the_pause_switches_every_schedule_and_no_other(crowd_resources: Resources) -> None:
    (switched,) = [
        each["Resource"]
        for each in statements(crowd_resources, "FunctionsActions")
        if "scheduler:UpdateSchedule" in each["Action"]
    ]
    names = [rendered(each).rsplit("/", 1)[1] for each in listed(switched)]
    assert sorted(names) == sorted(ticks(crowd_resources))
    (variables,) = [
        each["Properties"]["Environment"]["Variables"]
        for name, each in crowd_resources.items()
        if each["Type"] == "AWS::Lambda::Function" and name.startswith("FunctionsActions")
    ]
    assert variables["SCHEDULE_NAME"].split(",") == names


def test_the_tool_that_changes_the_rate_reaches_every_schedule_and_no_other(
    crowd_resources: Resources,
) -> None:
    (policy,) = [
        each["Properties"]["PolicyDocument"]["Statement"]
        for each in of_type(crowd_resources, "AWS::IAM::ManagedPolicy")
        if "scheduler:UpdateSchedule" in json.dumps(each)
    ]
    (switched,) = [each["Resource"] for each in policy if "scheduler:UpdateSchedule" in each["Action"]]
    assert sorted(rendered(each).rsplit("/", 1)[1] for each in switched) == sorted(ticks(crowd_resources))
    (tool,) = [
        each["Properties"]["Environment"]["Variables"]
        for name, each in crowd_resources.items()
        if each["Type"] == "AWS::Lambda::Function" and name.startswith("FunctionsFrameworkTool")
    ]
    told = json.loads(rendered(tool["DEPLOYED_RESOURCES"]))
    assert told["schedule"].split(",") == list(ticks(crowd_resources))


def test_functions_write_items_of_the_islands_only(
    crowd_resources: Resources, app_resources: Resources
) -> None:
    def lineages(resources: Resources) -> set[str]:
        found = {
            tuple(condition["dynamodb:LeadingKeys"])
            for function in ("OpenCycle", "Plan", "Conclude", "Commit", "CloseCycle", "Actions")
            for each in statements(resources, f"Functions{function}")
            for condition in each.get("Condition", {}).values()
            if "dynamodb:LeadingKeys" in condition
        }
        (keys,) = found
        return set(keys)

    assert lineages(crowd_resources) == set(NAMES)
    assert lineages(app_resources) == {"main"}


def test_each_island_is_watched_by_alarms_of_its_own_and_shared_things_once(
    crowd_resources: Resources, app_resources: Resources
) -> None:
    def names(resources: Resources) -> set[str]:
        return {each["Properties"]["AlarmName"] for each in of_type(resources, "AWS::CloudWatch::Alarm")}

    own = {"NoVerdict", "PausedItself", "SandboxLayerLost", "FailureRate", "IdenticalResults", "Stagnation"}
    added = {f"CodecEvolutionApp-{name}-{number}" for name in own for number in (2, 3)}
    assert names(crowd_resources) - names(app_resources) == added
    (alarm,) = [
        each["Properties"]
        for each in of_type(crowd_resources, "AWS::CloudWatch::Alarm")
        if each["Properties"]["AlarmName"] == "CodecEvolutionApp-PausedItself-3"
    ]
    assert alarm["Dimensions"] == [{"Name": "Lineage", "Value": "main-3"}]
    assert alarm["AlarmDescription"].startswith("Lineage main-3: The loop has paused itself")
    (paging,) = of_type(crowd_resources, "AWS::CloudWatch::CompositeAlarm")
    rule = json.dumps(paging["Properties"]["AlarmRule"])
    assert "PausedItself3" in rule and "Stagnation2" not in rule


def test_each_island_has_a_dashboard_of_its_lineage(crowd_resources: Resources) -> None:
    bodies = {
        rendered(each["Properties"]["DashboardName"]): str(rendered(each["Properties"]["DashboardBody"]))
        for each in of_type(crowd_resources, "AWS::CloudWatch::Dashboard")
    }
    assert list(bodies) == [f"CodecEvolutionApp-{REGION}{end}" for end in ("", "-2", "-3")]
    for lineage, body in zip(NAMES, bodies.values(), strict=True):
        widgets = [each for each in json.loads(body)["widgets"] if each["type"] == "custom"]
        assert {each["properties"]["params"]["lineage"] for each in widgets} == {lineage}
        assert f'"Lineage","{lineage}"' in body
        assert not any(f'"Lineage","{other}"' in body for other in NAMES if other != lineage)
