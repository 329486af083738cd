"""What the evolution has cost, from the record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from codec_evolution import artifacts
from codec_evolution.adapters.tables import EvolutionRecord
from codec_evolution.ports import DayCounters
from codec_evolution.pricing import PriceTable, load_prices

from infra.commands.target import Readable
from infra.errors import UserError

MAX_ATTEMPTS = 5_000
"""Attempts read at most."""


def read_cost(target: Readable, lineage: str, days: int) -> dict[str, Any]:
    """Return what a lineage has cost in the last days: the dict of `cost_of`, and ``days``."""
    attempts = read_attempts(target.record, lineage, days)
    return {**cost_of(lineage, attempts, load_prices()), "days": _days(target, lineage, days)}


def read_calls(target: Readable, lineage: str, attempt_id: str) -> dict[str, Any]:
    """Return every call of one attempt to the language model.

    Raises
    ------
    UserError
        The attempt has no conversation with a model.
    """
    talk = target.bucket.get_json(artifacts.transcript(lineage, attempt_id))
    if talk is None:
        raise UserError(f"attempt {attempt_id!r} of lineage {lineage!r} had no conversation with a model")
    return {"attempt_id": attempt_id, "model": talk["model"], "calls": talk["calls"]}


def cost_of(lineage: str, attempts: Iterable[Mapping[str, Any]], prices: PriceTable) -> dict[str, Any]:
    """Return the sums over attempts of the record, in USD: in all, and by model, cycle and attempt."""
    rows = [cost_row(attempt) for attempt in attempts]
    total, compute = total_of(rows, "llm_cost_usd"), total_of(rows, "compute_cost_usd")
    audits = total_of(rows, "audit_cost_usd")
    calls = sum(row["llm_calls"] for row in rows)
    adopted = sum(1 for row in rows if row["adopted_version"])
    cycles: dict[str, float] = defaultdict(float)
    models: dict[str, float] = defaultdict(float)
    for row in rows:
        cycles[row["cycle_id"]] += row["llm_cost_usd"]
        if row["model"]:
            models[row["model"]] += row["llm_cost_usd"]
    return {
        "lineage": lineage,
        "prices_as_of": prices.as_of,
        "llm_cost_usd": total,
        "compute_cost_usd": compute,
        "audit_cost_usd": audits,
        "calls": calls,
        "usd_a_call": round(total / calls, 6) if calls else None,
        "usd_an_attempt": round(total / len(rows), 6) if rows else None,
        "adoptions": adopted,
        "usd_an_adoption": round((total + compute + audits) / adopted, 6) if adopted else None,
        "models": {name: round(usd, 6) for name, usd in sorted(models.items())},
        "cycles": [{"cycle_id": name, "llm_cost_usd": round(usd, 6)} for name, usd in sorted(cycles.items())],
        "attempts": rows,
    }


def cost_row(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one attempt used: calls, tokens, USD and seconds."""
    # Records from before one invocation measured one window have the stages alone.
    stages_s = attempt.get("measure_s", 0.0) + attempt.get("confirm_s", 0.0)
    return {
        "attempt_id": attempt["attempt_id"],
        "cycle_id": attempt.get("cycle_id", ""),
        "status": attempt["status"],
        "adopted_version": attempt.get("adopted_version", 0),
        "model": attempt.get("model", ""),
        "llm_calls": attempt.get("llm_calls", 0),
        "tokens_in": attempt.get("tokens_in", 0),
        "tokens_cache_read": attempt.get("tokens_cache_read", 0),
        "tokens_cache_write": attempt.get("tokens_cache_write", 0),
        "tokens_out": attempt.get("tokens_out", 0),
        "llm_cost_usd": attempt.get("llm_cost_usd", 0.0),
        "compute_cost_usd": attempt.get("compute_cost_usd", 0.0),
        "audit_cost_usd": attempt.get("audit_cost_usd", 0.0),
        "plan_s": attempt.get("plan_s", 0.0),
        "benchmark_s": round(attempt.get("benchmark_s", stages_s), 3),
    }


def read_attempts(record: EvolutionRecord, lineage: str, days: int) -> list[dict[str, Any]]:
    """Return the attempts of the last days."""
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    return [each.to_item() for each in record.since(lineage, since, MAX_ATTEMPTS)]


def _days(target: Readable, lineage: str, days: int) -> list[dict[str, Any]]:
    rows = []
    for back in range(days):
        day = (datetime.now(UTC) - timedelta(days=back)).date().isoformat()
        counters = target.control.day(lineage, day)
        if counters != DayCounters(day):
            rows.append({"day": day, "spent_usd": counters.spent_usd, "attempts": counters.attempts})
    return rows


def total_of(rows: Iterable[Mapping[str, Any]], name: str) -> float:
    """Return the sum of one attribute, rounded to 6 places."""
    return round(sum(row[name] for row in rows), 6)
