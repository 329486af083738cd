"""Reads resources and rights out of a synthesised template."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Resources = dict[str, dict[str, Any]]


def of_type(resources: Resources, kind: str) -> Iterator[dict[str, Any]]:
    return (resource for resource in resources.values() if resource["Type"] == kind)


def named(resources: Resources, kind: str, part: str) -> dict[str, Any]:
    found = [each for name, each in resources.items() if each["Type"] == kind and part in name]
    assert len(found) == 1, f"{len(found)} resources of {kind} with {part} in their name"
    return found[0]


def statements(resources: Resources, role: str) -> list[dict[str, Any]]:
    policies = [
        named(resources, "AWS::IAM::Policy", f"{role}RoleDefaultPolicy"),
        *(each for name, each in resources.items() if f"{role}RoleAwsToolsPolicy" in name),
    ]
    found = [each for policy in policies for each in policy["Properties"]["PolicyDocument"]["Statement"]]
    return [
        {**each, "Action": listed(each["Action"]), "Resource": listed(each.get("Resource", []))}
        for each in found
    ]


def allowed(resources: Resources, role: str) -> set[str]:
    return {
        action
        for each in statements(resources, role)
        if each["Effect"] == "Allow"
        for action in each["Action"]
    }


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
