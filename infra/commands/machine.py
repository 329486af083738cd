"""The command about the machine that measures."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from infra.commands.options import DONE, FAILED, AsJson, print_json
from infra.commands.target import TargetName

app = typer.Typer()
"""Mounted by `infra.cli`."""


@app.command()
def doctor(
    target: Annotated[
        TargetName, typer.Option("--target", help="This machine, or the deployed benchmark function.")
    ] = TargetName.LOCAL,
    as_json: AsJson = False,
) -> None:
    """Check a machine: the sandbox's layers; on this machine also Python, tools and clips."""
    from infra.commands.listings import print_doctor
    from infra.workbench.doctor import examine, examine_deployed

    if target is TargetName.AWS:
        from infra.commands.stacks import stack_outputs
        from infra.settings import APP_STACK, stack_name, stage_of_environment

        findings = examine_deployed(
            stack_outputs(stack_name(APP_STACK, stage_of_environment()))["BenchmarkFunction"]
        )
    else:
        findings = examine()
    if as_json:
        print_json(findings)
    else:
        print_doctor(Console(), findings)
    raise typer.Exit(DONE if findings["status"] == "passed" else FAILED)
