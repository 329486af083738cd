"""Commands of the framework's self-repair: call a tool, look at what was changed, decide, undo."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from codec_evolution.framework.tool_specs import FRAMEWORK_TOOLS, TOOLS
from rich.console import Console

from infra.commands.options import DONE, FAILED, AsJson, at_target, print_json
from infra.commands.target import Target

app = typer.Typer()

TOOL_NAMES = f"{', '.join(TOOLS[:-1])} or {TOOLS[-1]}."
ARGUMENTS = "; ".join(f"{spec.name} {spec.usage}" for spec in FRAMEWORK_TOOLS)
TOOL_HELP = f"""Call one framework tool through the same guard, record and host as the planner.

Arguments: {ARGUMENTS}.
"""
ModificationId = Annotated[str, typer.Argument(metavar="ID", help="Id of a modification.")]


@app.command(help=TOOL_HELP)
@at_target
def tool(
    at: Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help=TOOL_NAMES)],
    args: Annotated[
        str, typer.Option("--args", help="The tool's arguments, a JSON object; see above.")
    ] = "{}",
    reason: Annotated[str, typer.Option(help="Why; stands in the record and the commit.")] = "Called by hand",
    as_json: AsJson = False,
) -> None:
    """Call one framework tool; its help is `TOOL_HELP`."""
    from infra.commands.framework_calls import TAKEN_EFFECT, call_tool

    _show(call_tool(at, name, args, reason), as_json, TAKEN_EFFECT)


@app.command()
@at_target
def approve(at: Target, modification_id: ModificationId, as_json: AsJson = False) -> None:
    """Approve a waiting call and have it done; approving twice does it once."""
    from infra.commands.framework_calls import TAKEN_EFFECT, decide

    _show(decide(at, "approve", modification_id), as_json, TAKEN_EFFECT)


@app.command()
@at_target
def deny(at: Target, modification_id: ModificationId, as_json: AsJson = False) -> None:
    """Deny a waiting call."""
    from infra.commands.framework_calls import decide

    _show(decide(at, "deny", modification_id), as_json, frozenset({"denied"}))


@app.command()
@at_target
def rollback(at: Target, modification_id: ModificationId, as_json: AsJson = False) -> None:
    """Undo an applied change and make the undoing live."""
    from infra.commands.framework_calls import TAKEN_EFFECT, decide

    _show(decide(at, "rollback", modification_id), as_json, TAKEN_EFFECT)


@app.command()
@at_target
def modifications(
    at: Target,
    status: Annotated[str | None, typer.Option(help="Only calls in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Newest calls to list.")] = 50,
    one: Annotated[str, typer.Option("--id", metavar="ID", help="Show this call whole, as JSON.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the calls of the framework tools, newest first."""
    from infra.commands.framework_calls import list_modifications, show_modification
    from infra.commands.listings import print_modifications

    if one:
        print_json(show_modification(at, one))
        return
    listing = list_modifications(at, status, limit)
    if as_json:
        print_json(listing)
        return
    print_modifications(Console(), listing["modifications"])


@app.command()
@at_target
def tools(at: Target, as_json: AsJson = False) -> None:
    """Tell how the framework tools are used, and which failures stopped after a change."""
    from infra.commands.framework_calls import analyse
    from infra.commands.listings import print_tools

    analytics = analyse(at)
    if as_json:
        print_json(analytics)
        return
    print_tools(Console(), analytics)


def _show(item: dict[str, Any], as_json: bool, good: frozenset[str]) -> None:
    if as_json:
        print_json(item)
    else:
        for name in ("modification_id", "status", "rule", "message", "diff"):
            if item.get(name):
                Console().print(f"{name}: {item[name]}", markup=False, highlight=False)
    raise typer.Exit(DONE if item["status"] in good else FAILED)
