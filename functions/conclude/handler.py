"""Conclude: keeps what each window of an attempt gave, judges the attempt, and writes it to the evolution record.

For the full-size audit of an adopted version, it says what to measure, and keeps the figures.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.emf import emit
from codec_evolution.adapters.logs import EXECUTION, make_logger
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from codec_evolution.adapters.traces import traced
from codec_evolution.clock import utc_now
from codec_evolution.contracts import ConcludeRequest, parse, to_payload
from codec_evolution.loop import metrics
from codec_evolution.loop.audits import AuditRequest, Audits
from codec_evolution.loop.conclusion import Concluder
from codec_evolution.loop.windows import WindowRequest, Windows

logger = make_logger("conclude")


@traced("conclude")
@logger.inject_lambda_context(correlation_id_path=EXECUTION, clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return ``confirm`` when the candidate is promising, otherwise ``done`` with its status; for the rest, ``go``."""
    record, control, objects = stores()
    if "window" in event:
        return answer(parse(WindowRequest, event, "window"), Windows(control, objects))
    if "audit" in event:
        audits = Audits(record, control, objects, float(os.environ["DAILY_BUDGET_USD"]))
        return audited(parse(AuditRequest, event, "audit"), audits)
    request = parse(ConcludeRequest, event, "conclude")
    concluder = Concluder(
        record=record,
        control=control,
        objects=objects,
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


@cache
def stores() -> tuple[EvolutionRecord, LoopControl, ArtifactBucket]:
    """Return tables and bucket; their clients are made once per function environment, which serves many windows."""
    record_table = os.environ["EVOLUTION_RECORD_TABLE"]
    return (
        EvolutionRecord(record_table),
        LoopControl(os.environ["LOOP_CONTROL_TABLE"], record_table, home=os.environ["LINEAGE"]),
        ArtifactBucket(os.environ["ARTIFACT_BUCKET"]),
    )


def answer(request: WindowRequest, windows: Windows) -> dict[str, Any]:
    """Answer about one window. What it gave is not logged: it may be a held-out one."""
    answered = windows.answer(request)
    facts = {"split": request.split, "measured": request.measured is not None, "go": answered.go}
    logger.info("window", extra={"attempt_id": request.item.attempt_id, **facts})
    return to_payload(answered, "window")


def audited(request: AuditRequest, audits: Audits) -> dict[str, Any]:
    """Answer about the audit of a version."""
    answered = audits.answer(request)
    facts = {"version": answered.version, "go": answered.go, "reason": answered.reason, "note": answered.note}
    logger.info("audit", extra={"lineage": answered.lineage, "segments": answered.segments, **facts})
    return to_payload(answered, "audit")
