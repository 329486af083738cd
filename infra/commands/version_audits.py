"""Full-size audits of a version by the benchmark of a target, on the segments that its image holds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from infra.commands.options import FAILED, print_json, progress
from infra.commands.tables import Column, Row, number, print_paragraph, print_table
from infra.commands.target import TargetName
from infra.errors import UserError

if TYPE_CHECKING:
    from codec_evolution.adapters.executions import AuditExecutions, AuditProgress

POLL_S = 5.0
"""Seconds between two looks at an audit on AWS; one on this machine is looked at five times as often."""

REASONS = {
    "paused": "the lineage is paused: codec-evolution resume, then audit again",
    "daily_budget_spent": "today's budget is spent (daily_budget_usd): audit again tomorrow, or raise it",
    "no_segments": "the benchmark has no segments to measure: codec-evolution clips audit FILE, then deploy",
}
"""What a person can do about the reasons for which an audit does not begin, by their first word."""


def audit_version(
    version: int, lineage: str, target: TargetName, state_dir: Path, *, wait: bool, as_json: bool
) -> None:
    """Start the audit of an adopted version, or join one that runs; follow it on this machine, or with `wait`.

    Raises
    ------
    UserError
        The audit does not begin; the message says why.
    typer.Exit
        It failed.
    """
    from infra.commands.reach import reach

    with reach(target, state_dir, progress) as evolution:
        execution = evolution.audits.start(lineage, version, f"{datetime.now(UTC):%Y%m%d%H%M%S}")
        if target is TargetName.AWS and not wait:
            _print_started(execution, as_json=as_json)
            return
        ended = _followed(evolution.audits, execution, POLL_S if target is TargetName.AWS else POLL_S / 5)
        answer = _answer_of(ended)
        found = [evolution.bucket.get_json(key) for key in answer["stored"]]
    if as_json:
        print_json({**answer, "execution": execution, "audits": found})
        return
    for each in found:
        if each is not None:
            print_audit(Console(), each)
    if answer.get("note"):
        progress(answer["note"], style="red")


def _print_started(execution: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"execution": execution, "status": "RUNNING"})
    else:
        progress(f"started: {execution}; --wait follows it, and the version's record will hold its figures")


def _followed(audits: AuditExecutions, execution: str, every_s: float) -> AuditProgress:
    """Wait for the end of an audit, with a line of progress for each segment."""
    shown = -1
    while True:
        found = audits.progress(execution)
        if found.segments and found.measured != shown:
            shown = found.measured
            progress(f"{found.measured} of {found.segments} segments measured")
        if found.status != "RUNNING":
            return found
        time.sleep(every_s)


def _answer_of(ended: AuditProgress) -> dict[str, Any]:
    """Return what a finished audit has answered, with the keys of what it stored."""
    if ended.status != "SUCCEEDED" or ended.answer is None:
        progress(f"the audit ended as {ended.status}; its execution says why", style="red")
        raise typer.Exit(FAILED)
    if not ended.answer["go"]:
        word, _, rest = ended.answer["reason"].partition(":")
        raise UserError(REASONS.get(word, rest.strip() or word))
    return {"stored": [], **ended.answer}


def print_audit(console: Console, found: Mapping[str, Any]) -> None:
    """Print an audit for people."""
    columns = [Column(name, "number") for name in ("from", "vs x265", "Mbps", "dB", "encode", "decode")]
    rows = [
        Row(
            (
                f"{each['start_s']:.1f} s",
                number(each["bd_rate"], "+.1f", " %"),
                number(each["bitrate_mbps"], ".2f"),
                number(each["psnr_db"], ".1f"),
                f"{each['encode_s']:.2f} s",
                f"{each['decode_s']:.2f} s",
            ),
            (each["note"], _hevc_line(each["hevc_file"])),
        )
        for each in found["segments"]
    ]
    title = f"{found['codec']} on {found['video']}, {found['width']}x{found['height']}, {found['fps']:g} fps"
    print_table(console, columns, rows, title=title)
    print_paragraph(
        console,
        "Mbps: at the PSNR that x265 zerolatency reaches with 10 Mbps (1080p30); vs x265: BD-rate, below 0 is better; "
        "encode, decode: CPU seconds a frame",
        "dim",
    )


def _hevc_line(beside: Mapping[str, float | None] | None) -> str:
    if beside is None:
        return ""
    ours = number(beside["codec_mbps"], ".2f", " Mbps") or "out of reach"
    return f"HEVC_HD_10Mbps.mp4: {beside['bitrate_mbps']:.2f} Mbps, {beside['psnr_db']:.2f} dB; here {ours} for that"
