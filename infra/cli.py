"""The command line `codec-evolution`: exit status 0 done, 1 failed, 2 usage or environment."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from infra.commands import audits, clips, codec, evolution, films, framework, machine, money, operate, smoke
from infra.commands.options import USAGE, progress
from infra.errors import UserError

app = typer.Typer(
    name="codec-evolution",
    help="An autonomous research system that writes, tests, adopts and commits its own video codec.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
"""All commands."""
for topic in (evolution, codec, films, audits, framework, machine, money, operate, smoke):
    app.add_typer(topic.app)
app.add_typer(clips.app, name="clips")


def _print_version(wanted: bool) -> None:
    if wanted:
        from infra.commands.version import version_text

        typer.echo(version_text())
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Options of the program itself."""


def main() -> None:
    """Run the command line; a `UserError` becomes one sentence on standard error and exit status 2."""
    # The import of numpy would start a thread of its BLAS for each core, which spins: half of its CPU time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except UserError as error:
        progress(f"codec-evolution: {error}", style="red")
        sys.exit(USAGE)


if __name__ == "__main__":
    main()
