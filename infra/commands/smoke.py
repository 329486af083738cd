"""The command `smoke`: does a deployment work, from the sandbox to the notification of an alarm?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from infra.commands.options import DONE, FAILED, AsJson, at_target, print_json, progress, say
from infra.commands.target import Target

if TYPE_CHECKING:
    from infra.commands.smoke_checks import Outcome

app = typer.Typer()
"""Mounted by `infra.cli`."""


@app.command()
@at_target
def smoke(target: Target, as_json: AsJson = False) -> None:
    """Check a deployment: sandbox, version 0, a tool call and its rollback, an alarm, widgets, tables, schedule.

    Takes back what it did. A local check names what only AWS can show. Subscribers of the alarm topic get two messages.
    """
    from infra.commands.reach import deployed_outputs
    from infra.commands.smoke_checks import NOT_SHOWN, SKIPPED, Deployed, Outcome, run_checks
    from infra.settings import APP_STACK, stack_name, stage_of_environment

    is_local = not target.pages
    stage = "" if is_local else stage_of_environment()
    deployed = Deployed(target, deployed_outputs(stage), stack_name(APP_STACK, stage), is_local)
    outcomes = run_checks(deployed, _progress if as_json else _print)
    if is_local:
        outcomes += [Outcome(name, SKIPPED, why, 0.0) for name, why in NOT_SHOWN.items()]
    failed = any(each.state == "failed" for each in outcomes)
    if as_json:
        print_json(
            {
                "status": "failed" if failed else "passed",
                "target": "local" if is_local else "aws",
                "checks": [asdict(each) for each in outcomes],
            }
        )
    elif is_local:
        for name, why in NOT_SHOWN.items():
            say(f"{SKIPPED:8} {name}: {why}")
    raise typer.Exit(FAILED if failed else DONE)


def _print(outcome: Outcome) -> None:
    say(f"{outcome.state:8} {outcome.name} ({outcome.seconds:.1f} s): {outcome.detail}")


def _progress(outcome: Outcome) -> None:
    """Show on standard error that a check is over."""
    progress(f"{outcome.name}: {outcome.state}")
