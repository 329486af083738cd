"""Options and output that the commands share."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from infra.commands.target_name import TargetName

DONE, FAILED, USAGE = 0, 1, 2
"""Exit statuses: done; the thing asked about failed; usage or environment."""

DEFAULT_STATE_DIR = Path(".local")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
StateDir = Annotated[Path, typer.Option("--state-dir", help="Where the local evolution lives.")]
Lineage = Annotated[str, typer.Option(help="The line of evolution; the target's own if it is left out.")]
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


def at_target(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--target`` and ``--state-dir``, and as its first argument what they reach."""
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    added = list(inspect.signature(_where, eval_str=True).parameters.values())

    def reaching(*, target: TargetName, state_dir: Path, **rest: Any) -> None:
        # Late, because it brings boto3 along and the help shall not wait for it.
        from infra.commands.target import reach

        with reach(target, state_dir, progress) as at:
            command(at, **rest)

    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *added)]
    reaching.__name__, reaching.__doc__ = command.__name__, command.__doc__
    reaching.__signature__ = inspect.Signature(parameters)
    reaching.__annotations__ = {each.name: each.annotation for each in parameters}
    return reaching


def _where(target: AtTarget = TargetName.LOCAL, state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """The options that `at_target` adds."""
