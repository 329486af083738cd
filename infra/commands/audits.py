"""The command for full-size audits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from infra.commands.options import (
    DEFAULT_STATE_DIR,
    FAILED,
    AsJson,
    LibraryCodecs,
    Lineage,
    Source,
    StateDir,
    TargetOption,
    Version,
    print_json,
    progress,
)
from infra.commands.tables import Column, Row, number, print_paragraph, print_table
from infra.commands.target import TargetName
from infra.errors import UserError

if TYPE_CHECKING:
    from infra.workbench.audit import Audit
    from infra.workbench.chosen_codec import ChosenCodec

app = typer.Typer()
"""Mounted by `infra.cli`."""


@app.command()
def audit(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="Your own video, best 1920x1080.")],
    version: Version = None,
    source: Source = None,
    segments: Annotated[int, typer.Option(min=1, max=100, help="Segments, spread over the video.")] = 3,
    frames: Annotated[int, typer.Option(min=1, help="Frames of each segment.")] = 8,
    library_codecs: LibraryCodecs = False,
    lineage: Lineage = "main",
    target: TargetOption = TargetName.LOCAL,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Measure a version on your own video at its native size, beside x265 on the same segments.

    It runs on this machine, takes minutes to hours and decides nothing. The figures of a version are kept on its
    record, here or with `--target aws` on the deployed one, and shown by `report` and the dashboard. Where
    HEVC_HD_10Mbps.mp4, an encoding of the same video, lies beside it, the version is compared with that as well.
    """
    from infra.workbench.chosen_codec import choose_codec
    from infra.workbench.coding import CodecFailed
    from infra.workbench.video import VideoError

    if target is TargetName.AWS and source is None:
        codec = _deployed_codec(version, lineage, state_dir)
    else:
        codec = choose_codec(version, source, state_dir, lineage, progress)
    try:
        done = _measure(video, codec, state_dir, segments, frames, library_codecs=library_codecs)
    except VideoError as error:
        raise UserError(str(error)) from error
    except CodecFailed as error:
        progress(str(error), style="red")
        raise typer.Exit(FAILED) from None
    _keep(done, codec, target, state_dir)
    if as_json:
        print_json(done.as_dict())
    else:
        print_audit(Console(), done.as_dict())


def _measure(
    video: Path, codec: ChosenCodec, state_dir: Path, segments: int, frames: int, *, library_codecs: bool
) -> Audit:
    from infra.local.candidate_packages import live_packages
    from infra.workbench.audit import HEVC_FILE, Auditor, check_length
    from infra.workbench.benchmark import widest_policy
    from infra.workbench.coding import sandbox
    from infra.workbench.film import examine

    film, beside = examine(video), video.with_name(HEVC_FILE)
    check_length(film, segments, frames)
    hevc = examine(beside) if beside.is_file() and beside != video else None
    progress(f"codec: {codec.name}; {segments} segments of {frames} frames, {film.width}x{film.height}")
    with sandbox(live_packages(state_dir)) as supervisor:
        policy = widest_policy(library_codecs=library_codecs)
        return Auditor(codec, policy, supervisor, progress).audit(film, hevc, segments, frames)


def _deployed_codec(version: int | None, lineage: str, state_dir: Path) -> ChosenCodec:
    """Return a version of the evolution on AWS, by default the incumbent."""
    from infra.commands.reach import reach
    from infra.workbench.chosen_codec import evolved_codec

    with reach(TargetName.AWS, state_dir, progress) as deployed:
        return evolved_codec(deployed, version, lineage)


def _keep(done: Audit, codec: ChosenCodec, target: TargetName, state_dir: Path) -> None:
    """Store the audit of an adopted version: all of it in the bucket, its figures on the record."""
    from codec_evolution import artifacts
    from codec_evolution.clock import utc_now

    from infra.commands.reach import reach

    if codec.lineage is None or codec.version is None:
        return
    with reach(target, state_dir, progress) as evolution:
        key = artifacts.audit(codec.lineage, codec.version, done.video_sha256)
        evolution.bucket.put_json(key, done.as_dict())
        attempt = evolution.record.of_version(codec.lineage, codec.version)
        if attempt is not None:
            evolution.record.set_audit(codec.lineage, attempt.attempt_id, done.figures(utc_now()))


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
