"""Log groups of the app: each keeps its lines for three months; all but the host's are deleted with the app."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from constructs import Construct

RETENTION = logs.RetentionDays.THREE_MONTHS
"""Of every log group."""


def log_group(
    scope: Construct, name: str, *, log_group_name: str | None = None, outlives_app: bool = False
) -> logs.LogGroup:
    """Create a log group.

    Parameters
    ----------
    name
        Prefix of the construct's id, which ends with ``Logs``.
    log_group_name
        Physical name; None lets CloudFormation choose.
    outlives_app
        Whether the group stays when the app is destroyed.
    """
    return logs.LogGroup(
        scope,
        f"{name}Logs",
        log_group_name=log_group_name,
        retention=RETENTION,
        removal_policy=RemovalPolicy.RETAIN if outlives_app else RemovalPolicy.DESTROY,
    )
