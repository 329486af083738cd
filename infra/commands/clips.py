"""Commands for the set of clips that the benchmark measures on."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.commands.options import AsJson, print_json, progress, say

app = typer.Typer(help="List, add and remove the clips that the benchmark measures on.", no_args_is_help=True)
"""Mounted by `infra.cli` as ``clips``."""


class ClipRole(StrEnum):
    """What a clip is for."""

    TRAIN = "train"
    HELD_OUT = "held_out"


@app.command("fetch")
def clips_fetch() -> None:
    """Download the default clips and cut their windows; does nothing when they are there."""
    from infra.workbench.clips_setup import fetch_clips

    fetch_clips(progress=progress)


@app.command("add")
def clips_add(
    location: Annotated[
        str,
        typer.Argument(metavar="LOCATION", help="A video file, a directory of them, or s3://bucket/prefix."),
    ],
    role: Annotated[
        ClipRole, typer.Option(help="train: the loop trains on it; held_out: only confirms with it.")
    ],
    licence: Annotated[str, typer.Option(help="The licence, as shown in lists and plots.")] = "not stated",
    pictures: Annotated[bool, typer.Option(help="The licence allows showing frames in pictures.")] = False,
) -> None:
    """Add your own videos: check and cut them, and measure the reference encoders on them."""
    from infra.workbench.clips_add import add_clips

    for name in add_clips(location, role.value, licence=licence, pictures=pictures, progress=progress):
        say(f"{name}: added")


@app.command("audit")
def clips_audit(
    video: Annotated[Path, typer.Argument(metavar="FILE", help="Your own video, best 1920x1080.")],
    name: Annotated[str, typer.Option(help="Name of the clip; by default it follows the file's.")] = "",
    segments: Annotated[int, typer.Option(min=1, help="Segments, spread over the video.")] = 3,
    frames: Annotated[int, typer.Option(min=1, help="Frames of each segment.")] = 8,
    licence: Annotated[str, typer.Option(help="The licence, as shown in lists.")] = "not stated",
) -> None:
    """Store segments of your own video at native size, for full-size audits by the deployed benchmark.

    No contest uses them and no planner sees them. The next deployment takes them into the benchmark's image. Where
    HEVC_HD_10Mbps.mp4, an encoding of the same video, lies beside the file, audits compare with that as well.
    """
    from infra.workbench.clips_audit import add_audit_clip

    added = add_audit_clip(
        video, name=name, segments=segments, frames=frames, licence=licence, progress=progress
    )
    say(f"{added}: {segments} segments stored; `codec-evolution audit VERSION` measures a version on them")


@app.command("list")
def clips_list(as_json: AsJson = False) -> None:
    """List the clips with role, content and licence, and figures of a ready-made encoding."""
    from infra.commands.listings import print_clips
    from infra.workbench.clips_add import list_clips
    from infra.workbench.clips_audit import list_audit_clips

    clips = [*list_clips(), *list_audit_clips()]
    if as_json:
        print_json({"clips": clips})
        return
    print_clips(Console(), clips)


@app.command("remove")
def clips_remove(name: Annotated[str, typer.Argument(help="Name of an added clip.")]) -> None:
    """Remove an added clip from the set."""
    from infra.workbench.clips_add import remove_clip
    from infra.workbench.clips_audit import remove_audit_clip

    if not remove_audit_clip(name):
        remove_clip(name)
    say(f"{name}: removed")
