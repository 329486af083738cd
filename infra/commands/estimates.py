"""What a deployment would cost: AWS usage and language model tokens, times the price table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from codec_evolution.planner_specs import PLANNERS
from codec_evolution.pricing import MILLION, PriceTable, UnknownPrice, load_prices, parse_models

from infra.commands.aws_usage import (
    ADOPTIONS_A_DAY,
    DAYS_A_MONTH,
    HOST_HOURS_A_USE,
    HOST_USES_A_DAY,
    HOURS_A_DAY,
    Load,
    usage_of,
)
from infra.commands.costs import cost_row, read_attempts, total_of
from infra.errors import UserError
from infra.local.session import LINEAGE, has_evolution, join_session
from infra.progress import Progress
from infra.settings import INLINE_SLOTS, Settings

SEARCH_S = 2.0
"""Seconds that Plan takes for an attempt of the search planner."""


@dataclass(frozen=True)
class Assumptions:
    """What one attempt needs.

    Attributes
    ----------
    calls
        Calls to the language model.
    tokens_in, tokens_out
        Tokens over all calls, cached ones included.
    cached
        Share of the input tokens that is read from the provider's cache, 0 to 1.
    plan_s, benchmark_s
        Seconds of the planner's and of the benchmark's functions.
    measured
        Number of attempts that these are the means of; 0 when they are assumed.
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
    """One line of an estimate: a quantity, the price of one unit and what it comes to, in USD.

    Attributes
    ----------
    usd
        Of the running deployment.
    paused_usd, idle_usd
        Of one whose schedule is off, and of one whose ticks are all refused.
    source, as_of
        The public page of the price, and the day on which it was read.
    """

    item: str
    quantity: float
    unit: str
    price_usd: float
    usd: float
    source: str
    as_of: str
    paused_usd: float = 0.0
    idle_usd: float = 0.0


def read_assumptions(state_dir: Path, lineage: str, progress: Progress) -> Assumptions:
    """Return the means of the local attempts that a model planned, or the defaults when there are none."""
    if not has_evolution(state_dir):
        return Assumptions()
    with join_session(state_dir, progress) as session:
        attempts = read_attempts(session.record, lineage or LINEAGE, DAYS_A_MONTH)
    return assumptions_of(map(cost_row, attempts))


def assumptions_of(rows: Iterable[Mapping[str, Any]]) -> Assumptions:
    """Return the means of the rows of `cost_row` that a model planned and that were measured, or the defaults."""
    used = [row for row in rows if row["llm_calls"] and row["benchmark_s"]]
    if not used:
        return Assumptions()
    read = total_of(used, "tokens_cache_read")
    tokens_in = total_of(used, "tokens_in") + total_of(used, "tokens_cache_write") + read
    return Assumptions(
        calls=total_of(used, "llm_calls") / len(used),
        tokens_in=tokens_in / len(used),
        cached=read / tokens_in if tokens_in else 0.0,
        tokens_out=total_of(used, "tokens_out") / len(used),
        plan_s=total_of(used, "plan_s") / len(used),
        benchmark_s=total_of(used, "benchmark_s") / len(used),
        measured=len(used),
    )


def estimate(settings: Settings, days: int, cycles_a_day: int, each: Assumptions) -> dict[str, Any]:
    """Estimate what AWS and the language model would charge.

    Parameters
    ----------
    cycles_a_day
        Ticks of each island's schedule.
    each
        What one attempt needs.

    Raises
    ------
    UserError
        The model has no price.
    """
    prices = load_prices()
    model_lines = _model_lines(prices, settings, each) if PLANNERS[settings.planner].language_model else []
    load = _load_of(
        settings, days, cycles_a_day * settings.islands, each, sum(line.usd for line in model_lines)
    )
    # Nobody calls a tool while nothing is evolved.
    still = load if settings.framework_host == "always" else replace(load, host_hours=0)
    lines = [_times(line, load.attempts) for line in model_lines]
    lines += _aws_lines(prices, load, still)
    return {
        "days": days,
        "cycles_a_day": cycles_a_day,
        "islands": settings.islands,
        "attempts_a_day": load.attempts // days,
        "prices_as_of": prices.as_of,
        "region": prices.region,
        "assumptions": asdict(each),
        "lines": [
            {
                **asdict(line),
                **{name: round(getattr(line, name), 2) for name in ("usd", "paused_usd", "idle_usd")},
            }
            for line in lines
        ],
        "total_usd": round(sum(line.usd for line in lines), 2),
        "paused_usd": round(sum(line.paused_usd for line in lines), 2),
        "idle_usd": round(sum(line.idle_usd for line in lines), 2),
    }


def _load_of(settings: Settings, days: int, cycles: int, each: Assumptions, attempt_usd: float) -> Load:
    """Return what a loop of so many cycles a day does, whose model costs so much for an attempt."""
    attempts = _attempts_a_day(settings, cycles, attempt_usd) * days
    return Load(
        days=days,
        islands=settings.islands,
        cycles=cycles * days,
        attempts=attempts,
        opened=min(cycles * days, -(-attempts // settings.slots)),
        children=attempts if settings.slots > INLINE_SLOTS else 0,
        calls=each.calls,
        plan_s=each.plan_s if PLANNERS[settings.planner].language_model else SEARCH_S,
        benchmark_s=each.benchmark_s,
        host_hours=days * _host_hours_a_day(settings),
        audits=ADOPTIONS_A_DAY * settings.islands * days if settings.audit == "on" else 0,
    )


def _host_hours_a_day(settings: Settings) -> float:
    """Return how long a running loop needs the framework host."""
    if settings.framework_host == "always":
        return HOURS_A_DAY
    return 0 if settings.framework_tools == "off" else HOST_USES_A_DAY * HOST_HOURS_A_USE


def _attempts_a_day(settings: Settings, cycles: int, attempt_usd: float) -> int:
    """Return how many attempts are measured: beyond the budget, which islands share, none reaches the benchmark."""
    attempts = min(cycles * settings.slots, settings.max_attempts_per_day)
    return int(min(attempts, settings.daily_budget_usd / attempt_usd)) if attempt_usd else attempts


def _model_lines(prices: PriceTable, settings: Settings, each: Assumptions) -> list[Line]:
    """Return what one attempt costs, by model and kind of token; several models share it by their weights."""
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
            # Tokens that are not read from the cache are written to it.
            ("input", each.tokens_in * (1 - each.cached), price.cache_write_5m),
            ("input from the cache", each.tokens_in * each.cached, price.cache_read),
            ("output", each.tokens_out, price.output),
        ):
            quantity = tokens * share
            item = f"language model {name}, {kind}"
            cost = quantity * usd
            lines.append(Line(item, quantity, "million tokens", usd, cost, price.source, price.as_of))
    return lines


def _times(line: Line, count: int) -> Line:
    return replace(line, quantity=line.quantity * count, usd=line.usd * count)


def _aws_lines(prices: PriceTable, load: Load, still: Load) -> list[Line]:
    """Return the bill of AWS, each line also for a paused and for an idle deployment, which have the same items.

    `still` is the same load while nothing is evolved.
    """
    still = replace(still, opened=0, attempts=0, children=0, audits=0)
    paused, idle = usage_of(replace(still, cycles=0)), usage_of(still)
    lines = []
    for used, off, refused in zip(usage_of(load), paused, idle, strict=True):
        price, source = prices.aws[used.price], prices.sources[used.price]
        lines.append(
            Line(
                used.item,
                used.quantity,
                used.unit,
                price,
                used.quantity * price,
                source.url,
                source.as_of,
                paused_usd=off.quantity * price,
                idle_usd=refused.quantity * price,
            )
        )
    return lines
