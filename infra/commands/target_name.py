"""The two places where an evolution can be; apart from `target`, so that the command line starts fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codec_evolution.adapters.decisions import FrameworkTool
    from codec_evolution.adapters.modifications import FrameworkModifications
    from codec_evolution.adapters.objects import ArtifactBucket
    from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
    from codec_evolution.loop.steering import Operator


class TargetName(StrEnum):
    """The two places."""

    LOCAL = "local"
    AWS = "aws"


@dataclass(frozen=True)
class Target:
    """One evolution that can be reached.

    Attributes
    ----------
    framework_tool
        The deployed function that carries out tool calls and decisions.
    lineage
        The lineage that its schedule, or a local run, evolves.
    pages
        Console pages by the name of the stack's output; empty locally.
    """

    record: EvolutionRecord
    control: LoopControl
    bucket: ArtifactBucket
    modifications: FrameworkModifications
    operator: Operator
    framework_tool: FrameworkTool
    lineage: str
    pages: Mapping[str, str]
