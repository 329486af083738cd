"""The alarms: what they watch is emitted, what they say helps, and one of them wakes somebody."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from codec_evolution.loop import metrics

from infra.settings import Settings
from tests.support.policies import ACCOUNT, decision, rendered

Resources = dict[str, dict[str, Any]]
KNOWN = {metric.name: metric for metric in metrics.METRICS}
ALARMS = {
    "ExecutionsFailed",
    "ExecutionsTimedOut",
    "NoVerdict",
    "MissedTicks",
    "SandboxLayerLost",
    "FailureRate",
    "IdenticalResults",
    "Stagnation",
    "Budget80",
    "Budget100",
}


def alarms_of(resources: Resources) -> dict[str, dict[str, Any]]:
    prefix = "CodecEvolutionApp-"
    return {
        each["Properties"]["AlarmName"].removeprefix(prefix): each["Properties"]
        for each in resources.values()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    }


@pytest.fixture(scope="session")
def alarms(app_resources: Resources) -> dict[str, dict[str, Any]]:
    return alarms_of(app_resources)


def watched(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of an alarm, each with its name, namespace and dimensions."""
    if "MetricName" in alarm:
        return [alarm]
    return [each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each]


def test_all_alarms_are_there(alarms: dict[str, Any]) -> None:
    assert set(alarms) >= ALARMS


def test_every_metric_of_an_alarm_is_emitted_or_is_one_of_aws(alarms: dict[str, Any]) -> None:
    for name, alarm in alarms.items():
        for each in watched(alarm):
            if each["Namespace"] == metrics.NAMESPACE:
                at = {dimension["Name"] for dimension in each["Dimensions"]}
                assert at == set(KNOWN[each["MetricName"]].dimensions), name
            else:
                assert each["Namespace"] in ("AWS/States", "AWS/SQS", "AWS/EC2"), name


def test_the_host_is_watched_where_there_is_one(alarms: dict[str, Any], app_resources: Resources) -> None:
    hosts = [name for name, each in app_resources.items() if each["Type"] == "AWS::EC2::Instance"]
    assert ("HostUnhealthy" in alarms) == bool(hosts)


def test_each_alarm_says_what_to_do_and_tells_the_topic(
    alarms: dict[str, Any], app_resources: Resources
) -> None:
    (topic,) = [name for name, each in app_resources.items() if each["Type"] == "AWS::SNS::Topic"]
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == [{"Ref": topic}], name
        assert len(alarm["AlarmDescription"]) > 100, name
        assert alarm["TreatMissingData"] == "notBreaching", "a loop that is switched off is no fault"


def test_one_alarm_pages_for_what_should_wake_somebody(app_resources: Resources) -> None:
    (paging,) = [each for each in app_resources.values() if each["Type"] == "AWS::CloudWatch::CompositeAlarm"]
    rule = json.dumps(paging["Properties"]["AlarmRule"])
    for name in ("ExecutionsFailed", "NoVerdict", "SandboxLayerLost", "HostAway", "MissedTicks"):
        assert f"Alarms{name}" in rule
    for name in ("Stagnation", "Budget80", "Budget100", "FailureRate"):
        assert f"Alarms{name}" not in rule


@pytest.mark.parametrize(("name", "threshold"), [("Budget80", 80), ("Budget100", 100)])
def test_the_budget_alarms_watch_the_share_of_the_day(
    alarms: dict[str, Any], name: str, threshold: int
) -> None:
    assert alarms[name]["MetricName"] == "BudgetUsed"
    assert alarms[name]["Statistic"] == "Maximum"
    assert alarms[name]["Threshold"] == threshold


def test_silence_is_an_alarm_only_while_the_loop_ticks(alarms: dict[str, Any]) -> None:
    names = {each["MetricName"] for each in watched(alarms["NoVerdict"])}
    outcomes = {
        dimension["Value"]
        for each in watched(alarms["NoVerdict"])
        for dimension in each["Dimensions"]
        if dimension["Name"] == "Outcome"
    }
    assert names == {"Ticks", "Attempts"}
    assert outcomes == {"opened", "busy"}, "paused and spent ticks expect no verdict"


def test_periods_of_an_alarm_stay_within_what_cloudwatch_evaluates(alarms: dict[str, Any]) -> None:
    for name, alarm in alarms.items():
        periods = [alarm["Period"]] if "Period" in alarm else []
        periods += [each["MetricStat"]["Period"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
        assert max(periods) * alarm["EvaluationPeriods"] <= 86_400, name


def test_a_commit_is_waited_for_only_where_there_is_a_repository(
    alarms: dict[str, Any], synthesised: Callable[[Settings], Path]
) -> None:
    assert "AdoptionWaitsForCommit" not in alarms
    assembly = synthesised(Settings(github_repository="owner/name"))
    resources = json.loads((assembly / "CodecEvolutionApp.template.json").read_text())["Resources"]
    assert alarms_of(resources)["AdoptionWaitsForCommit"]["MetricName"] == "CommitsWaiting"


def test_the_topic_takes_the_messages_of_this_accounts_alarms_and_no_others(app_resources: Resources) -> None:
    (policy,) = [each for each in app_resources.values() if each["Type"] == "AWS::SNS::TopicPolicy"]
    (topic,) = policy["Properties"]["Topics"]

    def may_publish(**context: str) -> str:
        return decision(
            policy["Properties"]["PolicyDocument"]["Statement"],
            action="sns:Publish",
            resource=rendered(topic),
            service="cloudwatch.amazonaws.com",
            context={key.replace("_", ":"): value for key, value in context.items()},
        )

    assert may_publish(aws_SourceAccount=ACCOUNT, aws_SecureTransport="true") == "Allow"
    assert may_publish(aws_SourceAccount="999999999999", aws_SecureTransport="true") == ""
    assert may_publish(aws_SourceAccount=ACCOUNT, aws_SecureTransport="false") == "Deny"
