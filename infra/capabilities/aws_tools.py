"""What FrameworkTool may change of the deployed system: one set of alarms, some settings, the code of Plan.

The host judges every such call by the guard's table ``aws``; a test compares that table with these rights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from aws_cdk import ArnFormat, CfnElement, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from codec_evolution.framework.tool_specs import PLANNERS_ALARM
from constructs import Construct

from infra.capabilities.roles import role_of
from infra.nag import acknowledge

CONFIGURABLE = ("OpenCycle", "Plan", "Commit", "CloseCycle")
"""Functions whose size and log retention may change; those that judge, repair or show are not among them."""
ADJUSTABLE_ALARMS = ("FailureRate", "IdenticalResults", "HostAway")
"""Alarms of the deployment whose threshold may change."""


def serve_aws_tools(
    functions: Mapping[str, lambda_.Function], *, schedules: Sequence[str], alarms: str, topic: sns.Topic
) -> None:
    """Let FrameworkTool change these resources, and tell it their names.

    Parameters
    ----------
    functions
        All zip functions, by name.
    schedules
        Names of the schedules, one for each island.
    alarms
        What the names of the deployment's alarms begin with.
    """
    tool = functions["FrameworkTool"]
    stack = Stack.of(tool)
    named = {name: functions[name] for name in CONFIGURABLE}
    tool.add_environment(
        "DEPLOYED_RESOURCES",
        stack.to_json_string(
            {
                "functions": {name: each.function_name for name, each in named.items()},
                "schedule": ",".join(schedules),
                "alarms": alarms,
                "topic": topic.topic_arn,
            }
        ),
    )
    # A policy of its own: a role's inline policies hold 10,240 characters in all.
    policy = iam.ManagedPolicy(
        tool,
        "RoleAwsToolsPolicy",
        description="Codec evolution: what the framework tools may change of the deployed system",
        roles=[role_of(tool)],
    )
    _allow_alarms(policy, alarms)
    _allow_sizes(policy, named)
    _allow_logs(policy, named)
    _allow_schedules(policy, schedules)


def _allow_alarms(policy: iam.ManagedPolicy, prefix: str) -> None:
    own, others = f"{prefix}-{PLANNERS_ALARM}-*", [f"{prefix}-{name}" for name in ADJUSTABLE_ALARMS]
    _allow(policy, ["cloudwatch:PutMetricAlarm"], [_alarm(policy, name) for name in (own, *others)])
    _allow(policy, ["cloudwatch:DeleteAlarms"], [_alarm(policy, own)])
    # Listing by a prefix is authorised against all alarms.
    _allow(policy, ["cloudwatch:DescribeAlarms"], [_alarm(policy, "*")])
    for name, reason in {
        own: "The planner chooses the end of the name; the prefix holds nothing but its alarms.",
        "*": "DescribeAlarms is authorised against all alarms of the account; it reads them and changes none.",
    }.items():
        finding = f"Resource::arn:<AWS::Partition>:cloudwatch:<AWS::Region>:<AWS::AccountId>:alarm:{name}"
        acknowledge(policy, f"IAM5[{finding}]", reason)


def _alarm(scope: Construct, name: str) -> str:
    return Stack.of(scope).format_arn(
        service="cloudwatch",
        resource="alarm",
        resource_name=name,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


def _allow_sizes(policy: iam.ManagedPolicy, functions: Mapping[str, lambda_.Function]) -> None:
    arns = [each.function_arn for each in functions.values()]
    versions = [f"{each}:*" for each in arns]
    # Neither another layer nor another network: that would be other code, or another reach.
    fixed = {"Null": {"lambda:Layer": "true", "lambda:VpcIds": "true"}}
    _allow(policy, ["lambda:UpdateFunctionConfiguration"], arns, conditions=fixed)
    _allow(
        policy,
        [
            "lambda:GetAlias",
            "lambda:GetFunction",
            "lambda:GetFunctionConfiguration",
            "lambda:InvokeFunction",
            # What the local emulator asks for where AWS asks for GetAlias and UpdateAlias; it only reads.
            "lambda:ListAliases",
            "lambda:PublishVersion",
            "lambda:UpdateAlias",
        ],
        [*arns, *versions],
    )
    for each in functions.values():
        acknowledge(
            policy,
            f"IAM5[Resource::<{Stack.of(policy).get_logical_id(cast(CfnElement, each.node.default_child))}.Arn>:*]",
            "Publishing makes versions whose numbers are not known here; the function is named.",
        )


def _allow_logs(policy: iam.ManagedPolicy, functions: Mapping[str, lambda_.Function]) -> None:
    _allow(policy, ["logs:PutRetentionPolicy"], [each.log_group.log_group_arn for each in functions.values()])
    every = Stack.of(policy).format_arn(
        service="logs", resource="log-group", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
    )
    _allow(policy, ["logs:DescribeLogGroups"], [every])
    acknowledge(
        policy,
        "IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:*]",
        "DescribeLogGroups is authorised against all log groups of the account; it reads names and no line of a log.",
    )


def _allow_schedules(policy: iam.ManagedPolicy, names: Sequence[str]) -> None:
    schedules = [
        Stack.of(policy).format_arn(service="scheduler", resource="schedule", resource_name=f"default/{name}")
        for name in names
    ]
    _allow(policy, ["scheduler:GetSchedule", "scheduler:UpdateSchedule"], schedules)


def _allow(
    policy: iam.ManagedPolicy,
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    conditions: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    policy.add_statements(
        iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions)
    )
