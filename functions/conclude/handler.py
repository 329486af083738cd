"""Conclude: judges one attempt and writes it to the evolution record."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.emf import emit
from codec_evolution.adapters.logs import make_logger
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from codec_evolution.clock import utc_now
from codec_evolution.contracts import ConcludeRequest, parse, to_payload
from codec_evolution.loop import metrics
from codec_evolution.loop.conclusion import Concluder

logger = make_logger("conclude")


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return ``confirm`` when the candidate is promising, otherwise ``done`` with its status."""
    request = parse(ConcludeRequest, event, "conclude")
    record_table = os.environ["EVOLUTION_RECORD_TABLE"]
    record = EvolutionRecord(record_table)
    concluder = Concluder(
        record=record,
        control=LoopControl(os.environ["LOOP_CONTROL_TABLE"], record_table),
        objects=ArtifactBucket(os.environ["ARTIFACT_BUCKET"]),
        now=utc_now,
        looks_per_day=int(os.environ["CONFIRM_LOOKS_PER_DAY"]),
        on_recorded=lambda attempt, measure: emit(metrics.attempt_samples(attempt, measure)),
    )
    concluded = concluder.conclude(request)
    logger.info(
        "concluded",
        extra={
            "attempt_id": request.item.attempt_id,
            "next": concluded.next,
            "status": concluded.status,
            "version": concluded.version,
        },
    )
    return to_payload(concluded, "conclude")
