"""The function FrameworkTool, which carries out an operator's framework tool calls and decisions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3

from codec_evolution.adapters.clients import client_config
from codec_evolution.loop.steering import Decisions

READ_TIMEOUT_S = 470
"""Just under the lifetime of a caller that is itself a function of 480 s."""


class FrameworkToolFailed(Exception):
    """The function raised an error; the message is its own."""


class FrameworkTool:
    """The deployed function; implements `steering.Decisions`.

    Parameters
    ----------
    function
        Its name or ARN, with the alias.
    read_timeout_s
        How long to wait for an answer. There is no retry: a decision that takes longer is still being carried out.
    """

    def __init__(self, function: str, read_timeout_s: int = READ_TIMEOUT_S) -> None:
        self._function = function
        self._client = boto3.client(
            "lambda",
            config=client_config(read_timeout_s, attempts=1),
        )

    def decide(self, operation: str, modification_id: str) -> dict[str, Any]:
        """Approve, deny or roll back, and return the item; raises `FrameworkToolFailed`."""
        return self.call({"operation": operation, "modification_id": modification_id})

    def call(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Pass on an operator's tool call or decision and return the item; raises `FrameworkToolFailed`."""
        answer = self._client.invoke(FunctionName=self._function, Payload=json.dumps(event).encode())
        item: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise FrameworkToolFailed(str(item.get("errorMessage", item))[:500])
        return item


if TYPE_CHECKING:
    _decisions: type[Decisions] = FrameworkTool
