"""What the evolution has cost, and what it would cost on AWS: by the price table and the record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from codec_evolution import artifacts
from codec_evolution.planners.claude.settings import parse_models
from codec_evolution.pricing import MILLION, PriceTable, UnknownPrice, load_prices

from infra.commands.aws_usage import DAYS_A_MONTH, Load, usage_of
from infra.commands.target_name import Target
from infra.errors import UserError
from infra.local.session import LINEAGE, Session, join_session
from infra.settings import Settings

ATTEMPTS_READ = 5_000
SEARCH_S = 2.0
"""Seconds of Plan for an attempt of the search planner."""


@dataclass(frozen=True)
class Assumptions:
    """What one attempt is taken to need.

    Attributes
    ----------
    calls, tokens_in, tokens_out
        Of the language model, tokens over all its calls, cached ones included.
    cached
        Part of the tokens in that is read from the provider's cache, 0 to 1.
    plan_s, benchmark_s
        Seconds of Plan and of the benchmark function.
    measured
        Attempts that the figures are the means of; 0 when they are assumed.
    """

    calls: float = 3.0
    tokens_in: float = 60_000
    cached: float = 0.6
    tokens_out: float = 25_000
    plan_s: float = 150.0
    benchmark_s: float = 60.0
    measured: int = 0


@dataclass(frozen=True)
class Line:
    """One line of an estimate."""

    item: str
    quantity: float
    unit: str
    price_usd: float
    usd: float


def read_cost(at: Target, lineage: str, days: int) -> dict[str, Any]:
    """Return what a lineage has cost, by day, cycle, attempt, model and adoption."""
    return {**cost_of(lineage, _attempts(at, lineage, days), load_prices()), "days": _days(at, lineage, days)}


def read_calls(at: Target, lineage: str, attempt_id: str) -> dict[str, Any]:
    """Return every call of one attempt; raises `UserError` when the attempt has no conversation."""
    talk = at.bucket.get_json(artifacts.transcript(lineage, attempt_id))
    if talk is None:
        raise UserError(f"attempt {attempt_id!r} of lineage {lineage!r} had no conversation with a model")
    return {"attempt_id": attempt_id, "model": talk["model"], "calls": talk["calls"]}


def cost_of(lineage: str, attempts: Iterable[Mapping[str, Any]], prices: PriceTable) -> dict[str, Any]:
    """Sum up attempts of the record."""
    rows = [_row(attempt) for attempt in attempts]
    total, compute = _sum(rows, "llm_cost_usd"), _sum(rows, "compute_cost_usd")
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
        "calls": calls,
        "usd_a_call": round(total / calls, 6) if calls else None,
        "usd_an_attempt": round(total / len(rows), 6) if rows else None,
        "adoptions": adopted,
        "usd_an_adoption": round((total + compute) / adopted, 6) if adopted else None,
        "models": {name: round(usd, 6) for name, usd in sorted(models.items())},
        "cycles": [{"cycle_id": name, "llm_cost_usd": round(usd, 6)} for name, usd in sorted(cycles.items())],
        "attempts": rows,
    }


def _row(attempt: Mapping[str, Any]) -> dict[str, Any]:
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
        "plan_s": attempt.get("plan_s", 0.0),
        "benchmark_s": round(attempt.get("measure_s", 0.0) + attempt.get("confirm_s", 0.0), 3),
    }


def read_assumptions(state_dir: Path, lineage: str, progress: Any) -> Assumptions:
    """Return the means of the attempts that a model planned, or the built-in assumptions when there are none."""
    if not (state_dir / "emulator").is_dir():
        return Assumptions()
    with join_session(state_dir, progress) as session:
        rows = [_row(a) for a in _attempts(session, lineage or LINEAGE, DAYS_A_MONTH)]
    return assumptions_of(rows)


def assumptions_of(rows: Iterable[Mapping[str, Any]]) -> Assumptions:
    """Return the means of rows of `cost_of` that a model planned and that were measured."""
    used = [row for row in rows if row["llm_calls"] and row["benchmark_s"]]
    if not used:
        return Assumptions()
    read = _sum(used, "tokens_cache_read")
    tokens_in = _sum(used, "tokens_in") + _sum(used, "tokens_cache_write") + read
    return Assumptions(
        calls=_sum(used, "llm_calls") / len(used),
        tokens_in=tokens_in / len(used),
        cached=read / tokens_in if tokens_in else 0.0,
        tokens_out=_sum(used, "tokens_out") / len(used),
        plan_s=_sum(used, "plan_s") / len(used),
        benchmark_s=_sum(used, "benchmark_s") / len(used),
        measured=len(used),
    )


def estimate(settings: Settings, days: int, cycles_a_day: int, each: Assumptions) -> dict[str, Any]:
    """Estimate what AWS and the language model would charge.

    Raises
    ------
    UserError
        The model has no price.
    """
    prices = load_prices()
    lines: list[Line] = []
    attempts_a_day = min(cycles_a_day * settings.slots, settings.max_attempts_per_day)
    if settings.planner == "claude":
        one = _model_lines(prices, settings, each)
        attempt_usd = sum(line.usd for line in one)
        # The budget stops the planner; attempts beyond it are skipped and reach no benchmark.
        if attempt_usd:
            attempts_a_day = int(min(attempts_a_day, settings.daily_budget_usd / attempt_usd))
        planned = attempts_a_day * days
        lines += [replace(line, quantity=line.quantity * planned, usd=line.usd * planned) for line in one]
    load = Load(
        days=days,
        cycles=cycles_a_day * days,
        attempts=attempts_a_day * days,
        calls=each.calls,
        plan_s=each.plan_s if settings.planner == "claude" else SEARCH_S,
        benchmark_s=each.benchmark_s,
    )
    lines += [
        Line(
            used.item,
            used.quantity,
            used.unit,
            prices.aws[used.price],
            used.quantity * prices.aws[used.price],
        )
        for used in usage_of(load)
    ]
    return {
        "days": days,
        "cycles_a_day": cycles_a_day,
        "attempts_a_day": attempts_a_day,
        "prices_as_of": prices.as_of,
        "region": prices.region,
        "assumptions": asdict(each),
        "lines": [{**asdict(line), "usd": round(line.usd, 2)} for line in lines],
        "total_usd": round(sum(line.usd for line in lines), 2),
    }


def _model_lines(prices: PriceTable, settings: Settings, each: Assumptions) -> list[Line]:
    """Return what one attempt costs, by model and kind of token; an ensemble's models by their weights."""
    models = parse_models(settings.planner_models)
    whole = sum(weight for _, weight in models)
    lines = []
    for name, weight in models:
        try:
            price = prices.model(name, settings.planner_provider)
        except UnknownPrice as unknown:
            raise UserError(str(unknown)) from None
        share = weight / whole / MILLION
        for kind, tokens, usd in (
            # What is not read from the cache is written to it.
            ("input", each.tokens_in * (1 - each.cached), price.cache_write_5m),
            ("input from the cache", each.tokens_in * each.cached, price.cache_read),
            ("output", each.tokens_out, price.output),
        ):
            quantity = tokens * share
            lines.append(
                Line(f"language model {name}, {kind}", quantity, "million tokens", usd, quantity * usd)
            )
    return lines


def _attempts(at: Target | Session, lineage: str, days: int) -> list[dict[str, Any]]:
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    return at.record.since(lineage, since, ATTEMPTS_READ)


def _days(at: Target, lineage: str, days: int) -> list[dict[str, Any]]:
    rows = []
    for back in range(days):
        day = (datetime.now(UTC) - timedelta(days=back)).date().isoformat()
        counters = at.control.day(lineage, day)
        if counters:
            rows.append(
                {
                    "day": day,
                    "spent_usd": counters.get("spent_usd", 0.0),
                    "attempts": int(counters.get("attempts", 0)),
                }
            )
    return rows


def _sum(rows: Iterable[Mapping[str, Any]], name: str) -> float:
    return round(sum(row[name] for row in rows), 6)
