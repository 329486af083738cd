"""Plan: one round of the planner for one attempt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from codec_evolution.clock import utc_now
from codec_evolution.contracts import PlanRequest, answer, parse
from codec_evolution.planners.base import Nothing, Planner
from codec_evolution.planners.search import SearchPlanner
from codec_evolution.planning import PlanningRoom

logger = Logger(service="plan")

BASELINE = Path("sandbox_container") / "codecs" / "version_0.py"


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return a candidate, a tool call, a draft, or nothing with the reason."""
    request = parse(PlanRequest, event, "plan")
    room = PlanningRoom(
        record=EvolutionRecord(os.environ["EVOLUTION_RECORD_TABLE"]),
        control=LoopControl(os.environ["LOOP_CONTROL_TABLE"]),
        objects=ArtifactBucket(os.environ["ARTIFACT_BUCKET"]),
        planner=choose_planner(os.environ["PLANNER"]),
        baseline=(Path(os.environ["SHIPPED_DIR"]) / BASELINE).read_text("utf-8"),
        search_seed=int(os.environ["SEARCH_SEED"]),
        now=utc_now,
    )
    planned = room.plan(request)
    logger.info(
        "planned",
        extra={"attempt_id": request.item.attempt_id, "next": planned.next, "reason": planned.reason},
    )
    return answer(planned, "plan")


def choose_planner(name: str) -> Planner | Nothing:
    """Return the planner that the setting names."""
    if name == "search":
        return SearchPlanner()
    return Nothing("no_credential")
