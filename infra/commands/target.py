"""An evolution that commands work on, local or on AWS.

`infra.commands.reach` connects to it; this module imports nothing heavy, so that the help appears at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codec_evolution.adapters.decisions import FrameworkTool
    from codec_evolution.adapters.executions import AuditExecutions
    from codec_evolution.adapters.modifications import FrameworkModifications
    from codec_evolution.adapters.objects import ArtifactBucket
    from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
    from codec_evolution.loop.steering import Operator


class TargetName(StrEnum):
    """Where an evolution runs."""

    LOCAL = "local"
    AWS = "aws"


@dataclass(frozen=True, kw_only=True)
class Readable:
    """One evolution, as far as commands read it.

    Attributes
    ----------
    record, control, modifications
        The three tables.
    bucket
        Sources, reports and conversations.
    lineage
        The lineage that the schedule, or a local run, evolves.
    """

    record: EvolutionRecord
    control: LoopControl
    bucket: ArtifactBucket
    modifications: FrameworkModifications
    lineage: str


@dataclass(frozen=True, kw_only=True)
class Target(Readable):
    """One evolution, connected.

    Attributes
    ----------
    operator
        Pauses and resumes the loop.
    framework_tool
        The deployed function that carries out tool calls and decisions.
    audits
        Starts and follows full-size audits of adopted versions.
    pages
        Addresses of console pages by the name of the stack's output; empty locally.
    """

    operator: Operator
    framework_tool: FrameworkTool
    audits: AuditExecutions
    pages: Mapping[str, str]
