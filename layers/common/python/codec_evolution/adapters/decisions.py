"""Lambda: decisions about framework modifications, carried out by the function that serves the planner's calls."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.config import Config

CLIENT_CONFIG = Config(connect_timeout=5, read_timeout=290, retries={"total_max_attempts": 1})
"""One attempt: a decision that takes long is going on, not lost."""


class DecisionFailed(Exception):
    """The function that carries out decisions failed; the message is its own."""


class FrameworkToolDecisions:
    """Implements `steering.Decisions`."""

    def __init__(self, function: str) -> None:
        self._function = function
        self._client = boto3.client("lambda", config=CLIENT_CONFIG)

    def decide(self, operation: str, modification_id: str) -> dict[str, Any]:
        """Approve, deny or roll back; raises `DecisionFailed`."""
        event = {"operation": operation, "modification_id": modification_id}
        answer = self._client.invoke(FunctionName=self._function, Payload=json.dumps(event).encode())
        item: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise DecisionFailed(str(item.get("errorMessage", item))[:500])
        return item
