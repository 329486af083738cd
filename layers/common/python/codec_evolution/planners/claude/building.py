"""Builds the Claude planner from the function's settings, and reads the provider's key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from codec_evolution.planner_specs import CLAUDE
from codec_evolution.planners.base import NoProposal
from codec_evolution.planners.claude.planner import ClaudePlanner
from codec_evolution.planners.claude.settings import ClaudeSettings
from codec_evolution.planners.connections import Connections
from codec_evolution.planners.prompts import Limits, shipped_templates
from codec_evolution.pricing import parse_models

NO_CREDENTIAL = (
    'no_credential: there is no key; put {"api_key": "..."} into the Anthropic secret (on your own machine: export '
    "ANTHROPIC_API_KEY)"
)
WRONG_KEY = "wrong_key: the api_key has characters that no key has; was it pasted with more around it?"


def build_claude(connections: Connections) -> ClaudePlanner | NoProposal:
    """Return the planner, or the reason why it has no usable credential."""
    key = read_key(connections.settings, connections.read_secret)
    if isinstance(key, NoProposal):
        return key
    return ClaudePlanner(
        model=connections.language_model(key),
        record=connections.record,
        control=connections.control,
        objects=connections.objects,
        modifications=connections.modifications,
        settings=claude_settings(connections.settings),
        now=connections.now,
        deadline=connections.deadline,
        observe=connections.observe,
        shipped=shipped_templates(Path(connections.settings["SHIPPED_DIR"]) / "prompts"),
    )


def claude_settings(settings: Mapping[str, str]) -> ClaudeSettings:
    """Return the planner's settings from the function's environment."""
    return ClaudeSettings(
        models=parse_models(settings["PLANNER_MODELS"]),
        effort=settings["PLANNER_EFFORT"],
        max_tokens=int(settings["PLANNER_MAX_TOKENS"]),
        daily_budget_usd=float(settings["DAILY_BUDGET_USD"]),
        limits=Limits(
            call_s=float(settings["BENCHMARK_CALL_S"]),
            total_cpu_s=float(settings["BENCHMARK_CPU_S"]),
            memory_mb=int(settings["BENCHMARK_MEMORY_MB"]),
        ),
        seed=int(settings["SEARCH_SEED"]),
        probes=int(settings["PROBES_PER_ATTEMPT"]),
        fixed="=" in settings["PLANNER_MODELS"],
    )


def read_key(settings: Mapping[str, str], read_secret: Callable[[str], str]) -> str | NoProposal:
    """Return the provider's key, "" for a provider that needs none, or why there is no usable one."""
    if settings["PLANNER_PROVIDER"] != "anthropic":
        return ""
    key = api_key(read_secret(settings["ANTHROPIC_SECRET_ARN"]))
    if not key:
        return NoProposal(NO_CREDENTIAL, CLAUDE)
    if not re.fullmatch(r"[!-~]+", key):
        return NoProposal(WRONG_KEY, CLAUDE)
    return key


def api_key(secret: str) -> str:
    """Return the key in a secret's text (``{"api_key": "..."}``), or "" if there is none."""
    try:
        value: object = json.loads(secret or "{}")
    except ValueError:
        return ""
    key = cast("dict[str, object]", value).get("api_key") if isinstance(value, dict) else None
    return key.strip() if isinstance(key, str) else ""
