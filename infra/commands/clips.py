"""Commands for the set of clips that the benchmark measures on."""

from __future__ import annotations

from enum import StrEnum
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


@app.command("list")
def clips_list(as_json: AsJson = False) -> None:
    """List the clips with role, content and licence, and figures of a ready-made encoding."""
    from infra.commands.listings import print_clips
    from infra.workbench.clips_add import list_clips

    clips = list_clips()
    if as_json:
        print_json({"clips": clips})
        return
    print_clips(Console(), clips)


@app.command("remove")
def clips_remove(name: Annotated[str, typer.Argument(help="Name of an added clip.")]) -> None:
    """Remove an added clip from the set."""
    from infra.workbench.clips_add import remove_clip

    remove_clip(name)
    say(f"{name}: removed")
