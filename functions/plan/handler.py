"""Plan: one round of the planner for one attempt."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.emf import emit
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.secrets import read_secret
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from codec_evolution.clock import utc_now
from codec_evolution.contracts import PlanRequest, answer, parse
from codec_evolution.loop import metrics
from codec_evolution.loop.planning import PlanningRoom
from codec_evolution.planners.base import Nothing, OneRound, RoundPlanner
from codec_evolution.planners.claude.planner import NAME as CLAUDE
from codec_evolution.planners.claude.planner import ClaudePlanner, ClaudeSettings
from codec_evolution.planners.claude.settings import parse_models
from codec_evolution.planners.prompts import Limits
from codec_evolution.planners.search import SearchPlanner

logger = Logger(service="plan")

BASELINE = Path("sandbox_container") / "codecs" / "version_0.py"
NO_CREDENTIAL = (
    'no_credential: there is no key; put {"api_key": "..."} into the Anthropic secret (on your own machine: export '
    "ANTHROPIC_API_KEY)"
)
MARGIN_S = 30.0
"""Kept of the function's time for booking and storing after the last word of the model."""


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return a candidate, a tool call, a draft, or nothing with the reason."""
    request = parse(PlanRequest, event, "plan")
    ends = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - MARGIN_S
    record, control, objects, modifications = stores()
    room = PlanningRoom(
        record=record,
        control=control,
        objects=objects,
        planner=choose_planner(
            os.environ, record, control, objects, modifications, lambda: ends, request.item.lineage
        ),
        baseline=(Path(os.environ["SHIPPED_DIR"]) / BASELINE).read_text("utf-8"),
        search_seed=int(os.environ["SEARCH_SEED"]),
        now=utc_now,
    )
    planned = room.plan(request)
    logger.info(
        "planned",
        extra={
            "attempt_id": request.item.attempt_id,
            "round": request.round,
            "next": planned.next,
            "reason": planned.reason,
            "cost_usd": planned.cost_usd,
        },
    )
    return answer(planned, "plan")


@cache
def stores() -> tuple[EvolutionRecord, LoopControl, ArtifactBucket, FrameworkModifications]:
    """Return tables and bucket; their clients are made once a function environment."""
    return (
        EvolutionRecord(os.environ["EVOLUTION_RECORD_TABLE"]),
        LoopControl(os.environ["LOOP_CONTROL_TABLE"]),
        ArtifactBucket(os.environ["ARTIFACT_BUCKET"]),
        FrameworkModifications(os.environ["FRAMEWORK_MODIFICATIONS_TABLE"]),
    )


def choose_planner(
    settings: Mapping[str, str],
    record: EvolutionRecord,
    control: LoopControl,
    objects: ArtifactBucket,
    modifications: FrameworkModifications,
    deadline: Callable[[], float],
    lineage: str,
) -> RoundPlanner | Nothing:
    """Return the planner that the settings name, or why there is none."""
    if settings["PLANNER"] == "search":
        return OneRound(SearchPlanner())
    key = credential(settings)
    if isinstance(key, Nothing):
        return key
    # The SDK takes a second to import, which a search need not wait for.
    from codec_evolution.adapters.claude_api import PROVIDERS, ClaudeApi

    provider = settings["PLANNER_PROVIDER"]
    client = PROVIDERS[provider](key, settings["PLANNER_BASE_URL"])
    return ClaudePlanner(
        model=ClaudeApi(
            client,
            provider,
            deadline,
            effort=settings["PLANNER_EFFORT"],
            max_tokens=int(settings["PLANNER_MAX_TOKENS"]),
        ),
        record=record,
        control=control,
        objects=objects,
        modifications=modifications,
        settings=ClaudeSettings(
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
        ),
        now=utc_now,
        deadline=deadline,
        observe=lambda signs: tell_signs(lineage, signs),
    )


def credential(settings: Mapping[str, str]) -> str | Nothing:
    """Return the provider's key, "" for a provider that needs none, or why there is none to use."""
    if settings["PLANNER_PROVIDER"] != "anthropic":
        return ""
    key = api_key(read_secret(settings["ANTHROPIC_SECRET_ARN"]))
    if not key:
        return Nothing(NO_CREDENTIAL, CLAUDE)
    if not re.fullmatch(r"[!-~]+", key):
        reason = "wrong_key: the api_key has characters that no key has; was it pasted with more around it?"
        return Nothing(reason, CLAUDE)
    return key


def tell_signs(lineage: str, signs: Mapping[str, Any]) -> None:
    """Log what the planner noticed in the history, and count what an alarm waits for."""
    logger.info("signs", extra={"signs": dict(signs)})
    emit(metrics.of_signs(lineage, signs))


def api_key(secret: str) -> str:
    """Return the key in a secret's text (``{"api_key": "..."}``), or "" when there is none."""
    try:
        value = json.loads(secret or "{}")
    except ValueError:
        return ""
    key = value.get("api_key") if isinstance(value, dict) else None
    return key.strip() if isinstance(key, str) else ""
