"""Commands of an operator: pause and resume, look back, export, and the page."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.commands.options import (
    DEFAULT_STATE_DIR,
    AsJson,
    AtTarget,
    Lineage,
    StateDir,
    at_target,
    print_json,
    progress,
)
from infra.commands.target_name import Target, TargetName
from infra.errors import UserError

app = typer.Typer()

Version = Annotated[int, typer.Argument(min=0, help="An adopted version.")]


class ExportFormat(StrEnum):
    """Formats of an export."""

    JSONL = "jsonl"
    CSV = "csv"


@app.command()
@at_target
def pause(
    at: Target,
    reason: Annotated[str, typer.Option(help="Why; shown where the pause is shown.")] = "by an operator",
    lineage: Lineage = "",
    as_json: AsJson = False,
) -> None:
    """Let no new cycle begin; a running one ends first."""
    of = lineage or at.lineage
    _said(at.operator.pause(of, reason[:200]), of, at.control.state(of).paused, as_json)


@app.command()
@at_target
def resume(at: Target, lineage: Lineage = "", as_json: AsJson = False) -> None:
    """Let cycles begin again; on AWS this also switches on the schedule, which is deployed disabled."""
    of = lineage or at.lineage
    _said(at.operator.resume(of), of, at.control.state(of).paused, as_json)


@app.command("lineage")
@at_target
def show_lineage(at: Target, version: Version, lineage: Lineage = "", as_json: AsJson = False) -> None:
    """Show how a version came about, from it down to version 0."""
    from infra.commands.inspection import ancestry

    of = lineage or at.lineage
    found = ancestry(at.record, of, version)
    if as_json:
        print_json({"lineage": of, "version": version, "ancestry": found})
    else:
        _print_ancestry(Console(), found)


@app.command()
@at_target
def diff(at: Target, first: Version, second: Version, lineage: Lineage = "", as_json: AsJson = False) -> None:
    """Show what changed in the source from one version to another."""
    from infra.commands.inspection import difference

    of = lineage or at.lineage
    text = difference(at.record, at.bucket, of, first, second)
    if as_json:
        print_json({"lineage": of, "from": first, "to": second, "diff": text})
    else:
        typer.echo(text, nl=False)


@app.command()
@at_target
def export(
    at: Target,
    form: Annotated[ExportFormat, typer.Option("--format", help="JSON Lines or CSV.")] = ExportFormat.JSONL,
    output: Annotated[
        Path | None, typer.Option(help="File to write; standard output if it is left out.")
    ] = None,
    lineage: Lineage = "",
) -> None:
    """Write the whole evolution record of a lineage, oldest attempt first."""
    from infra.commands.inspection import as_csv, as_json_lines

    attempts = list(at.record.every(lineage or at.lineage))
    text = as_csv(attempts) if form is ExportFormat.CSV else as_json_lines(attempts)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--output {output} cannot be written: {error.strerror}") from None
    progress(f"wrote {len(attempts)} attempts to {output}")


@app.command()
def dashboard(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8420,
    target: AtTarget = TargetName.LOCAL,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Serve the page of the local evolution until Ctrl-C; with --target aws, print the dashboard's address."""
    if target is TargetName.AWS:
        from infra.commands.target import reach

        with reach(target, state_dir, progress) as at:
            typer.echo(at.pages["DashboardUrl"])
        return
    from infra.local.page import serve_page

    try:
        serve_page(
            state_dir, port, progress, ready=lambda url: progress(f"the page is at {url} (Ctrl-C ends it)")
        )
    except KeyboardInterrupt:
        progress("the page is closed")


def _said(sentence: str, lineage: str, paused: bool, as_json: bool) -> None:
    if as_json:
        print_json({"lineage": lineage, "paused": paused, "message": sentence})
    else:
        typer.echo(sentence)


def _print_ancestry(console: Console, found: list[dict[str, Any]]) -> None:
    table = Table(title=f"how version {found[0]['adopted_version']} came about")
    for name, justify in (
        ("version", "right"),
        ("adopted", "left"),
        ("Mbps at 36 dB", "right"),
        ("vs incumbent", "right"),
        ("commit", "left"),
        ("hypothesis", "left"),
    ):
        table.add_column(name, justify=justify, overflow="fold")
    for each in found:
        rate, versus = each.get("bitrate_mbps"), each.get("bd_rate_vs_incumbent")
        table.add_row(
            str(each["adopted_version"]),
            each["attempt_id"],
            "" if rate is None else f"{rate:.3f}",
            "" if versus is None else f"{versus:+.1f} %",
            str(each.get("github_commit_hash", ""))[:10],
            Text(str(each.get("hypothesis", ""))),
        )
    console.print(table)
