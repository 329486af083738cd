"""Commands about money: what the evolution has cost, what a month would cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.commands.options import (
    DEFAULT_STATE_DIR,
    AsJson,
    Lineage,
    StateDir,
    at_target,
    print_json,
    progress,
)
from infra.commands.target_name import Target
from infra.errors import UserError

app = typer.Typer()


@app.command()
@at_target
def cost(
    at: Target,
    lineage: Lineage = "",
    days: Annotated[int, typer.Option(min=1, max=90, help="How far to look back.")] = 30,
    attempt: Annotated[str | None, typer.Option(help="Show every call of this attempt instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what the evolution has cost: by call, attempt, cycle, day, model and adoption."""
    from infra.commands.costs import read_calls, read_cost

    of = lineage or at.lineage
    found = read_cost(at, of, days) if attempt is None else read_calls(at, of, attempt)
    if as_json:
        print_json(found)
        return
    console = Console()
    if attempt is not None:
        table = _table(
            ["round", "state", "ended"], ["tokens in", "cached", "tokens out", "reserved USD", "cost USD"]
        )
        for call in found["calls"]:
            used = call["usage"]
            read = used["input"] + used["cache_write"] + used["cache_read"]
            told = Text(call["fault"] or call["stop_reason"], overflow="fold")
            figures = (str(figure) for figure in (read, used["cache_read"], used["output"]))
            dollars = (f"{call['reserved_usd']:.4f}", f"{call['cost_usd']:.4f}")
            table.add_row(str(call["round"]), call["state"], told, *figures, *dollars)
        console.print(table)
        return
    table = _table(["day"], ["attempts", "spent USD"])
    for row in found["days"]:
        table.add_row(row["day"], str(row["attempts"]), f"{row['spent_usd']:.4f}")
    console.print(table)
    console.print(
        f"language model {found['llm_cost_usd']:.4f} USD in {found['calls']} calls; the same seconds on Lambda "
        f"{found['compute_cost_usd']:.4f} USD; adoptions: {found['adoptions']}"
        + (f", {found['usd_an_adoption']:.4f} USD each" if found["adoptions"] else "")
        + f" (prices of {found['prices_as_of']})"
    )


@app.command()
def estimate(
    days: Annotated[int, typer.Option(min=1, max=366, help="Days to estimate.")] = 30,
    cycles_a_day: Annotated[
        int, typer.Option(min=1, max=1440, help="Cycles a day; the schedule starts one a minute.")
    ] = 1440,
    slots: Annotated[int, typer.Option(min=1, max=40, help="Attempts in each cycle.")] = 1,
    daily_budget_usd: Annotated[
        float, typer.Option(min=0, max=10_000, help="The planner's daily limit.")
    ] = 20.0,
    model: Annotated[str, typer.Option(help="The language model, or 'none' for the search planner.")] = (
        "claude-opus-5-5"
    ),
    lineage: Lineage = "",
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Estimate what a deployment would cost, line by line with the price used; measured attempts are the base."""
    from infra.commands.costs import estimate as estimate_cost
    from infra.commands.costs import read_assumptions
    from infra.settings import Settings, SettingsError

    planner = {"planner": "search"} if model == "none" else {"planner": "claude", "planner_models": model}
    try:
        settings = Settings(**planner, slots=slots, daily_budget_usd=daily_budget_usd)
    except SettingsError as error:
        raise UserError(str(error)) from None
    found = estimate_cost(settings, days, cycles_a_day, read_assumptions(state_dir, lineage, progress))
    if as_json:
        print_json(found)
        return
    table = _table(["item"], ["quantity", "unit", "price USD", "USD"])
    for line in found["lines"]:
        table.add_row(
            line["item"],
            f"{line['quantity']:,.2f}",
            line["unit"],
            f"{line['price_usd']:.6g}",
            f"{line['usd']:,.2f}",
        )
    table.add_section()
    table.add_row("total", "", "", "", f"{found['total_usd']:,.2f}")
    console = Console()
    console.print(table)
    base = found["assumptions"]["measured"]
    measured = "one attempt" if base == 1 else f"the means of {base} attempts"
    needs = f"{measured} in this record" if base else "assumed"
    console.print(
        f"{found['attempts_a_day']} attempts a day, prices of {found['prices_as_of']} in {found['region']}; "
        f"what an attempt needs is {needs}"
    )


def _table(texts: Sequence[str], figures: Sequence[str]) -> Table:
    """Return a table with its words to the left and its figures to the right; narrow enough for 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in texts:
        table.add_column(name, overflow="fold")
    for name in figures:
        table.add_column(name, justify="right")
    return table
