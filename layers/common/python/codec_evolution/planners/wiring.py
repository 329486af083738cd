"""Builds the planner that the settings name. Every planner of `planner_specs.PLANNERS` has its builder here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from codec_evolution.planner_specs import CLAUDE, SEARCH
from codec_evolution.planners.base import NoProposal, RoundPlanner
from codec_evolution.planners.claude.building import build_claude
from codec_evolution.planners.connections import Connections
from codec_evolution.planners.search import SearchPlanner

Builder = Callable[[Connections], RoundPlanner | NoProposal]

BUILDERS: Mapping[str, Builder] = {CLAUDE: build_claude, SEARCH: lambda given: SearchPlanner(given.objects)}


def build_planner(name: str, connections: Connections) -> RoundPlanner | NoProposal:
    """Return a planner by its name, or the reason why it cannot start."""
    return BUILDERS[name](connections)
