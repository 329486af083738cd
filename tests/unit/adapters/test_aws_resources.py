"""Alarms and deployed code as the framework tools change them: bounded, repeatable, undone from where they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from codec_evolution.adapters.aws_config import AwsConfig
from codec_evolution.adapters.aws_resources import DeployedCode, DeployedNames, PlannersAlarms
from codec_evolution.ports import ChangeRefused, PublishRefused

from tests.support.aws import aws_in_process

NAMES = DeployedNames({"Plan": "App-Plan-X"}, "App-EveryMinute", "App", "arn:aws:sns:eu-central-1:1:topic")
ALARM = {
    "name": "ManyTimeouts",
    "metric": "Failures",
    "dimension": "timeout",
    "dimension_name": "FailureKind",
    "statistic": "Sum",
    "comparison": "at_most",
    "threshold": 5,
    "period_minutes": 5,
    "periods": 3,
    "most": 2,
    "reason": "Watch it",
}


@pytest.fixture(scope="module")
def region() -> Iterator[str]:
    with aws_in_process("eu-central-1"):
        yield "eu-central-1"


@pytest.fixture
def alarms(region: str) -> Iterator[PlannersAlarms]:
    yield PlannersAlarms(NAMES, "main")
    client = boto3.client("cloudwatch")
    client.delete_alarms(AlarmNames=[each["AlarmName"] for each in client.describe_alarms()["MetricAlarms"]])


def test_an_alarm_is_created_once_and_deleted_by_undoing(alarms):
    assert alarms.current(ALARM) == ""
    assert alarms.change(ALARM, "") == alarms.change(ALARM, "") == "App-Planner-ManyTimeouts"
    (made,) = boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert (made["ComparisonOperator"], made["Period"], made["EvaluationPeriods"]) == (
        "LessThanOrEqualToThreshold",
        300,
        3,
    )
    assert made["AlarmActions"] == [NAMES.topic]
    alarms.undo(ALARM, "", "App-Planner-ManyTimeouts")
    alarms.undo(ALARM, "", "App-Planner-ManyTimeouts")
    assert boto3.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_no_more_alarms_than_the_guard_allows_and_none_is_replaced(alarms):
    for name in ("One", "Two"):
        alarms.change(ALARM | {"name": name}, "")
    with pytest.raises(ChangeRefused) as refused:
        alarms.change(ALARM | {"name": "Three"}, "")
    assert refused.value.rule == "alarm-limit"
    with pytest.raises(ChangeRefused) as refused:
        alarms.current(ALARM | {"name": "Two"})
    assert refused.value.rule == "alarm-exists"


def test_alarms_of_the_deployment_do_not_count(alarms):
    own = {"MetricName": "X", "Namespace": "N", "Period": 60, "EvaluationPeriods": 1, "Statistic": "Sum"}
    for name in ("App-FailureRate", "App-Budget80", "App-HostAway"):
        boto3.client("cloudwatch").put_metric_alarm(
            AlarmName=name, Threshold=1, ComparisonOperator="GreaterThanThreshold", **own
        )
    assert alarms.current(ALARM) == ""


class Publisher:
    """Publishes by counting; may refuse."""

    refusal: Exception | None = None

    def __init__(self) -> None:
        self.live, self.newest = "3", 3

    def live_version(self, function: str) -> str:
        return self.live

    def publish_one(self, function: str, code_sha256: dict[str, str]) -> None:
        if self.refusal:
            raise self.refusal
        self.newest += 1
        self.live = str(self.newest)

    def back_to(self, function: str, version: str) -> None:
        self.live = version


CODE = {"function_name": "Plan", "code_sha256": {}}


def test_the_version_before_serves_again_unless_a_newer_one_does():
    publisher: Any = Publisher()
    code = DeployedCode(NAMES, publisher)
    assert (code.current(CODE), code.change(CODE, "3")) == ("3", "4")
    publisher.live = "5"
    with pytest.raises(ChangeRefused) as refused:
        code.undo(CODE, "3", "4")
    assert refused.value.rule == "aws-changed"
    publisher.live = "4"
    code.undo(CODE, "3", "4")
    code.undo(CODE, "3", "4")
    assert publisher.live == "3"


@pytest.mark.parametrize(
    ("error", "rule"),
    [
        (PublishRefused("Plan does not come up"), "release"),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "UpdateFunctionCode"), "aws"),
    ],
)
def test_what_fails_is_told_by_its_rule(error, rule):
    publisher: Any = Publisher()
    publisher.refusal = error
    with pytest.raises(ChangeRefused) as refused:
        DeployedCode(NAMES, publisher).change(CODE, "3")
    assert refused.value.rule == rule


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("function.Conclude.memory_mb", "aws-absent"),
        ("alarm.FailureRate.threshold", "aws-absent"),
        ("function.Plan.role", "config-never"),
        ("schedule.rate_minutes", "aws"),
    ],
)
def test_a_setting_that_is_not_there_is_refused_by_name(region, key, rule):
    with pytest.raises(ChangeRefused) as refused:
        AwsConfig(NAMES).current({"key": key, "value": 1})
    assert refused.value.rule == rule


ISLANDS = DeployedNames({}, "App-EveryMinute,App-EveryMinute-2", "App", NAMES.topic)
FIVE = {"key": "schedule.rate_minutes", "value": 5}


def rates() -> list[str]:
    client = boto3.client("scheduler")
    return [client.get_schedule(Name=name)["ScheduleExpression"] for name in ISLANDS.schedule.split(",")]


@pytest.fixture
def schedules(region: str) -> Iterator[Any]:
    client = boto3.client("scheduler")
    for name in ISLANDS.schedule.split(","):
        target = {"Arn": "arn:aws:states:eu-central-1:1:stateMachine:X", "RoleArn": "arn:aws:iam::1:role/X"}
        window = {"Mode": "OFF"}
        client.create_schedule(
            Name=name, ScheduleExpression="rate(1 minute)", FlexibleTimeWindow=window, Target=target
        )
    yield client
    for name in ISLANDS.schedule.split(","):
        client.delete_schedule(Name=name)


def test_the_rate_is_that_of_every_islands_schedule(schedules):
    config = AwsConfig(ISLANDS)
    assert (config.current(FIVE), config.change(FIVE, "1"), config.change(FIVE, "1")) == ("1", "5", "5")
    assert rates() == ["rate(5 minutes)"] * 2
    config.undo(FIVE, "1", "5")
    assert rates() == ["rate(1 minute)"] * 2


def test_a_schedule_that_cannot_be_changed_leaves_the_others_as_they_were(schedules):
    config, update = AwsConfig(ISLANDS), schedules.update_schedule

    def refuse_the_second(**wanted: Any) -> Any:
        if wanted["Name"].endswith("-2"):
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateSchedule")
        return update(**wanted)

    config._scheduler = SimpleNamespace(
        get_schedule=schedules.get_schedule, update_schedule=refuse_the_second
    )
    with pytest.raises(ChangeRefused, match="ThrottlingException"):
        config.change(FIVE, "1")
    assert rates() == ["rate(1 minute)"] * 2


def test_schedules_with_different_rates_are_refused_by_name(schedules):
    AwsConfig(replace(ISLANDS, schedule="App-EveryMinute-2")).change(FIVE, "1")
    with pytest.raises(ChangeRefused, match="differs between the islands: 1, 5") as refused:
        AwsConfig(ISLANDS).current(FIVE)
    assert refused.value.rule == "aws-changed"


def test_a_change_that_was_cut_short_between_two_islands_goes_on(schedules):
    AwsConfig(replace(ISLANDS, schedule="App-EveryMinute")).change(FIVE, "1")
    assert AwsConfig(ISLANDS).change(FIVE, "1") == "5"
    assert rates() == ["rate(5 minutes)"] * 2
