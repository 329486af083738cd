"""Commands for one codec: measure it, check it, compare it, call one function in the sandbox; and the references."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.commands.options import (
    DEFAULT_STATE_DIR,
    DONE,
    FAILED,
    AsJson,
    CodecFile,
    LibraryCodecs,
    Lineage,
    StateDir,
    print_json,
    progress,
    say,
)

app = typer.Typer()
"""Mounted by `infra.cli`."""


class PolicySwitch(StrEnum):
    """Whether the language policy applies."""

    ON = "on"
    OFF = "off"


class SandboxMode(StrEnum):
    """The layers of the sandbox that are in force."""

    FULL = "full"
    LAMBDA = "lambda"


Plot = Annotated[
    Path | None,
    typer.Option(
        help="File for the rate-distortion plot: .svg or .png; any other name draws both.", show_default=False
    ),
]
"""``--plot``."""


@app.command()
def benchmark(
    file: CodecFile,
    plot: Plot = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            help="File for a picture: original and decoded frame, and the error.", show_default=False
        ),
    ] = None,
    anchors: Annotated[bool, typer.Option(help="Add the reference curves to the JSON report.")] = False,
    vmaf: Annotated[
        bool, typer.Option(help="Add VMAF NEG of one window a clip; needs an ffmpeg with libvmaf.")
    ] = False,
    quick: Annotated[
        bool, typer.Option(help="Leave out the sealed windows: half the time, no figures of record.")
    ] = False,
    library_codecs: LibraryCodecs = False,
    as_json: AsJson = False,
) -> None:
    """Measure a codec on the training clips and the sealed windows, as the loop does."""
    from infra.commands.codec_tables import print_benchmark
    from infra.workbench.benchmark import benchmark_file

    report = benchmark_file(
        file,
        progress=progress,
        plot=plot,
        picture=picture,
        anchors=anchors,
        with_vmaf=vmaf,
        quick=quick,
        library_codecs=library_codecs,
    )
    if as_json:
        print_json(report)
    else:
        print_benchmark(Console(), report)
    raise typer.Exit(DONE if report["status"] == "passed" else FAILED)


@app.command()
def validate(file: CodecFile, library_codecs: LibraryCodecs = False, as_json: AsJson = False) -> None:
    """Check a codec against the language policy and list all violations."""
    from infra.workbench.benchmark import validate_file

    answer = validate_file(file, library_codecs=library_codecs)
    if as_json:
        print_json(answer)
    else:
        for violation in answer["violations"]:
            line, column = violation["line"], violation["column"]
            place = f"{file}:{line}:{column}: {violation['construct']}" if line else file
            say(f"{place}: {violation['message']}")
        say(f"{file}: {answer['status']}")
    raise typer.Exit(DONE if answer["status"] == "passed" else FAILED)


@app.command()
def compare(
    candidate: Annotated[
        str, typer.Argument(metavar="CANDIDATE", help="A codec: a file, or the number of an adopted version.")
    ],
    incumbent: Annotated[
        str, typer.Argument(metavar="INCUMBENT", help="The codec to beat: a file or a version.")
    ],
    plot: Plot = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Also measure the held-out windows, for a final verdict.")
    ] = False,
    lineage: Lineage = "main",
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Judge a codec against another by the adoption rule, on the same windows.

    Digits name a version of the evolution in the state directory, anything else a file; write ./1 for a file called 1.
    The exit status is 1 when either codec fails to run, whatever the verdict.
    """
    from infra.commands.codec_tables import print_comparison
    from infra.workbench.comparison import compare_codecs
    from infra.workbench.named_codecs import named_codecs

    codecs = named_codecs([candidate, incumbent], state_dir, lineage, progress)
    answer = compare_codecs(*codecs, progress=progress, plot=plot, held_out=held_out)
    if as_json:
        print_json(answer)
    else:
        print_comparison(Console(), answer)
    raise typer.Exit(FAILED if answer["verdict"]["failure_kind"] else DONE)


@app.command()
def sandbox(
    file: CodecFile,
    call: Annotated[
        str, typer.Option(help="Name of the function to call with (frame, frame_index, config).")
    ],
    policy: Annotated[
        PolicySwitch, typer.Option(help="Whether to check the file against the language policy first.")
    ] = (PolicySwitch.ON),
    mode: Annotated[
        SandboxMode,
        typer.Option(help="full: all layers of this machine; lambda: those that AWS Lambda leaves."),
    ] = SandboxMode.FULL,
    as_json: AsJson = False,
) -> None:
    """Call one function of a file in the sandbox and report the outcome."""
    from infra.workbench.diagnosis import call_in_sandbox

    answer = call_in_sandbox(file, call, with_policy=policy is PolicySwitch.ON, mode=mode.value)
    if as_json:
        print_json(answer)
    else:
        say(f"{answer['outcome']}: {answer['detail']}")
    raise typer.Exit(DONE if answer["outcome"] == "returned" else FAILED)


@app.command()
def references(
    force: Annotated[bool, typer.Option(help="Measure all curves again.")] = False,
) -> None:
    """Measure the reference encoders on all windows that have no curve yet."""
    from infra.workbench.references import rebuild_references

    measured = rebuild_references(progress=progress, force=force)
    say(f"{measured} curves measured")
