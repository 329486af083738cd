"""Options and output that the commands share."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from infra.target_name import TargetName

DONE, FAILED, USAGE = 0, 1, 2
"""Exit statuses: done; the thing asked about failed; usage or environment."""

DEFAULT_STATE_DIR = Path(".local")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
StateDir = Annotated[Path, typer.Option("--state-dir", help="Where the local evolution lives.")]
Lineage = Annotated[str, typer.Option(help="The line of evolution.")]
AtTarget = Annotated[TargetName, typer.Option("--target", help="Where the evolution is.")]
LibraryCodecs = Annotated[
    bool, typer.Option("--library-codecs", help="Allow ready-made image codecs, such as cv2.imencode.")
]
CodecFile = Annotated[Path, typer.Argument(metavar="FILE", help="Python source of a codec.")]

progress_console = Console(stderr=True)


def print_json(value: Any) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def progress(text: str) -> None:
    """Say on standard error what is going on; the text is never taken for markup."""
    progress_console.print(text, highlight=False, markup=False, soft_wrap=True)
