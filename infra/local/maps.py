"""Distributed Maps, of which the emulator runs JSONPath only: it ignores the items and variables of JSONata.

Locally they become inline Maps. The emulator runs any number of iterations of those at the same time, all in one
execution. Child executions, tolerated failures and permissions exist only on AWS; tests hold their definition.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from infra.errors import UserError

DISTRIBUTED = re.compile(r'"ProcessorConfig":\{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"\}')
"""The configuration of a Distributed Map, as the CDK writes it."""
INLINE = '"ProcessorConfig":{"Mode":"INLINE"}'
"""What takes its place."""


def make_inline(resources: Mapping[str, Any]) -> None:
    """Make every Distributed Map of the state machines an inline one; the template is changed in place.

    Raises
    ------
    UserError
        A Distributed Map is configured in a way that has no local form.
    """
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] != "AWS::StepFunctions::StateMachine" or "DefinitionString" not in properties:
            continue
        properties["DefinitionString"] = _inline(properties["DefinitionString"])
        if "DISTRIBUTED" in json.dumps(properties["DefinitionString"]):
            raise UserError(f"no local form is known for the Distributed Map of {name}")


def _inline(node: Any) -> Any:
    if isinstance(node, str):
        return DISTRIBUTED.sub(INLINE, node)
    if isinstance(node, list):
        return [_inline(part) for part in node]
    return {key: _inline(part) for key, part in node.items()}
