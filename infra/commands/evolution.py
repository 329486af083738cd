"""Commands of the evolution: run cycles, list attempts."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from codec_evolution.loop.islands import MAX_ISLANDS
from codec_evolution.planner_specs import SEARCH, PlannerName
from rich.console import Console

from infra.commands.options import (
    DEFAULT_STATE_DIR,
    DONE,
    FAILED,
    AsJson,
    LibraryCodecs,
    Lineage,
    StateDir,
    print_json,
    progress,
    progress_console,
    reads_target,
    say,
)
from infra.commands.target import Readable
from infra.settings import MAX_SLOTS, Settings

app = typer.Typer()
"""Mounted by `infra.cli`."""


Planner = Annotated[
    PlannerName,
    typer.Option(help="Who writes candidates; search needs no key, claude needs ANTHROPIC_API_KEY."),
]
"""``--planner``."""


class Effort(StrEnum):
    """What the search planner spends on the trials of an attempt."""

    QUICK = "quick"
    NORMAL = "normal"
    DEEP = "deep"


SearchEffort = Annotated[
    Effort,
    typer.Option(
        help="Probes of a search attempt before it proposes: quick none, normal two, deep four, then one trained."
    ),
]
"""``--effort``."""
Model = Annotated[
    str, typer.Option(help="Model of the planner claude, or several with weights: name=3,name=1.")
]
"""``--model``."""
DailyBudget = Annotated[
    float, typer.Option(help="USD per day (UTC) for the planner claude; the loop stops at it.")
]
"""``--daily-budget-usd``."""
Islands = Annotated[
    int, typer.Option(min=1, max=MAX_ISLANDS, help="Lineages that evolve side by side (main, main-2, ...).")
]
"""``--islands``."""
MigrationCycles = Annotated[
    int, typer.Option(min=1, max=10_000, help="Cycles after which an island tries another one's incumbent.")
]
"""``--migration-cycles``."""
ResumeShipped = Annotated[
    bool,
    typer.Option("--resume-shipped", help="Begin with the lineage that ships instead of with version 0."),
]
"""``--resume-shipped``."""


@app.command()
def run(
    cycles: Annotated[int, typer.Option(min=1, max=100_000, help="Cycles to run, one after the other.")] = 3,
    slots: Annotated[int, typer.Option(min=1, max=MAX_SLOTS, help="Attempts in each cycle.")] = 1,
    islands: Islands = 1,
    migration_cycles: MigrationCycles = Settings.migration_cycles,
    planner: Planner = SEARCH,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search planner.")] = 0,
    effort: SearchEffort = Effort.QUICK,
    model: Model = Settings.planner_models,
    daily_budget_usd: DailyBudget = Settings.daily_budget_usd,
    library_codecs: LibraryCodecs = False,
    resume_shipped: ResumeShipped = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Run cycles of the state machine on this machine, from where the last run stopped.

    The exit status is 1 when a cycle may not run or fails; attempts concluded before are shown and kept.
    """
    from infra.commands.run_screen import RunScreen
    from infra.local.runner import run_cycles

    settings = Settings(
        planner=planner,
        slots=slots,
        islands=islands,
        migration_cycles=migration_cycles,
        search_seed=seed,
        search_effort=effort.value,
        planner_models=model,
        daily_budget_usd=daily_budget_usd,
        library_codecs=library_codecs,
    )
    settings.check_prices()
    screen = RunScreen(progress_console)
    result = run_cycles(settings, cycles, state_dir, screen, resume_shipped=resume_shipped)
    if as_json:
        print_json(result.as_dict())
    else:
        screen.summary(result)
    raise typer.Exit(FAILED if result.refused or result.failed else DONE)


@app.command()
def report(
    version: Annotated[
        int | None,
        typer.Argument(
            min=0, metavar="[VERSION]", help="Number of an adopted version; the incumbent by default."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    lineage: Lineage = "main",
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Write a page about a version: curves and BD-rates by clip, time, and what each version before it changed.

    Nothing is measured for it. Without a local evolution the page is about the lineage that ships.
    """
    from infra.workbench.film_output import check_output
    from infra.workbench.lineage_page import versions_of, write_page

    check_output(out, (".html",))
    versions = versions_of(version, state_dir, lineage, progress)
    write_page(out, versions)
    say(f"{out}: version {versions[0].attempt.adopted_version} and {len(versions) - 1} before it")


@app.command()
@reads_target
def history(
    target: Readable,
    lineage: Lineage = "",
    status: Annotated[
        str | None,
        typer.Option(help="Only attempts with this status: adopted, rejected, test_failed or skipped."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, help="Number of attempts to list, newest first.")
    ] = 50,
    held_out: Annotated[
        bool,
        typer.Option("--held-out", help="Add how each did on the held-out clips, which planners never see."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List attempts, newest first."""
    from infra.commands.history import read_history
    from infra.commands.listings import print_history

    listing = read_history(target, lineage or target.lineage, status=status, limit=limit, held_out=held_out)
    if as_json:
        print_json(listing)
    else:
        print_history(Console(), listing)
