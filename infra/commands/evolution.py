"""Commands of the evolution: run it, list what it did."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from infra.commands.options import (
    DEFAULT_STATE_DIR,
    DONE,
    FAILED,
    AsJson,
    LibraryCodecs,
    Lineage,
    StateDir,
    at_target,
    print_json,
    progress_console,
)
from infra.commands.target_name import Target
from infra.errors import UserError
from infra.settings import Settings, SettingsError

app = typer.Typer()


class PlannerName(StrEnum):
    """Who writes candidates."""

    SEARCH = "search"
    CLAUDE = "claude"


@app.command()
def run(
    cycles: Annotated[int, typer.Option(min=1, max=100_000, help="Cycles to run.")] = 3,
    slots: Annotated[int, typer.Option(min=1, max=40, help="Attempts in each cycle.")] = 1,
    planner: Annotated[PlannerName, typer.Option(help="Who writes candidates.")] = PlannerName.SEARCH,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search planner.")] = 0,
    model: Annotated[
        str, typer.Option(help="Claude's model, or several with weights: name=3,name=1.")
    ] = Settings.planner_models,
    daily_budget_usd: Annotated[
        float, typer.Option(help="Claude's daily limit; the loop stops at it.")
    ] = Settings.daily_budget_usd,
    library_codecs: LibraryCodecs = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Run cycles of the real state machine on this machine, and go on where the last run stopped.

    Ends with exit status 1 where a cycle may not run or fails; what was concluded before is shown and kept.
    """
    from infra.commands.screen import RunScreen
    from infra.local.runner import RunSettings, run_cycles

    try:
        Settings(planner_models=model, daily_budget_usd=daily_budget_usd)
    except SettingsError as error:
        raise UserError(str(error)) from None
    settings = RunSettings(
        state_dir=state_dir,
        cycles=cycles,
        slots=slots,
        planner=planner.value,
        seed=seed,
        models=model,
        daily_budget_usd=daily_budget_usd,
        library_codecs=library_codecs,
    )
    screen = RunScreen(progress_console)
    result = run_cycles(settings, screen)
    if as_json:
        print_json(result.as_dict())
    else:
        screen.summary(result)
    raise typer.Exit(FAILED if result.refused or result.failed else DONE)


@app.command()
@at_target
def history(
    at: Target,
    lineage: Lineage = "",
    status: Annotated[str | None, typer.Option(help="adopted, rejected, test_failed or skipped.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Newest attempts to list.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the attempts of the evolution record, newest first."""
    from infra.commands.history import read_history
    from infra.commands.screen import print_history

    listing = read_history(at, lineage or at.lineage, status=status, limit=limit)
    if as_json:
        print_json(listing)
    else:
        print_history(Console(), listing)
