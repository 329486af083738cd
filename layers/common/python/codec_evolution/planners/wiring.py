"""Builds the planner that the settings name. Every planner of `planner_specs.PLANNERS` has its builder here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from codec_evolution.planner_specs import CLAUDE, SEARCH, SEARCH_TRIALS
from codec_evolution.planners.base import NoProposal, RoundPlanner
from codec_evolution.planners.claude.building import build_claude
from codec_evolution.planners.connections import Connections
from codec_evolution.planners.search import SearchPlanner

Builder = Callable[[Connections], RoundPlanner | NoProposal]


def build_search(connections: Connections) -> SearchPlanner:
    """Return the offline search; it needs no credential."""
    trials = SEARCH_TRIALS[connections.settings["SEARCH_EFFORT"]]
    cpu_s = float(connections.settings["BENCHMARK_CPU_S"])
    return SearchPlanner(connections.objects, trials, cpu_s, trains=trials > 0)


BUILDERS: Mapping[str, Builder] = {CLAUDE: build_claude, SEARCH: build_search}


def build_planner(name: str, connections: Connections) -> RoundPlanner | NoProposal:
    """Return a planner by its name, or the reason why it cannot start."""
    return BUILDERS[name](connections)
