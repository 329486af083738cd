"""The alarms: what they watch is emitted, what they say helps, and one of them wakes somebody."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from codec_evolution.loop import metrics

from infra.settings import Settings
from tests.support.assemblies import ALL_ALARMS
from tests.support.policies import ACCOUNT, decision, rendered

Resources = dict[str, dict[str, Any]]
OF_AWS = ("AWS/States", "AWS/SQS", "AWS/EC2", "AWS/Lambda", "AWS/DynamoDB", "AWS/CodeBuild")
KNOWN = {metric.name: metric for metric in metrics.METRICS}
ALARMS = {
    "ExecutionsFailed",
    "ExecutionsTimedOut",
    "AuditsFailed",
    "NoVerdict",
    "MissedTicks",
    "SandboxLayerLost",
    "FailureRate",
    "IdenticalResults",
    "Stagnation",
    "Budget80",
    "Budget100",
    "PausedItself",
    "FunctionErrors",
    "FunctionThrottled",
    "FunctionSlow",
    "TableThrottled",
    "BuildFailed",
    "LostEvents",
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
                assert each["Namespace"] in OF_AWS, name


def test_the_host_is_watched_where_there_is_one(alarms: dict[str, Any], app_resources: Resources) -> None:
    hosts = [name for name, each in app_resources.items() if each["Type"] == "AWS::EC2::Instance"]
    assert ("HostUnhealthy" in alarms) == bool(hosts)


def test_each_alarm_says_what_to_do_and_tells_the_topic(
    alarms: dict[str, Any], app_resources: Resources
) -> None:
    (topic,) = [name for name, each in app_resources.items() if each["Type"] == "AWS::SNS::Topic"]
    for name, alarm in alarms.items():
        # A spent budget is an expected stop, which the dashboard shows and nobody is told.
        told = [] if name == "Budget100" else [{"Ref": topic}]
        assert alarm.get("AlarmActions", []) == alarm.get("OKActions", []) == told, name
        assert len(alarm["AlarmDescription"]) > 100, name
        assert alarm["TreatMissingData"] == "notBreaching", "a loop that is switched off is no fault"


def test_one_alarm_pages_for_what_should_wake_somebody(app_resources: Resources) -> None:
    (paging,) = [each for each in app_resources.values() if each["Type"] == "AWS::CloudWatch::CompositeAlarm"]
    rule = json.dumps(paging["Properties"]["AlarmRule"])
    for name in (
        "ExecutionsFailed",
        "NoVerdict",
        "SandboxLayerLost",
        "HostAway",
        "MissedTicks",
        "PausedItself",
    ):
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
    assembly = synthesised(ALL_ALARMS)
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


@pytest.mark.parametrize(
    ("alarm", "metric", "statistic"),
    [
        ("FunctionErrors", "Errors", "Sum"),
        ("FunctionThrottled", "Throttles", "Sum"),
        ("FunctionSlow", "Duration", "Maximum"),
    ],
)
def test_every_function_is_watched(
    alarms: dict[str, Any], app_resources: Resources, alarm: str, metric: str, statistic: str
) -> None:
    functions = {name for name, each in app_resources.items() if each["Type"] == "AWS::Lambda::Function"}
    stats = [each["MetricStat"] for each in alarms[alarm]["Metrics"] if "MetricStat" in each]
    assert {each["Metric"]["MetricName"] for each in stats} == {metric}
    assert {each["Stat"] for each in stats} == {statistic}
    assert {each["Metric"]["Dimensions"][0]["Value"]["Ref"] for each in stats} == functions


def test_an_alarm_reads_no_more_metrics_than_cloudwatch_takes(alarms: dict[str, Any]) -> None:
    for name, alarm in alarms.items():
        assert sum("MetricStat" in each for each in alarm.get("Metrics", [])) <= 10, name


def test_a_call_is_slow_by_its_own_functions_timeout(
    alarms: dict[str, Any], app_resources: Resources
) -> None:
    expression = next(
        each["Expression"] for each in alarms["FunctionSlow"]["Metrics"] if "Expression" in each
    )
    shares = dict(re.findall(r"FILL\((\w+), 0\) / (\d+)", expression))
    named = {
        each["Id"]: app_resources[each["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Ref"]]
        for each in alarms["FunctionSlow"]["Metrics"]
        if "MetricStat" in each
    }
    assert set(shares) == set(named)
    for name, function in named.items():
        milliseconds = function["Properties"]["Timeout"] * 1000
        assert milliseconds / float(shares[name]) == 100, "the alarm's unit is percent"
    assert alarms["FunctionSlow"]["Threshold"] == 90


def test_both_kinds_of_throttling_of_every_table_are_watched(
    alarms: dict[str, Any], data_resources: Resources
) -> None:
    stats = [
        each["MetricStat"]["Metric"] for each in alarms["TableThrottled"]["Metrics"] if "MetricStat" in each
    ]
    tables = [each for each in data_resources.values() if each["Type"] == "AWS::DynamoDB::GlobalTable"]
    assert len({json.dumps(each["Dimensions"]) for each in stats}) == len(tables)
    assert len(stats) == 2 * len(tables)
    assert {each["MetricName"] for each in stats} == {"ReadThrottleEvents", "WriteThrottleEvents"}


def test_what_nobody_waits_for_and_fails_for_good_reaches_a_queue_that_alarms(
    alarms: dict[str, Any], app_resources: Resources
) -> None:
    """The end of a build and a rollback are asynchronous: without a destination a failure is a line in a log."""
    (queue,) = [name for name in app_resources if re.fullmatch(r"LostEvents[0-9A-F]{8}", name)]
    arn = {"Fn::GetAtt": [queue, "Arn"]}
    kept = [each for each in app_resources.values() if each["Type"] == "AWS::Lambda::EventInvokeConfig"]
    for each in kept:
        assert each["Properties"]["DestinationConfig"]["OnFailure"]["Destination"] == arn
        function = each["Properties"]["FunctionName"]["Ref"]
        role = app_resources[function]["Properties"]["Role"]["Fn::GetAtt"][0]
        assert (
            decision(rights_of(app_resources, role), action="sqs:SendMessage", resource=rendered(arn))
            == "Allow"
        )
    names = {
        re.sub(r"Functions|[0-9A-F]{8}$", "", each["Properties"]["FunctionName"]["Ref"]) for each in kept
    }
    assert names == {"PublishImage", "FrameworkTool"}
    (rule,) = [each for each in app_resources.values() if each["Type"] == "AWS::Events::Rule"]
    assert [each["DeadLetterConfig"]["Arn"] for each in rule["Properties"]["Targets"]] == [arn]
    assert alarms["LostEvents"]["Dimensions"][0]["Value"] == {"Fn::GetAtt": [queue, "QueueName"]}


def test_the_rule_may_leave_an_event_in_the_queue_and_no_other_rule_may(app_resources: Resources) -> None:
    (policy,) = [
        each["Properties"]
        for name, each in app_resources.items()
        if each["Type"] == "AWS::SQS::QueuePolicy" and name.startswith("LostEvents")
    ]
    (rule,) = [name for name, each in app_resources.items() if each["Type"] == "AWS::Events::Rule"]

    def may_send(source: str) -> str:
        return decision(
            policy["PolicyDocument"]["Statement"],
            action="sqs:SendMessage",
            resource=rendered(policy["PolicyDocument"]["Statement"][0]["Resource"]),
            service="events.amazonaws.com",
            context={"aws:SourceArn": source, "aws:SecureTransport": "true"},
        )

    assert may_send(f"<{rule}.Arn>") == "Allow"
    assert may_send("arn:aws:events:eu-central-1:111122223333:rule/other") == ""


def test_a_mail_address_is_subscribed_only_where_one_is_set(
    app_resources: Resources, synthesised: Callable[[Settings], Path]
) -> None:
    kind = "AWS::SNS::Subscription"
    assert kind not in {each["Type"] for each in app_resources.values()}
    assembly = synthesised(ALL_ALARMS)
    resources = json.loads((assembly / "CodecEvolutionApp.template.json").read_text())["Resources"]
    (subscription,) = [each["Properties"] for each in resources.values() if each["Type"] == kind]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "operator@example.org")


def rights_of(resources: Resources, role: str) -> list[dict[str, Any]]:
    return [
        statement
        for each in resources.values()
        if each["Type"] == "AWS::IAM::Policy" and {"Ref": role} in each["Properties"]["Roles"]
        for statement in each["Properties"]["PolicyDocument"]["Statement"]
    ]
