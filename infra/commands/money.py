"""Commands about money: what the evolution has cost, what a deployment would cost."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from codec_evolution.loop.islands import MAX_ISLANDS
from codec_evolution.planner_specs import CLAUDE, SEARCH
from rich.console import Console

from infra.commands.options import (
    DEFAULT_STATE_DIR,
    AsJson,
    Lineage,
    StateDir,
    print_json,
    progress,
    reads_target,
)
from infra.commands.target import Readable
from infra.settings import MAX_SLOTS, Settings

app = typer.Typer()
"""Mounted by `infra.cli`."""


@app.command()
@reads_target
def cost(
    target: Readable,
    lineage: Lineage = "",
    days: Annotated[int, typer.Option(min=1, max=90, help="Days to look back (UTC).")] = 30,
    attempt: Annotated[
        str | None,
        typer.Option(metavar="ID", help="List the model calls of this attempt instead.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show in USD what the evolution has cost, by day and model; --json adds attempts and cycles."""
    from infra.commands.costs import read_calls, read_cost
    from infra.commands.listings import print_calls, print_cost

    lineage = lineage or target.lineage
    if attempt is not None:
        calls = read_calls(target, lineage, attempt)
        if as_json:
            print_json(calls)
        else:
            print_calls(Console(), calls["calls"])
        return
    found = read_cost(target, lineage, days)
    if as_json:
        print_json(found)
    else:
        print_cost(Console(), found)


@app.command()
def estimate(
    days: Annotated[int, typer.Option(min=1, max=366, help="Days to estimate.")] = 30,
    cycles_a_day: Annotated[
        int,
        typer.Option(min=1, max=1440, help="Cycles per day and island; a schedule starts one per minute."),
    ] = 1440,
    slots: Annotated[int, typer.Option(min=1, max=MAX_SLOTS, help="Attempts in each cycle.")] = 1,
    islands: Annotated[
        int, typer.Option(min=1, max=MAX_ISLANDS, help="Lineages that evolve side by side, on one budget.")
    ] = 1,
    daily_budget_usd: Annotated[
        float, typer.Option(min=0, max=10_000, help="USD per day that the language model may cost.")
    ] = 20.0,
    model: Annotated[
        str, typer.Option(help="Language model, or several with weights (name=3,name=1), or none.")
    ] = ("claude-opus-5-5"),
    lineage: Lineage = "",
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Estimate in USD what a deployment would cost, each line with its price.

    The means of this record's attempts are used where there are any, otherwise built-in assumptions.
    """
    from infra.commands.estimates import estimate as estimate_cost
    from infra.commands.estimates import read_assumptions
    from infra.commands.listings import print_estimate

    settings = _settings(model, slots=slots, islands=islands, daily_budget_usd=daily_budget_usd)
    found = estimate_cost(settings, days, cycles_a_day, read_assumptions(state_dir, lineage, progress))
    if as_json:
        print_json(found)
    else:
        print_estimate(Console(), found)


def _settings(model: str, **limits: Any) -> Settings:
    if model == "none":
        return Settings(planner=SEARCH, **limits)
    return Settings(planner=CLAUDE, planner_models=model, **limits)
