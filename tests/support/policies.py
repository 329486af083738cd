"""Evaluates policies of a synthesised template as IAM does: an explicit Deny, else an Allow, else nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.templates import listed

PARTITION, REGION, ACCOUNT = "aws", "eu-central-1", "111122223333"
PSEUDO = {
    "AWS::Partition": PARTITION,
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::URLSuffix": "amazonaws.com",
}
Context = Mapping[str, Any]


def rendered(node: Any) -> Any:
    """Return a part of a template as text: an ARN, or a name in angle brackets where only AWS knows the value."""
    if isinstance(node, list):
        return [rendered(each) for each in node]
    if not isinstance(node, dict):
        return node
    if set(node) == {"Ref"}:
        return PSEUDO.get(node["Ref"], f"<{node['Ref']}>")
    if set(node) == {"Fn::GetAtt"}:
        return f"<{'.'.join(node['Fn::GetAtt'])}>"
    if set(node) == {"Fn::GetStackOutput"}:
        return f"<{node['Fn::GetStackOutput']['OutputName']}>"
    if set(node) == {"Fn::Join"}:
        separator, parts = node["Fn::Join"]
        return separator.join(str(rendered(part)) for part in parts)
    return {key: rendered(value) for key, value in node.items()}


def decision(
    statements: Iterable[Mapping[str, Any]],
    *,
    action: str,
    resource: str,
    service: str = "",
    context: Context | None = None,
) -> str:
    """Return ``Allow``, ``Deny`` or, where no statement applies, ``""``.

    Parameters
    ----------
    service
        The calling AWS service, for a resource's policy; statements of a role name no principal.
    context
        Values of the condition keys of the request.
    """
    effects = {
        each["Effect"]
        for each in rendered(list(statements))
        if _principal_matches(each.get("Principal"), service)
        and any(matches(pattern, action, fold=True) for pattern in listed(each["Action"]))
        and _covers(each, resource)
        and all(
            _holds(operator, key, listed(wanted), context or {})
            for operator, keys in each.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    }
    return "Deny" if "Deny" in effects else "Allow" if "Allow" in effects else ""


def _covers(statement: Mapping[str, Any], resource: str) -> bool:
    if statement.get("NotResource"):
        return not any(matches(pattern, resource) for pattern in listed(statement["NotResource"]))
    return any(matches(pattern, resource) for pattern in listed(statement["Resource"]))


def matches(pattern: str, value: str, *, fold: bool = False) -> bool:
    """Tell whether a value matches a pattern with the wildcards ``*`` and ``?``."""
    text = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(text, value, re.IGNORECASE | re.DOTALL if fold else re.DOTALL) is not None


def _principal_matches(principal: Any, service: str) -> bool:
    if principal is None or principal == "*" or principal == {"AWS": "*"}:
        return True
    return service in listed(principal.get("Service", []))


def _holds(operator: str, key: str, wanted: list[Any], context: Context) -> bool:
    """Tell whether a condition holds; an operator that no policy here uses is an error."""
    every = operator.startswith("ForAllValues:")
    name = operator.removeprefix("ForAllValues:")
    if every:
        return all(_compare(name, wanted, value) for value in listed(context.get(key, [])))
    if name.endswith("IfExists"):
        return key not in context or _compare(name.removesuffix("IfExists"), wanted, context[key])
    return key in context and _compare(name, wanted, context[key])


def _compare(operator: str, wanted: list[Any], value: Any) -> bool:
    if operator in ("StringEquals", "ArnEquals", "Bool"):
        return str(value) in [str(each) for each in wanted]
    if operator in ("StringLike", "ArnLike"):
        return any(matches(str(each), str(value)) for each in wanted)
    raise ValueError(f"the condition operator {operator} is not known here")
