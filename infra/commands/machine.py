"""Commands about this machine."""

from __future__ import annotations

import typer
from rich.console import Console

from infra.commands.options import DONE, FAILED, AsJson, print_json

app = typer.Typer()


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Tell what this machine offers: the sandbox's layers, the tools, the clips."""
    from infra.local.doctor import examine
    from infra.local.screen import print_doctor

    findings = examine()
    if as_json:
        print_json(findings)
    else:
        print_doctor(Console(), findings)
    raise typer.Exit(DONE if findings["status"] == "passed" else FAILED)
