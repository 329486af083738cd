"""Commands of the framework's self-repair: call a tool, list changes, approve, deny, roll back."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from infra.commands.options import DONE, FAILED, AsJson, at_target, print_json, reads_target, say
from infra.commands.tables import print_paragraph
from infra.commands.target import Readable, Target

app = typer.Typer()
"""Mounted by `infra.cli`."""
ModificationId = Annotated[str, typer.Argument(metavar="ID", help="Id of a modification.")]
"""An argument that names a modification."""


class ToolCommand(TyperCommand):
    """Completes its help from the table of tools when it is shown: loading the table would delay all commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help with the tools' arguments."""
        from codec_evolution.framework.tool_specs import FRAMEWORK_TOOLS

        usage = "\n\n".join(f"{spec.name}: {spec.usage}" for spec in FRAMEWORK_TOOLS)
        self.help = f"{self.help}\n\nTools and their arguments:\n\n{usage}"
        super().format_help(ctx, formatter)


@app.command(cls=ToolCommand)
@at_target
def tool(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the tool; see above.")],
    args: Annotated[
        str, typer.Option("--args", help="The tool's arguments as a JSON object; see above.")
    ] = "{}",
    reason: Annotated[str, typer.Option(help="Why; shown in the record and the commit.")] = "Called by hand",
    as_json: AsJson = False,
) -> None:
    """Call one framework tool through the same guard, record and host as the planner."""
    from infra.commands.framework_calls import TAKEN_EFFECT, call_tool

    _show(call_tool(target, name, args, reason), as_json, TAKEN_EFFECT)


@app.command()
@at_target
def approve(target: Target, modification_id: ModificationId, as_json: AsJson = False) -> None:
    """Approve a waiting call and carry it out; approving twice carries it out once."""
    from infra.commands.framework_calls import TAKEN_EFFECT, decide

    _show(decide(target, "approve", modification_id), as_json, TAKEN_EFFECT)


@app.command()
@at_target
def deny(target: Target, modification_id: ModificationId, as_json: AsJson = False) -> None:
    """Deny a waiting call."""
    from infra.commands.framework_calls import decide

    _show(decide(target, "deny", modification_id), as_json, frozenset({"denied"}))


@app.command()
@at_target
def rollback(target: Target, modification_id: ModificationId, as_json: AsJson = False) -> None:
    """Undo an applied change and make the result live."""
    from infra.commands.framework_calls import TAKEN_EFFECT, decide

    _show(decide(target, "rollback", modification_id), as_json, TAKEN_EFFECT)


@app.command()
@reads_target
def modifications(
    target: Readable,
    status: Annotated[
        str | None,
        typer.Option(
            help="Only calls in this state, such as pending_approval or applied.", show_default=False
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Number of calls to list, newest first.")] = 50,
    file: Annotated[
        str, typer.Option(metavar="PATH", help="Only calls about this file.", show_default=False)
    ] = "",
    one: Annotated[
        str, typer.Option("--id", metavar="ID", help="Print this call in full, as JSON.", show_default=False)
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the calls of the framework tools, newest first."""
    from infra.commands.framework_calls import list_modifications, show_modification
    from infra.commands.listings import print_modifications

    if one:
        print_json(show_modification(target, one))
        return
    listing = list_modifications(target, status, limit, file)
    if as_json:
        print_json(listing)
        return
    print_modifications(Console(), listing["modifications"])


@app.command()
@reads_target
def tools(target: Readable, as_json: AsJson = False) -> None:
    """Show how the framework tools are used, and which failures stopped after a change."""
    from infra.commands.framework_calls import analyse
    from infra.commands.listings import print_tools

    analytics = analyse(target)
    if as_json:
        print_json(analytics)
        return
    print_tools(Console(), analytics)


def _show(item: dict[str, Any], as_json: bool, good: frozenset[str]) -> None:
    if as_json:
        print_json(item)
    else:
        console = Console()
        for name in ("modification_id", "status", "rule", "message"):
            if item.get(name):
                print_paragraph(console, f"{name}: {item[name]}")
        if item.get("diff"):
            say(f"diff: {item['diff']}")
    raise typer.Exit(DONE if item["status"] in good else FAILED)
