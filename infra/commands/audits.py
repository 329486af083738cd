"""The command for full-size audits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from infra.commands.target import TargetName
from infra.commands.version_audits import audit_version, print_audit
from infra.errors import UserError

if TYPE_CHECKING:
    from infra.workbench.audit import Audit
    from infra.workbench.chosen_codec import ChosenCodec

app = typer.Typer()
"""Mounted by `infra.cli`."""


@app.command()
def audit(
    what: Annotated[
        str,
        typer.Argument(
            metavar="VIDEO|VERSION",
            help="Your own video, best 1920x1080; or an adopted version, on the segments of `clips audit`.",
        ),
    ],
    version: Version = None,
    source: Source = None,
    segments: Annotated[int, typer.Option(min=1, max=100, help="Segments, spread over the video.")] = 3,
    frames: Annotated[int, typer.Option(min=1, help="Frames of each segment.")] = 8,
    library_codecs: LibraryCodecs = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Of a VERSION on AWS: follow the audit to its end, and show it.")
    ] = False,
    lineage: Lineage = "main",
    target: TargetOption = TargetName.LOCAL,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Measure a version on your own video at its native size, beside x265 on the same segments.

    A VIDEO is measured on this machine, which takes minutes to hours. A VERSION is measured by the benchmark of the
    target, locally or on AWS, on the segments that `clips audit` has stored. Neither decides anything. The figures of a
    version are kept on its record, here or with `--target aws` on the deployed one, and shown by `report` and the
    dashboard. Where HEVC_HD_10Mbps.mp4, an encoding of the same video, lies beside the video, the version is compared
    with that as well.
    """
    if what.isdecimal() and not Path(what).exists():
        if version is not None or source is not None or library_codecs:
            raise UserError("--version, --source and --library-codecs belong to the audit of a video")
        audit_version(int(what), lineage, target, state_dir, wait=wait, as_json=as_json)
        return
    from infra.workbench.chosen_codec import choose_codec

    if target is TargetName.AWS and source is None:
        codec = _deployed_codec(version, lineage, state_dir)
    else:
        codec = choose_codec(version, source, state_dir, lineage, progress)
    done = _measured(Path(what), codec, state_dir, segments, frames, library_codecs=library_codecs)
    _keep(done, codec, target, state_dir)
    if as_json:
        print_json(done.as_dict())
    else:
        print_audit(Console(), done.as_dict())


def _measured(
    video: Path, codec: ChosenCodec, state_dir: Path, segments: int, frames: int, *, library_codecs: bool
) -> Audit:
    """Return the audit of a codec on a video; what cannot be measured ends the command with a sentence."""
    from infra.workbench.coding import CodecFailed
    from infra.workbench.video import VideoError

    try:
        return _measure(video, codec, state_dir, segments, frames, library_codecs=library_codecs)
    except VideoError as error:
        raise UserError(str(error)) from error
    except CodecFailed as error:
        progress(str(error), style="red")
        raise typer.Exit(FAILED) from None


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
