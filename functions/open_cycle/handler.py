"""OpenCycle: takes the lease and hands out the slots of one cycle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.emf import emit
from codec_evolution.adapters.executions import StateMachineExecutions
from codec_evolution.adapters.logs import EXECUTION, make_logger
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from codec_evolution.adapters.traces import traced
from codec_evolution.clock import day_of, utc_now
from codec_evolution.contracts import OpenRequest, parse, to_payload
from codec_evolution.framework import release
from codec_evolution.loop import metrics
from codec_evolution.loop.cycle import CycleOpener, CycleSettings, CycleStart
from codec_evolution.loop.shared_state import state_of
from codec_evolution.planner_specs import PLANNERS
from codec_evolution.repair import operations

logger = make_logger("open_cycle")

SETTINGS = CycleSettings(
    lineage=os.environ["LINEAGE"],
    slots=int(os.environ["SLOTS"]),
    daily_budget_usd=float(os.environ["DAILY_BUDGET_USD"]),
    max_attempts_per_day=int(os.environ["MAX_ATTEMPTS_PER_DAY"]),
    least_attempt_usd=PLANNERS[os.environ["PLANNER"]].least_attempt_usd(
        os.environ["PLANNER_MODELS"], os.environ["PLANNER_PROVIDER"], int(os.environ["PLANNER_MAX_TOKENS"])
    ),
    tools=os.environ["FRAMEWORK_TOOLS"] != "off",
    islands=int(os.environ["ISLANDS"]),
    migration_cycles=int(os.environ["MIGRATION_CYCLES"]),
)


@traced("open_cycle")
@logger.inject_lambda_context(correlation_id_path=EXECUTION, clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Open a cycle, or answer ``go: false`` with the reason."""
    request = parse(OpenRequest, event, "open_cycle")
    control = LoopControl(os.environ["LOOP_CONTROL_TABLE"], home=SETTINGS.lineage)
    opener = CycleOpener(
        EvolutionRecord(os.environ["EVOLUTION_RECORD_TABLE"]),
        control,
        ArtifactBucket(os.environ["ARTIFACT_BUCKET"]),
        StateMachineExecutions(),
        SETTINGS,
        on_recorded=lambda attempt: emit(metrics.attempt_samples(attempt, None)),
    )
    modifications = FrameworkModifications(os.environ["FRAMEWORK_MODIFICATIONS_TABLE"])
    expired = operations.expire_overdue(modifications, utc_now())
    if expired:
        logger.info("expired", extra={"modifications": expired})
    start = CycleStart(request.execution, request.started, request.preparation, request.input.lineage)
    library_codecs = os.environ["CODEC_SANDBOX_LIBRARY_CODECS"] == "on"
    shipped = release.shipped_files(Path(os.environ["SHIPPED_DIR"]), library_codecs=library_codecs)
    opened = opener.open(start, shipped)
    logger.info("cycle", extra={"go": opened.go, "reason": opened.reason, "cycle_id": opened.cycle_id})
    if request.preparation == 0 or not opened.go:  # a cycle that opens again after preparing is one tick
        spent = control.day(opened.lineage, day_of(opened.cycle_id)).spent_usd
        state = state_of(control, opened.lineage, SETTINGS.lineage)
        emit(metrics.of_tick(opened, state, spent, SETTINGS.daily_budget_usd))
    return to_payload(opened, "open_cycle")
