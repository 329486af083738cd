"""Adds an operator's own clips to the set, lists and removes them."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from codec_sandbox.clips import (
    CLIP_DIRECTORY,
    ROLES,
    WINDOWS_PER_CLIP,
    Clip,
    ClipError,
    ClipSet,
    frames_sha256,
    read_manifest,
)
from codec_sandbox.quality import psnr_yuv
from codec_sandbox.report import equivalent_mbps
from codec_sandbox.segments import SEGMENTS_DIRECTORY, read_segments

from infra.errors import UserError
from infra.progress import Progress, silent
from infra.workbench.clips_setup import cut_windows
from infra.workbench.references import (
    ANCHOR,
    ENCODERS,
    RANGE_ANCHOR,
    REFERENCES_NAME,
    Encoder,
    rebuild_references,
    write_references,
)
from infra.workbench.video import VideoError, VideoInfo, decode_planes, planes_to_rgb, probe
from infra.workbench.whole_file import write_whole

ENDINGS = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".y4m", ".mpg", ".m4v", ".ts")
"""Endings of file names that are taken for videos in a directory."""
READY_MADE = "HEVC_HD_10Mbps.mp4"
"""A file of this name is no clip but the ready-made 10 Mbps encoding of the clip `READY_MADE_OF`."""
READY_MADE_OF = "SOURCE_HD_RAW.mp4"
"""The clip that a ready-made encoding beside it belongs to."""

WINDOW_FRAMES = 24
"""Frames of a window."""
WINDOW_SIDES = (192, 320)
"""Largest height and width of a window, pixels."""
MIN_SIDE = 64
"""Smallest height and width of a window, pixels."""
MAX_FRAMES = 900
"""Windows lie within this many frames from the start of a video."""
MAX_CLIPS_PER_ROLE = 6
"""So that the points of all clips fit into one report."""
READY_MADE_FRAMES = 60
"""Frames whose PSNR is averaged for a ready-made encoding."""


def add_clips(
    location: str,
    role: str,
    *,
    licence: str = "not stated",
    pictures: bool = False,
    directory: Path = CLIP_DIRECTORY,
    progress: Progress = silent,
    encoders: Sequence[Encoder] = ENCODERS,
) -> list[str]:
    """Add the videos of a file, a directory or an S3 prefix to the clip set and return the clips' names.

    Each video becomes a clip with eight windows of 24 frames, spread over its first 900 frames and over the
    picture. All of them are checked before the first is stored: also whether the anchor's curves on every window leave
    something to judge a codec by.

    Parameters
    ----------
    location, role
        A path or ``s3://bucket/prefix``; ``train`` or ``held_out``.
    licence, pictures
        As it is shown in lists and plots; whether it allows showing frames in pictures.
    encoders
        Reference encoders to measure on the new windows.

    Raises
    ------
    UserError
        A video cannot be used; the message names the video, the frame and the reason, and nothing was stored.
    """
    if role not in ROLES:
        raise UserError(f"role must be one of {', '.join(ROLES)}, not {role!r}")
    labels = {"role": role, "licence": licence, "pictures": pictures}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            videos = _videos(location, Path(scratch), progress)
            names = _add(videos, labels, directory, Path(scratch), progress, encoders)
        except (VideoError, ClipError) as error:
            raise UserError(f"nothing was added: {error}") from error
    rebuild_references(directory, progress, encoders=encoders)
    return names


def remove_clip(name: str, directory: Path = CLIP_DIRECTORY) -> None:
    """Remove an added clip from the set.

    Raises
    ------
    UserError
        No added clip has this name.
    """
    path = directory / "windows" / "added.json"
    entries = json.loads(path.read_text(encoding="utf-8"))["clips"] if path.exists() else []
    if name not in [entry["name"] for entry in entries]:
        raise UserError(f"no added clip is named {name!r}")
    _write_entries(path, [entry for entry in entries if entry["name"] != name])
    shutil.rmtree(directory / "windows" / name, ignore_errors=True)


def list_clips(directory: Path = CLIP_DIRECTORY) -> list[dict[str, Any]]:
    """Return the clips of the set, the shipped ones first.

    Returns
    -------
    list of dict
        ``name``, ``role``, ``content``, ``licence``, ``pictures``, ``windows`` (their number), ``added`` (by the
        operator), ``ready_made`` (None, or ``file``, ``bitrate_mbps`` at 1080p30 equivalent, ``psnr_db`` and ``frames``
        of an encoding that came with the clip). A ready-made encoding has whole frames at full size, so it cannot be
        compared with the curves of the windows, which are shrunk and cropped.

    Raises
    ------
    UserError
        A manifest is missing or damaged.
    """
    try:
        added = _added(directory)
        entries = read_manifest(directory / "manifest.json") + list(added.values())
    except ClipError as error:
        raise UserError(str(error)) from error
    return [
        {
            **{name: entry[name] for name in ("name", "role", "content", "licence", "pictures")},
            "windows": len(entry["windows"]),
            "added": entry["name"] in added,
            "ready_made": entry.get("ready_made"),
        }
        for entry in entries
    ]


def _added(directory: Path) -> dict[str, dict[str, Any]]:
    path = directory / "windows" / "added.json"
    return {entry["name"]: entry for entry in read_manifest(path)} if path.exists() else {}


def _videos(location: str, scratch: Path, progress: Progress) -> list[Path]:
    if location.startswith("s3://"):
        return _from_s3(location, scratch / "s3", progress)
    path = Path(location).expanduser()
    if path.is_file():
        return [path]
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in ENDINGS) if path.is_dir() else []
    if not found:
        raise VideoError(f"{location}: no video there (looked for {', '.join(ENDINGS)})")
    return found


def _from_s3(location: str, target: Path, progress: Progress) -> list[Path]:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    target.mkdir(parents=True)
    found = []
    try:
        s3 = boto3.client(
            "s3", config=Config(connect_timeout=10, read_timeout=60, retries={"max_attempts": 3})
        )
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                name = Path(item["Key"]).name
                if Path(name).suffix.lower() in ENDINGS:
                    progress(f"fetching {name} ({item['Size'] / 1e6:.1f} MB)")
                    s3.download_file(bucket, item["Key"], str(target / name))
                    found.append(target / name)
    except (BotoCoreError, ClientError) as error:
        raise VideoError(f"{location}: {error}") from error
    if not found:
        raise VideoError(f"{location}: no video there (looked for {', '.join(ENDINGS)})")
    return found


def _add(
    videos: list[Path],
    labels: dict[str, Any],
    directory: Path,
    scratch: Path,
    progress: Progress,
    encoders: Sequence[Encoder],
) -> list[str]:
    """Prepare all videos, then store them; returns the names of the clips."""
    ready_made = next((path for path in videos if path.name == READY_MADE), None)
    entries = []
    for path in (path for path in videos if path.name != READY_MADE):
        entry = {**_prepare(path, scratch, progress), **labels}
        if ready_made is not None and path.name == READY_MADE_OF:
            progress(f"{path.name}: comparing with {ready_made.name}")
            entry["ready_made"] = _compare_ready_made(path, ready_made)
        entries.append(entry)
    _check(directory, entries)
    curves = _anchor_curves(scratch, entries, encoders, progress)
    _store(directory, entries, curves, scratch)
    return [entry["name"] for entry in entries]


def _prepare(path: Path, scratch: Path, progress: Progress) -> dict[str, Any]:
    """Check one video, cut it into `scratch` and return its entry of the manifest, without its labels."""
    name = clip_name(path)
    info = probe(path)
    for note in _notes(info):
        progress(f"{path.name}: {note}")
    windows, scale = _plan(path, info, _count(path, info, progress))
    hashes = {}
    for index, frames in cut_windows(path, windows, scale):
        hashes[index] = frames_sha256(frames)
        target = scratch / "windows" / name / f"{index}.npz"
        target.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(target, frames=frames)
    return {
        "name": name,
        "fps": info.fps,
        "content": f"added from {path.name}, {info.width}x{info.height} {info.codec}",
        "scale": scale,
        "windows": [{**window, "sha256": hashes[index]} for index, window in enumerate(windows)],
    }


def clip_name(path: Path) -> str:
    """Return the name of a video's clip; raises `VideoError` if the file's name gives none."""
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:40]
    if not name:
        raise VideoError(f"{path.name}: its name has no letter or digit, which the clip's name needs")
    return name


def _notes(info: VideoInfo) -> Iterator[str]:
    if info.width % 2 or info.height % 2:
        yield f"{info.width}x{info.height} has an odd side; the last row or column is dropped"
    if re.search(r"10|12|14|16", info.pixel_format.replace("420", "").replace("422", "").replace("444", "")):
        yield f"{info.pixel_format} is reduced to 8 bit"
    if info.variable_rate:
        yield f"its frame rate varies; each coded frame is used once, as if at {info.fps:g} frames per second"
    if info.pixel_format.startswith(("yuva", "rgba", "bgra", "argb", "gbrap")):
        yield f"{info.pixel_format}: the alpha channel is left out"


def _count(path: Path, info: VideoInfo, progress: Progress) -> int:
    progress(f"{path.name}: checking every frame")
    count = sum(1 for _ in decode_planes(path, info.width, info.height))
    if count < WINDOW_FRAMES:
        frames = "1 frame" if count == 1 else f"{count} frames"
        raise VideoError(f"{path.name}: has {frames}, a window needs {WINDOW_FRAMES}")
    return min(count, MAX_FRAMES)


def _plan(path: Path, info: VideoInfo, count: int) -> tuple[list[dict[str, Any]], int]:
    """Return eight windows spread over time and picture, and the factor by which the picture shrinks."""
    scale = 1 if info.height < 480 else 2 if info.height <= 800 else 4
    rows, columns = info.height // 2 * 2 // scale, info.width // 2 * 2 // scale
    height, width = (
        min(side, limit) // 2 * 2 for side, limit in zip((rows, columns), WINDOW_SIDES, strict=True)
    )
    if min(height, width) < MIN_SIDE:
        raise VideoError(
            f"{path.name}: {info.width}x{info.height} is too small, {MIN_SIDE} pixels are needed"
        )
    windows = []
    for index in range(WINDOWS_PER_CLIP):
        start = (count - WINDOW_FRAMES) * index // (WINDOWS_PER_CLIP - 1)
        across, down = ((index * 3) % 8) / 7, ((index * 5) % 8) / 7
        x, y = int((columns - width) * across), int((rows - height) * down)
        windows.append(
            {"start": start, "frames": WINDOW_FRAMES, "x": x, "y": y, "width": width, "height": height}
        )
    return windows, scale


def _compare_ready_made(source: Path, encoded: Path) -> dict[str, Any]:
    """Return rate and quality of a ready-made encoding against its source, whole frames at full size."""
    pairs, infos = [], [probe(source), probe(encoded)]
    if (infos[0].width, infos[0].height) != (infos[1].width, infos[1].height):
        raise VideoError(f"{encoded.name}: does not have the frame size of {source.name}")
    streams = [decode_planes(p, i.width, i.height) for p, i in zip((source, encoded), infos, strict=True)]
    total = 0
    for count, (original, decoded) in enumerate(zip(*streams, strict=False)):
        if count < READY_MADE_FRAMES:
            pairs.append(psnr_yuv(planes_to_rgb(original), planes_to_rgb(decoded)))
        total = count + 1
    pixels = total * infos[0].width * infos[0].height
    return {
        "file": encoded.name,
        "bitrate_mbps": round(equivalent_mbps(encoded.stat().st_size, pixels), 4),
        "psnr_db": round(float(np.mean(pairs)), 4),
        "frames": total,
    }


def _anchor_curves(
    scratch: Path, entries: list[dict[str, Any]], encoders: Sequence[Encoder], progress: Progress
) -> dict[str, Any]:
    """Measure the anchor on the prepared windows, and return what is stored of each window by its key.

    Raises
    ------
    ClipError
        A window leaves nothing to judge a codec by, or an encoder fails.
    """
    write_whole(scratch / "manifest.json", b'{"clips": []}')
    _write_entries(scratch / "windows" / "added.json", entries)
    anchors = [encoder for encoder in encoders if encoder.name in (ANCHOR, RANGE_ANCHOR)]
    try:
        rebuild_references(scratch, progress, encoders=anchors)
    except UserError as error:
        raise ClipError(str(error)) from error
    path = scratch / "windows" / REFERENCES_NAME
    return json.loads(path.read_text(encoding="utf-8"))["windows"] if path.exists() else {}


def _check(directory: Path, entries: list[dict[str, Any]]) -> None:
    """Refuse clips whose names or frames the set has already, and more clips of a role than fit into a report."""
    known = ClipSet(directory).clips
    audited = read_segments(directory / SEGMENTS_DIRECTORY / "manifest.json")
    names = [clip.name for clip in known] + [entry["name"] for entry in (*entries, *audited)]
    for name in names:
        if names.count(name) > 1:
            raise ClipError(f"a clip named {name!r} is there already; remove it or rename the file")
    _check_new_frames(known, entries)
    for role in ROLES:
        clips = [clip for clip in known if clip.role == role] + [e for e in entries if e["role"] == role]
        if len(clips) > MAX_CLIPS_PER_ROLE:
            raise ClipError(f"{len(clips)} {role} clips; at most {MAX_CLIPS_PER_ROLE} fit into one report")


def _store(directory: Path, entries: list[dict[str, Any]], curves: Mapping[str, Any], scratch: Path) -> None:
    """Move prepared clips to their places; the list that names them is written last."""
    path, references = (directory / "windows" / name for name in ("added.json", REFERENCES_NAME))
    listed = json.loads(path.read_text(encoding="utf-8"))["clips"] if path.exists() else []
    stored = json.loads(references.read_text(encoding="utf-8")) if references.exists() else {"windows": {}}
    for entry in entries:
        target = directory / "windows" / entry["name"]
        shutil.rmtree(target, ignore_errors=True)
        partial = target.with_name(f".{entry['name']}.part")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(scratch / "windows" / entry["name"], partial)
        partial.rename(target)
    if curves:
        write_references(references, {"windows": {**stored["windows"], **curves}})
    _write_entries(path, listed + entries)


def _check_new_frames(known: Sequence[Clip], entries: Sequence[dict[str, Any]]) -> None:
    """Refuse frames that another clip has already: a clip in both roles would confirm what it trained."""
    owners = {window.sha256: clip.name for clip in known for window in clip.windows}
    for entry in entries:
        for window in entry["windows"]:
            owner = owners.setdefault(window["sha256"], entry["name"])
            if owner != entry["name"]:
                raise ClipError(f"clip {entry['name']!r} has frames of clip {owner!r}")


def _write_entries(path: Path, entries: list[dict[str, Any]]) -> None:
    write_whole(path, (json.dumps({"clips": entries}, indent=1) + "\n").encode())
