"""Alarms on the services that the loop runs on: functions, tables, image builds, and events that were given up.

Each covers its resources in one alarm of metric math, which CloudWatch bills by the metrics that it reads. An alarm
reads at most ten.
"""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

from infra.capabilities.alarm_rule import Rule

PERIOD = Duration.minutes(15)
"""Long enough that a retried error of one cycle is not an alarm."""

ERRORS, THROTTLES = 5, 10
"""Errors and throttles within `PERIOD` that raise an alarm: single ones are retried."""

SLOW_PERCENT = 90
"""Share of a function's timeout from which its longest call raises an alarm."""


def service_rules(
    functions: Mapping[str, lambda_.Function],
    tables: Mapping[str, dynamodb.ITable],
    project: codebuild.Project,
    lost_events: sqs.IQueue,
) -> dict[str, Rule]:
    """Return the rules.

    Parameters
    ----------
    functions, tables
        By name; at most ten functions and five tables.
    project
        Builds the sandbox image.
    lost_events
        Receives the events that Lambda and EventBridge gave up.
    """
    return {
        **_function_rules(functions),
        "TableThrottled": Rule(
            _throttled(tables),
            1,
            "DynamoDB throttled requests to a table. Reads and writes are retried, so look whether it repeats, and "
            "for what writes so much: the loop needs a few requests a second at most.",
            pages=False,
        ),
        "BuildFailed": Rule(
            project.metric_failed_builds(period=PERIOD, statistic="Sum"),
            1,
            "A build of the sandbox image failed, and the benchmark keeps its image. Read the build's log; the "
            "modification that it was started for says what was approved.",
            pages=False,
        ),
        "LostEvents": Rule(
            lost_events.metric_approximate_number_of_messages_visible(
                period=Duration.minutes(5), statistic="Maximum"
            ),
            1,
            "The end of an image build or a rollback was not handled after all retries. Read the message in the queue "
            "LostEvents and the log of the function that it names, repeat what it asks for, then purge the queue.",
            pages=False,
        ),
    }


def _function_rules(functions: Mapping[str, lambda_.Function]) -> dict[str, Rule]:
    return {
        "FunctionErrors": Rule(
            _sum(
                {_id(name): each.metric_errors(period=PERIOD) for name, each in functions.items()}, "errors"
            ),
            ERRORS,
            "The functions failed several times in a quarter of an hour. Plot Errors by function to find which, and "
            "read its log; a candidate that kills the sandbox counts as an error of the benchmark.",
            pages=False,
        ),
        "FunctionThrottled": Rule(
            _sum(
                {_id(name): each.metric_throttles(period=PERIOD) for name, each in functions.items()},
                "throttles",
            ),
            THROTTLES,
            "Lambda refused invocations because no concurrency was left. Lower slots or concurrency, or ask for a "
            "higher quota; what else runs in the account takes from the same limit.",
            pages=False,
        ),
        "FunctionSlow": Rule(
            _longest(functions),
            SLOW_PERCENT,
            f"A function's longest call took {SLOW_PERCENT} % or more of its timeout; the next one may be cut off. "
            "Plot Duration by function: lower benchmark_cpu_s for the benchmark, planner_max_tokens for Plan.",
            pages=False,
        ),
    }


def _id(name: str) -> str:
    """Return a name as CloudWatch takes it for a metric of an expression: it begins with a lower-case letter."""
    return name[0].lower() + name[1:]


def _sum(metrics: Mapping[str, cw.IMetric], label: str) -> cw.MathExpression:
    return cw.MathExpression(
        expression=" + ".join(f"FILL({name}, 0)" for name in metrics),
        using_metrics=dict(metrics),
        label=label,
        period=PERIOD,
    )


def _longest(functions: Mapping[str, lambda_.Function]) -> cw.MathExpression:
    """Return the longest call of any function, in percent of the function's timeout."""
    timeouts = {name: each.timeout for name, each in functions.items()}
    shares = [
        f"FILL({_id(name)}, 0) / {timeout.to_milliseconds() / 100:g}"
        for name, timeout in timeouts.items()
        if timeout is not None
    ]
    return cw.MathExpression(
        expression=f"MAX([{', '.join(shares)}])",
        using_metrics={
            _id(name): each.metric_duration(period=PERIOD, statistic="Maximum")
            for name, each in functions.items()
        },
        label="longest call in percent of its timeout",
        period=PERIOD,
    )


def _throttled(tables: Mapping[str, dynamodb.ITable]) -> cw.MathExpression:
    metrics = {
        f"{_id(name)}{kind}": table.metric(f"{kind}ThrottleEvents", period=PERIOD, statistic="Sum")
        for name, table in tables.items()
        for kind in ("Read", "Write")
    }
    return _sum(metrics, "throttled requests")
