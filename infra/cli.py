"""The command line: one call a command, JSON for scripts, exit 0 done, 1 failed, 2 usage or environment."""

from __future__ import annotations

import sys

import typer

from infra.commands import codec, evolution, framework, machine, money, operate
from infra.commands.options import USAGE, progress_console
from infra.errors import UserError

app = typer.Typer(
    name="codec-evolution",
    help="An autonomous research system that writes, tests, adopts and commits its own video codec.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for topic in (evolution, codec, framework, machine, money, operate):
    app.add_typer(topic.app)
app.add_typer(codec.clips_app, name="clips")


def main() -> None:
    """Run the command line; an error that a user can mend is one sentence and exit status 2."""
    try:
        app()
    except UserError as error:
        progress_console.print(
            f"codec-evolution: {error}", style="red", highlight=False, markup=False, soft_wrap=True
        )
        sys.exit(USAGE)


if __name__ == "__main__":
    main()
