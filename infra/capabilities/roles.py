"""Roles, their permissions, and the cdk-nag findings that a permission causes.

jsii writes the CDK's interfaces as Python protocols whose parameters are named differently in the classes that
implement them (``statement`` against ``_statement``), so a type checker accepts no class as its own interface. The
casts here, and a few in the capabilities, state what holds at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from aws_cdk import CfnElement, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, IConstruct

from infra.nag import acknowledge


def service(name: str) -> iam.IPrincipal:
    """Return an AWS service as a principal (``lambda.amazonaws.com``)."""
    return cast(iam.IPrincipal, iam.ServicePrincipal(name))


def service_role(scope: Construct, name: str, assumed_by: str) -> iam.IRole:
    """Create a role without permissions that one AWS service may assume."""
    return cast(iam.IRole, iam.Role(scope, name, assumed_by=service(assumed_by)))


def role_of(function: lambda_.Function) -> iam.IRole:
    """Return the role of a function; every function that this app creates has one.

    Raises
    ------
    ValueError
        The function was imported without its role.
    """
    if function.role is None:
        raise ValueError(f"{function.node.path} has no role")
    return function.role


def allow(grantee: iam.IGrantable, actions: Sequence[str], resources: Sequence[str]) -> None:
    """Add one statement to the policy of a role, or of a function's role."""
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(actions=list(actions), resources=list(resources))
    )


def acknowledge_wildcard(role: IConstruct, resource: str, reason: str) -> None:
    """Acknowledge that a role's policy names resources by a pattern; `resource` is the granular part of the finding."""
    acknowledge(role.node.find_child("DefaultPolicy"), f"IAM5[{resource}]", reason)


def acknowledge_versions(role: IConstruct, function: lambda_.Function) -> None:
    """Acknowledge that a role's policy covers every version of a function."""
    logical_id = Stack.of(function).get_logical_id(cast(CfnElement, function.node.default_child))
    acknowledge_wildcard(
        role,
        f"Resource::<{logical_id}.Arn>:*",
        "Publishing makes versions whose numbers are not known here; the function is named.",
    )
