"""Permissions that the emulator cannot check by resource.

It does not read names out of these services' requests, and it has no aliases of state machines.

It enforces the rest as AWS does. What a policy names on AWS is held by the tests of the templates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codec_evolution.loop.islands import MAX_ISLANDS, island_names

UNNAMED = ("cloudwatch:", "logs:DescribeLogGroups", "logs:PutRetentionPolicy", "states:StartExecution")
"""Actions, or what they begin with, that the emulator authorises against ``*`` or an ARN of another form."""
LEADING_KEYS = "dynamodb:LeadingKeys"
"""The condition on the lineages whose items a function may write."""
POLICIES = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")


def widen(resources: Mapping[str, Any]) -> None:
    """Let statements that hold nothing but such actions apply to every resource; the template is changed in place.

    A run chooses how many islands there are, so functions may write items of every island locally.
    """
    for resource in resources.values():
        if resource["Type"] not in POLICIES:
            continue
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            if statement["Effect"] == "Allow" and all(each.startswith(UNNAMED) for each in actions):
                statement["Resource"] = "*"
            for condition in statement.get("Condition", {}).values():
                if LEADING_KEYS in condition:
                    first = condition[LEADING_KEYS][0]
                    condition[LEADING_KEYS] = list(island_names(first, MAX_ISLANDS))
