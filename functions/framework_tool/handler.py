"""FrameworkTool: one tool call of the planner on the framework."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.contracts import check_size

logger = Logger(service="framework_tool")


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Deny every call: no framework host is deployed."""
    answer = {
        "modification_id": f"{event['attempt_id']}/{event['round']}",
        "status": "denied",
        "message": "framework_tools is off: this deployment has no framework host",
    }
    logger.info("tool", extra=answer)
    check_size(answer, "framework_tool")
    return answer
