"""FrameworkTool as the local stack runs it: the deployed handler over a journalled table.

The lowered function starts this module instead of its own ``handler``, which lies beside it on the path.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

from codec_evolution.repair.tool_service import ToolService

from infra.local.modification_journal import Journalled

production = import_module("handler")
"""``functions/framework_tool/handler.py``."""


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer as the deployed handler does."""
    answer: dict[str, Any] = production.lambda_handler(event, context, make_service())
    return answer


@cache
def make_service() -> ToolService:
    """Return the deployed handler's service with its table journalled."""
    service: ToolService = production.make_service()
    return replace(service, modifications=Journalled(service.modifications, service.objects))
