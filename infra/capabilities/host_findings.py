"""The findings of cdk-nag on the orchestrator host, each with the reason why it is acceptable."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam

from infra.capabilities.grants import objects_finding
from infra.capabilities.roles import acknowledge_wildcard
from infra.data_stack import DataStack
from infra.nag import acknowledge


def acknowledge_instance(instance: ec2.Instance) -> None:
    """Acknowledge that the instance is replaceable, and watched by its status checks alone."""
    acknowledge(
        instance,
        "EC28",
        "The alarms on the host watch its status checks, which EC2 reports every minute without detailed "
        "monitoring; that costs two dollars a month and shows nothing else that anybody looks at.",
    )
    acknowledge(
        instance,
        "EC29",
        "The instance is replaced by deployments and removed by `make destroy`, which termination protection would "
        "both end in failure; what it knows is in the tables and the bucket.",
    )


def acknowledge_host_rights(role: iam.IRole, data: DataStack) -> None:
    """Acknowledge the patterns in the host's policy."""
    acknowledge_wildcard(
        role,
        "Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:*",
        "DescribeLogGroups is authorised against all log groups of the account; it reads names and no line of a log.",
    )
    acknowledge_wildcard(
        role,
        "Resource::*",
        "These are the actions by which the Systems Manager agent registers and takes commands; they offer no "
        "resource to name.",
    )
    for part in ("requests", "overlay", "results"):
        acknowledge_wildcard(
            role,
            objects_finding(data, f"framework/{part}/*"),
            "Calls, results and changed files are keyed by call and path below this one prefix of the bucket.",
        )
