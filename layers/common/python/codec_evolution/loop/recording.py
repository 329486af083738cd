"""From a ruling to the record of an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codec_evolution.contracts import ConcludeRequest, Failure, Item, Report
from codec_evolution.loop.ruling import Ruling
from codec_evolution.planner_specs import author_label
from codec_evolution.pricing import compute_cost, load_prices
from codec_evolution.record import (
    ADOPTED,
    NOT_DEPLOYED,
    REJECTED,
    TEST_FAILED,
    Attempt,
    ProposalFacts,
    Proposed,
)


def build_record(
    request: ConcludeRequest, ruling: Ruling, facts: ProposalFacts, *, finished_at: str, prefix: str
) -> Attempt:
    """Return the record of one concluded attempt; facts that it lacks have no attribute.

    Parameters
    ----------
    facts
        What Plan stored of the proposal (hypothesis, planner, model, token counts, source hashes).
    finished_at
        UTC time in ISO 8601.
    prefix
        Where the attempt's artifacts are in the bucket.
    """
    item = request.item
    parent = item.version if ruling.parent_version is None else ruling.parent_version
    known = {
        **_identity(item),
        "status": ruling.status,
        "reason": ruling.reason,
        "code_changed": ruling.status == ADOPTED,
        "version": parent if ruling.adopted_version is None else ruling.adopted_version,
        "adopted_version": ruling.adopted_version,
        "parent_version": parent if item.kind == "candidate" else None,
        "deployment_status": NOT_DEPLOYED,
        "github_committed": False,
        "confirmed": ruling.confirmed,
        "clip_set": request.measure and request.measure.clip_set,
        "finished_at": finished_at,
        "artifacts": prefix,
        "execution": request.execution,
        **_used(request, facts),
        **{name: value for name, value in facts.to_item().items() if name in Proposed.model_fields},
        **_failed(ruling.failure),
        **ruling.figures.to_item(),
    }
    return summarised(known)


def summarised(attributes: Mapping[str, Any]) -> Attempt:
    """Return the record with these attributes, the empty ones left out, and its summary."""
    attempt = Attempt.from_item(
        {name: value for name, value in attributes.items() if value not in (None, "")}
    )
    return attempt.model_copy(update={"summary": summarise(attempt)})


def summarise(attempt: Attempt) -> str:
    """Return the sentence that the dashboard shows for an attempt."""
    who = author_label(attempt.planner)
    rate = attempt.bitrate_mbps or 0.0
    if attempt.status == ADOPTED and attempt.adopted_version == 0:
        return f"Baseline codec v0 measured, {rate:.2f} Mbps"
    if attempt.status == ADOPTED:
        return f"{who} evolved codec to v{attempt.adopted_version} - {attempt.improvement}, {rate:.2f} Mbps"
    if attempt.status == REJECTED:
        return f"{who} candidate rejected against v{attempt.parent_version} - {attempt.reason}"
    if attempt.status == TEST_FAILED:
        return f"{who} candidate failed in {attempt.failure_stage or 'test'} - {attempt.reason}"
    return f"Attempt skipped - {attempt.reason}"


def _identity(item: Item) -> dict[str, Any]:
    return {
        "lineage": item.lineage,
        "attempt_id": item.attempt_id,
        "cycle_id": item.cycle_id,
        "started_at": item.cycle_id,
        "release": item.release,
        "contest_seed": item.seed,
    }


def _used(request: ConcludeRequest, facts: ProposalFacts) -> dict[str, Any]:
    """Return the seconds and dollars of an attempt as the cycle knows them."""
    plan, measure_s, confirm_s = request.plan, _seconds(request.measure), _seconds(request.confirm)
    benchmark_s = _billed(request.measure) + _billed(request.confirm)
    compute = compute_cost(load_prices(), plan_s=plan.elapsed_s, benchmark_s=benchmark_s)
    compute += facts.probe_cost_usd or 0.0
    return {
        # What the conversation has booked goes before it: that also counts rounds whose answer was lost.
        "llm_cost_usd": round(plan.cost_usd, 6),
        "plan_s": round(plan.elapsed_s, 3),
        "measure_s": measure_s,
        "confirm_s": confirm_s,
        "benchmark_s": round(benchmark_s, 3) or None,
        "compute_cost_usd": round(compute, 6),
    }


def _failed(failure: Failure | None) -> dict[str, Any]:
    names = ("stage", "kind", "message", "clip", "line")
    return {} if failure is None else {f"failure_{name}": getattr(failure, name) for name in names}


def _billed(report: Report | None) -> float:
    """Return the seconds of all invocations that a report came from."""
    billed = report.billed_s if report else None
    return (_seconds(report) or 0.0) if billed is None else billed


def _seconds(report: Report | None) -> float | None:
    return round(sum(report.timings_s.values()), 3) if report and report.timings_s else None
