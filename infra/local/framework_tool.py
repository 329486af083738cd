"""FrameworkTool as the local stack runs it: the deployed handler over a journalled table and folders of packages.

The lowered function starts this module instead of its own ``handler``, which lies beside it on the path.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from codec_evolution.framework import modifications as states
from codec_evolution.repair import operations
from codec_evolution.repair.image_release import ImageReleaser
from codec_evolution.repair.tool_service import ToolService

from infra.local.candidate_packages import PackageFolders
from infra.local.modification_journal import Journalled
from infra.local.synthesis import ROOT

production = import_module("handler")
"""``functions/framework_tool/handler.py``."""


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer as the deployed handler does."""
    service, folders = make_service()
    answer: dict[str, Any] = production.lambda_handler(event, context, service)
    if answer.get("image_status") == states.BUILDING:
        answer |= conclude(service, folders, answer["build"])
    return answer


def conclude(service: ToolService, folders: PackageFolders, build: str) -> dict[str, Any]:
    """Make the packages of a build live, or undo their change: what PublishImage does when an image is built."""

    def undo(modification_id: str) -> None:
        operations.rollback(service, modification_id)

    releaser = ImageReleaser(
        builds=folders,
        image=folders,
        modifications=service.modifications,
        objects=service.objects,
        undo=undo,
        now=service.now,
    )
    concluded = releaser.conclude(build)
    return {"image_status": concluded["status"], "image_message": concluded["message"]}


@cache
def make_service() -> tuple[ToolService, PackageFolders]:
    """Return the deployed handler's service with its table journalled, and what it builds in place of images."""
    service: ToolService = production.make_service()
    settings = Path(os.environ["FRAMEWORK_HOST"])
    folders = PackageFolders(settings, settings.parent / "packages", ROOT / "sandbox_container")
    journalled = Journalled(service.modifications, service.objects)
    return replace(service, modifications=journalled, images=folders), folders
