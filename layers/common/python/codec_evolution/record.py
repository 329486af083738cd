"""The evolution record: one flat, readable item an attempt, written once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codec_evolution.contracts import ConcludeRequest, Item
from codec_evolution.planner_specs import author_label
from codec_evolution.pricing import compute_cost, load_prices

TEXT_LIMIT = 2048
"""Bytes of a long text in the record; the whole text is an artifact in the bucket."""

ADOPTED = "adopted"
REJECTED = "rejected"
TEST_FAILED = "test_failed"
SKIPPED = "skipped"
STATUSES = (ADOPTED, REJECTED, TEST_FAILED, SKIPPED)

DEPLOYED = "deployed"
NOT_DEPLOYED = "not_deployed"

IDENTICAL_REPORTS = 3
"""So many reports in a row that are equal are a sign that the planner repeats itself, or that nothing is measured."""


@dataclass(frozen=True)
class Ruling:
    """How an attempt ended, before it becomes a record.

    Attributes
    ----------
    status
        One of `STATUSES`.
    reason
        A short machine word, then optionally a sentence after a colon.
    failure
        ``stage``, ``kind`` and ``message`` of a candidate's fault.
    figures
        Figures of the verdict on the training windows; empty when nothing was measured.
    """

    status: str
    reason: str
    failure: Mapping[str, Any] | None = None
    figures: Mapping[str, Any] | None = None
    confirmed: bool = False
    adopted_version: int | None = None
    parent_version: int | None = None
    """The version that the attempt was judged against; it moves when another slot was faster."""


FIGURES = (
    "bitrate_mbps",
    "compression_ratio",
    "psnr_db",
    "ms_ssim",
    "bd_rate_vs_incumbent",
    "bd_rate_vs_hevc",
    "achievement",
    "improvement",
    "rule_version",
)


def attempt_id(cycle_id: str, slot: int) -> str:
    """Return the deterministic id of an attempt; ids sort by time, then by slot."""
    return f"{cycle_id}#{slot:02d}"


def build_record(
    request: ConcludeRequest, ruling: Ruling, proposal: Mapping[str, Any], *, finished_at: str, prefix: str
) -> dict[str, Any]:
    """Return the item of one concluded attempt; absent facts have no attribute.

    Parameters
    ----------
    proposal
        What Plan stored of the proposal (hypothesis, planner, model, token counts, source hashes).
    finished_at
        UTC time in ISO 8601.
    prefix
        Where the attempt's artifacts are in the bucket.
    """
    item = request.item
    measure = request.measure or {}
    measure_s, confirm_s = _seconds(measure), _seconds(request.confirm or {})
    parent = item.version if ruling.parent_version is None else ruling.parent_version
    version = parent if ruling.adopted_version is None else ruling.adopted_version
    record: dict[str, Any] = {
        **_identity(item),
        "status": ruling.status,
        "reason": clip_text(ruling.reason),
        "code_changed": ruling.status == ADOPTED,
        "version": version,
        "adopted_version": ruling.adopted_version,
        "parent_version": parent if item.kind == "candidate" else None,
        "deployment_status": NOT_DEPLOYED,
        "github_committed": False,
        "confirmed": ruling.confirmed,
        "clip_set": measure.get("clip_set"),
        # What the conversation itself has booked: it also counts rounds whose answer was lost on the way.
        "llm_cost_usd": proposal.get("llm_cost_usd", round(request.plan.cost_usd, 6)),
        "plan_s": round(request.plan.elapsed_s, 3),
        "measure_s": measure_s,
        "confirm_s": confirm_s,
        "compute_cost_usd": _compute_cost(request.plan.elapsed_s, (measure_s or 0.0) + (confirm_s or 0.0)),
        "finished_at": finished_at,
        "artifacts": prefix,
        "execution": request.execution,
        **_proposed(proposal),
        **_failed(ruling.failure),
        **{name: (ruling.figures or {}).get(name) for name in FIGURES},
    }
    record["summary"] = summarise(record)
    return {name: value for name, value in record.items() if value is not None and value != ""}


def summarise(record: Mapping[str, Any]) -> str:
    """Return the sentence that the dashboard shows for an attempt."""
    who = author_label(str(record.get("planner", "")))
    status = record["status"]
    if status == ADOPTED and record.get("adopted_version") == 0:
        return f"Baseline codec v0 measured, {record.get('bitrate_mbps', 0):.2f} Mbps"
    if status == ADOPTED:
        return (
            f"{who} evolved codec to v{record['adopted_version']} - "
            f"{record.get('improvement', '')}, {record.get('bitrate_mbps', 0):.2f} Mbps"
        )
    if status == REJECTED:
        return f"{who} candidate rejected against v{record.get('parent_version')} - {record['reason']}"
    if status == TEST_FAILED:
        return f"{who} candidate failed in {record.get('failure_stage', 'test')} - {record['reason']}"
    return f"Attempt skipped - {record['reason']}"


def clip_text(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return a text cut to ``limit`` bytes of UTF-8, with an ellipsis when something was cut.

    What UTF-8 does not have (half a surrogate, which JSON lets a model write) becomes a question mark.
    """
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode("utf-8")
    return data[: limit - 3].decode("utf-8", "ignore") + "..."


def _identity(item: Item) -> dict[str, Any]:
    return {
        "lineage": item.lineage,
        "attempt_id": item.attempt_id,
        "cycle_id": item.cycle_id,
        "started_at": item.cycle_id,
        "release": item.release,
        "contest_seed": item.seed,
    }


def _proposed(proposal: Mapping[str, Any]) -> dict[str, Any]:
    names = (
        "planner",
        "model",
        "prompt_sha256",
        "prompt_system_sha256",
        "prompt_cycle_sha256",
        "prompt_governance_sha256",
        "tokens_in",
        "tokens_out",
        "tokens_cache_read",
        "tokens_cache_write",
        "llm_calls",
        "source_sha256",
        "source_key",
        "normalised_sha256",
        "started_at",
    )
    kept: dict[str, Any] = {name: proposal[name] for name in names if name in proposal}
    if "hypothesis" in proposal:
        kept["hypothesis"] = clip_text(str(proposal["hypothesis"]))
    return kept


def _failed(failure: Mapping[str, Any] | None) -> dict[str, Any]:
    if failure is None:
        return {}
    return {
        "failure_stage": failure.get("stage"),
        "failure_kind": failure.get("kind"),
        "failure_message": clip_text(str(failure.get("message", ""))),
        "failure_clip": failure.get("clip"),
        "failure_line": failure.get("line"),
    }


def _compute_cost(plan_s: float, benchmark_s: float) -> float:
    return round(compute_cost(load_prices(), plan_s=plan_s, benchmark_s=benchmark_s), 6)


def _seconds(report: Mapping[str, Any]) -> float | None:
    timings = report.get("timings_s")
    return round(sum(timings.values()), 3) if timings else None
