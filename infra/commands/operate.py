"""Commands of an operator: pause and resume, look back, export, and the page."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.commands.options import (
    DEFAULT_STATE_DIR,
    AsJson,
    Lineage,
    StateDir,
    TargetOption,
    at_target,
    print_document,
    print_json,
    progress,
    reads_target,
    say,
)
from infra.commands.target import Readable, Target, TargetName
from infra.errors import UserError

app = typer.Typer()
"""Mounted by `infra.cli`."""

Version = Annotated[int, typer.Argument(min=0, help="The number of an adopted version.")]
"""An argument that names a version."""
MAX_REASON = 200
"""Characters of a pause's reason that are kept."""


class ExportFormat(StrEnum):
    """Formats of an export."""

    JSONL = "jsonl"
    CSV = "csv"


@app.command()
@at_target
def pause(
    target: Target,
    reason: Annotated[
        str, typer.Option(help=f"Why; shown with the pause. At most {MAX_REASON} characters are kept.")
    ] = "by an operator",
    lineage: Lineage = "",
    as_json: AsJson = False,
) -> None:
    """Stop starting cycles; a running one ends first. On AWS this also disables the schedule."""
    lineage = lineage or target.lineage
    sentence = target.operator.pause(lineage, reason[:MAX_REASON])
    _print_outcome(target, lineage, sentence, as_json)


@app.command()
@at_target
def resume(target: Target, lineage: Lineage = "", as_json: AsJson = False) -> None:
    """Allow cycles again. On AWS this also enables the schedule, which is deployed disabled."""
    lineage = lineage or target.lineage
    _print_outcome(target, lineage, target.operator.resume(lineage), as_json)


@app.command("lineage")
@reads_target
def show_lineage(target: Readable, version: Version, lineage: Lineage = "", as_json: AsJson = False) -> None:
    """Show a version and its ancestors, down to version 0."""
    from infra.commands.listings import print_ancestry
    from infra.workbench.versions import ancestry

    lineage = lineage or target.lineage
    found = [each.to_item() for each in ancestry(target.record, lineage, version)]
    if as_json:
        print_json({"lineage": lineage, "version": version, "ancestry": found})
    else:
        print_ancestry(Console(), found)


@app.command()
@reads_target
def diff(
    target: Readable, first: Version, second: Version, lineage: Lineage = "", as_json: AsJson = False
) -> None:
    """Show what changed in the source between two versions, as a unified diff."""
    from infra.workbench.versions import difference

    lineage = lineage or target.lineage
    text = difference(target.record, target.bucket, lineage, first, second)
    if as_json:
        print_json({"lineage": lineage, "from": first, "to": second, "diff": text})
    else:
        say(text, nl=False)


@app.command()
@reads_target
def export(
    target: Readable,
    form: Annotated[ExportFormat, typer.Option("--format", help="JSON Lines or CSV.")] = ExportFormat.JSONL,
    output: Annotated[
        Path | None, typer.Option(help="File to write; without it, standard output.", show_default=False)
    ] = None,
    lineage: Lineage = "",
) -> None:
    """Write all attempts of a lineage, oldest first."""
    from infra.commands.export import as_csv, as_json_lines

    attempts = [each.to_item() for each in target.record.every(lineage or target.lineage)]
    text = as_csv(attempts) if form is ExportFormat.CSV else as_json_lines(attempts)
    if output is None:
        print_document(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--output {output} cannot be written: {error.strerror}") from None
    progress(f"wrote {len(attempts)} attempts to {output}")


@app.command()
@at_target
def migrate(target: Target, lineage: Lineage = "", as_json: AsJson = False) -> None:
    """Bring stored records to the format of this version; safe to interrupt and to repeat."""
    from codec_evolution.adapters.migration import Migrated, RecordMigration
    from codec_evolution.record import MalformedRecord

    lineage, done = lineage or target.lineage, Migrated()
    try:
        for done in RecordMigration(target.record.table_name).run(lineage):
            progress(f"{done.read} records read, {done.changed} changed")
    except MalformedRecord as newer:
        raise UserError(str(newer)) from None
    if as_json:
        print_json({"lineage": lineage, "read": done.read, "changed": done.changed})
        return
    say(f"Lineage {lineage}: {done.changed} of {done.read} records changed.")


@app.command()
def dashboard(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 8420,
    target: TargetOption = TargetName.LOCAL,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Serve the page of the local evolution until Ctrl-C; with --target aws, print the dashboard's address."""
    if target is TargetName.AWS:
        from infra.commands.reach import reach

        with reach(target, state_dir, progress) as reached:
            say(reached.pages["DashboardUrl"])
        return
    from infra.local.page import serve_page

    try:
        serve_page(
            state_dir, port, progress, ready=lambda url: progress(f"the page is at {url} (Ctrl-C ends it)")
        )
    except KeyboardInterrupt:
        progress("the page is closed")


def _print_outcome(target: Target, lineage: str, sentence: str, as_json: bool) -> None:
    if as_json:
        paused = target.control.state(lineage).paused
        print_json({"lineage": lineage, "paused": paused, "message": sentence})
    else:
        say(sentence)
