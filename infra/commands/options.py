"""Options and output that the commands share."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from codec_evolution.framework.visible_text import visible
from rich.console import Console

from infra.commands.target import TargetName

DONE, FAILED, USAGE = 0, 1, 2
"""Exit statuses: done; the thing asked about failed; usage or environment."""

DEFAULT_STATE_DIR = Path(".local")
"""Where the local evolution lives unless told."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
"""``--json``."""
StateDir = Annotated[Path, typer.Option("--state-dir", help="Directory of the local evolution.")]
"""``--state-dir``."""
Lineage = Annotated[
    str, typer.Option(help="Line of evolution; without it, the target's own.", show_default=False)
]
"""``--lineage``."""
TargetOption = Annotated[
    TargetName, typer.Option("--target", help="The evolution on this machine, or the one deployed on AWS.")
]
"""``--target``."""
LibraryCodecs = Annotated[
    bool, typer.Option("--library-codecs", help="Allow ready-made image codecs, such as cv2.imencode.")
]
"""``--library-codecs``."""
CodecFile = Annotated[Path, typer.Argument(metavar="FILE", help="Python source of a codec, UTF-8.")]
"""The argument of commands that work on one codec."""
Source = Annotated[
    Path | None,
    typer.Option(help="File with the codec's source, instead of an adopted version.", show_default=False),
]
"""``--source``."""
Version = Annotated[
    int | None,
    typer.Option(min=0, help="Adopted version; without it, the incumbent.", show_default=False),
]
"""``--version``."""

progress_console = Console(stderr=True)
"""Standard error, for progress and errors."""


def print_json(value: Any) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_document(text: str) -> None:
    """Write a file's text to standard output: exact for a program, with escapes where a terminal shows it."""
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)


def say(text: str, *, nl: bool = True) -> None:
    """Write a text for a person to standard output, with its hidden characters as escapes."""
    typer.echo(visible(text), nl=nl)


def progress(text: str, style: str = "") -> None:
    """Write a line of progress to standard error; the text is not taken as markup, hidden characters are escapes."""
    progress_console.print(visible(text), style=style or None, highlight=False, markup=False, soft_wrap=True)


def at_target(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--target`` and ``--state-dir``, and as its first argument the `Target` they name."""
    return _with_options(command, reads=False)


def reads_target(command: Callable[..., None]) -> Callable[..., None]:
    """Do as `at_target` for a command that only reads: no stack is started where one runs or has saved its state.

    Its first argument is a `Readable`.
    """
    return _with_options(command, reads=True)


def _with_options(command: Callable[..., None], *, reads: bool) -> Callable[..., None]:
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    added = list(inspect.signature(_options, eval_str=True).parameters.values())

    def with_target(*, target: TargetName, state_dir: Path, **rest: Any) -> None:
        """Connect, then call the command."""
        if reads and target is TargetName.LOCAL:
            from infra.commands.stored import stored_evolution

            if (stored := stored_evolution(state_dir)) is not None:
                command(stored, **rest)
                return
            from infra.commands.running import running_evolution

            with running_evolution(state_dir) as running:
                if running is not None:
                    command(running, **rest)
                    return
        # Imported late because it loads boto3, which would delay the help.
        from infra.commands.reach import reach

        with reach(target, state_dir, progress) as reached:
            command(reached, **rest)

    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *added)]
    with_target.__name__, with_target.__doc__ = command.__name__, command.__doc__
    with_target.__signature__ = inspect.Signature(parameters)
    with_target.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_target


def _options(target: TargetOption = TargetName.LOCAL, state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """The options that `at_target` adds."""
