"""Plan: one round of the planner for one attempt."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.emf import emit
from codec_evolution.adapters.logs import EXECUTION, make_logger
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.secrets import read_secret
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from codec_evolution.adapters.traces import traced
from codec_evolution.clock import utc_now
from codec_evolution.contracts import PlanRequest, parse, to_payload
from codec_evolution.loop import metrics
from codec_evolution.loop.planning import PlanStage
from codec_evolution.planners.claude.language_model import LanguageModel
from codec_evolution.planners.connections import Connections
from codec_evolution.planners.wiring import build_planner

logger = make_logger("plan")

BASELINE = Path("sandbox_container") / "codecs" / "version_0.py"
MARGIN_S = 30.0
"""Kept of the function's time for booking and storing after the model's last answer."""


@traced("plan")
@logger.inject_lambda_context(correlation_id_path=EXECUTION, clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return a candidate, a tool call, a draft, or the reason why there is none."""
    request = parse(PlanRequest, event, "plan")
    ends = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - MARGIN_S
    connections = connect(request.item.lineage, lambda: ends)
    stage = PlanStage(
        record=connections.record,
        control=connections.control,
        objects=connections.objects,
        planner=build_planner(os.environ["PLANNER"], connections),
        baseline=(Path(os.environ["SHIPPED_DIR"]) / BASELINE).read_text("utf-8"),
        search_seed=int(os.environ["SEARCH_SEED"]),
        now=utc_now,
        home=os.environ["LINEAGE"],
    )
    planned = stage.plan(request)
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
    return to_payload(planned, "plan")


def connect(lineage: str, deadline: Callable[[], float]) -> Connections:
    """Return what a planner may need in this call."""
    record, control, objects, modifications = stores()
    return Connections(
        settings=os.environ,
        record=record,
        control=control,
        objects=objects,
        modifications=modifications,
        now=utc_now,
        deadline=deadline,
        observe=lambda signs: report_signs(lineage, signs),
        read_secret=read_secret,
        language_model=lambda key: language_model(os.environ, key, deadline),
    )


@cache
def stores() -> tuple[EvolutionRecord, LoopControl, ArtifactBucket, FrameworkModifications]:
    """Return tables and bucket; their clients are made once per function environment."""
    return (
        EvolutionRecord(os.environ["EVOLUTION_RECORD_TABLE"]),
        LoopControl(os.environ["LOOP_CONTROL_TABLE"], home=os.environ["LINEAGE"]),
        ArtifactBucket(os.environ["ARTIFACT_BUCKET"]),
        FrameworkModifications(os.environ["FRAMEWORK_MODIFICATIONS_TABLE"]),
    )


def language_model(settings: Mapping[str, str], key: str, deadline: Callable[[], float]) -> LanguageModel:
    """Return the language model of the provider that the settings name."""
    # The SDK takes a second to import, so a planner without a language model does not load it.
    from codec_evolution.adapters.claude_api import PROVIDERS, ClaudeApi

    provider = settings["PLANNER_PROVIDER"]
    return ClaudeApi(
        PROVIDERS[provider](key, settings["PLANNER_BASE_URL"]),
        provider,
        deadline,
        effort=settings["PLANNER_EFFORT"],
        max_tokens=int(settings["PLANNER_MAX_TOKENS"]),
    )


def report_signs(lineage: str, signs: Mapping[str, Any]) -> None:
    """Log what the planner noticed in the history, and emit the metrics that alarms watch."""
    logger.info("signs", extra={"signs": dict(signs)})
    emit(metrics.of_signs(lineage, signs))
