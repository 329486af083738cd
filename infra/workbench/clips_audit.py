"""Stores segments of an operator's own videos at native size, which the benchmark's image carries for audits."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from codec_sandbox.clips import CLIP_DIRECTORY, ClipError, ClipSet, Window, frames_sha256, window_path
from codec_sandbox.limits import Limits
from codec_sandbox.segments import AUDIT, MOST_SEGMENTS, SEGMENTS_DIRECTORY, read_segments

from infra.errors import UserError
from infra.progress import Progress, silent
from infra.workbench.audit import (
    HEVC_FILE,
    check_beside,
    check_length,
    file_sha256,
    hevc_facts,
    read,
    starts_of,
)
from infra.workbench.clips_add import clip_name
from infra.workbench.film import Film, examine
from infra.workbench.references import (
    ANCHOR,
    RANGE_ANCHOR,
    RANGE_ENCODERS,
    measure_curves,
    quality_range,
    write_references,
)
from infra.workbench.video import VideoError
from infra.workbench.whole_file import write_whole

MOST_FRAMES = 16
"""Most frames of a segment: five codings of them must fit into the benchmark function's time and memory."""

MOST_BYTES = 1 << 30
"""Most bytes of all stored segments: the image carries them, and each environment of the function loads the image."""


def add_audit_clip(
    video: Path,
    *,
    name: str = "",
    segments: int = 3,
    frames: int = 8,
    licence: str = "not stated",
    directory: Path = CLIP_DIRECTORY,
    progress: Progress = silent,
) -> str:
    """Store segments of a video, with x265's curves on them, and return the clip's name.

    They are spread evenly over the video, lossless and at its native size. Where `HEVC_FILE` lies beside the video, its
    rate and its PSNR on each segment are stored as well.

    Parameters
    ----------
    name
        Of the clip; empty to derive it from the file's name.
    segments, frames
        Number of segments, and frames in each.
    licence
        As lists show it.

    Raises
    ------
    UserError
        The video cannot be used, or there would be too much; nothing was stored then.
    """
    target = directory / SEGMENTS_DIRECTORY
    try:
        clip = name or clip_name(video)
        entries = read_segments(target / "manifest.json")
        _check_room(clip, entries, directory, segments, frames)
        film, beside = examine(video), video.with_name(HEVC_FILE)
        hevc = examine(beside) if beside.is_file() and beside != video else None
        _check_film(film, hevc, segments, frames)
        target.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target) as scratch:
            entry, references = _cut(film, hevc, clip, segments, frames, Path(scratch), progress)
            _check_bytes(target, Path(scratch))
            _store(target, {**entry, "licence": licence}, references, Path(scratch), entries)
    except (VideoError, ClipError) as error:
        raise UserError(f"nothing was added: {error}") from error
    return clip


def remove_audit_clip(name: str, directory: Path = CLIP_DIRECTORY) -> bool:
    """Remove a video's segments; returns whether there were any."""
    target = directory / SEGMENTS_DIRECTORY
    entries = read_segments(target / "manifest.json")
    kept = [entry for entry in entries if entry["name"] != name]
    if len(kept) == len(entries):
        return False
    _write(target / "manifest.json", kept)
    shutil.rmtree(target / "windows" / name, ignore_errors=True)
    return True


def list_audit_clips(directory: Path = CLIP_DIRECTORY) -> list[dict[str, Any]]:
    """Return the videos whose segments are stored, with the fields of `clips_add.list_clips`."""
    return [
        {
            "name": entry["name"],
            "role": AUDIT,
            "content": f"{entry['video']}, {entry['width']}x{entry['height']}, for full-size audits",
            "licence": entry["licence"],
            "pictures": False,
            "windows": len(entry["windows"]),
            "added": True,
            "ready_made": None,
        }
        for entry in read_segments(directory / SEGMENTS_DIRECTORY / "manifest.json")
    ]


def _check_room(
    name: str, entries: Sequence[dict[str, Any]], directory: Path, segments: int, frames: int
) -> None:
    """Refuse a name that is taken, and more segments or frames than an audit can measure."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise ClipError(f"{name!r} is no name of a clip: lower-case letters, digits and hyphens, at most 40")
    if name in [entry["name"] for entry in entries] + [clip.name for clip in ClipSet(directory).clips]:
        raise ClipError(f"a clip named {name!r} is there already; remove it or give another --name")
    if frames > MOST_FRAMES:
        raise ClipError(f"--frames is at most {MOST_FRAMES}: one invocation codes them at every quality")
    stored = sum(len(entry["windows"]) for entry in entries)
    if stored + segments > MOST_SEGMENTS:
        raise ClipError(
            f"{stored} segments are stored and {segments} are asked for; {MOST_SEGMENTS} are audited at most: "
            "ask for fewer --segments, or remove a clip"
        )


def _check_film(film: Film, hevc: Film | None, segments: int, frames: int) -> None:
    if film.width * film.height * 3 > Limits.max_frame_bytes:
        raise ClipError(
            f"{film.path.name} is {film.width}x{film.height}; the benchmark function takes frames of 1920x1088 at most"
        )
    check_length(film, segments, frames)
    check_beside(film, hevc)


def _check_bytes(target: Path, scratch: Path) -> None:
    size = sum(
        path.stat().st_size for folder in (target / "windows", scratch) for path in folder.rglob("*.npz")
    )
    if size > MOST_BYTES:
        raise ClipError(
            f"the stored segments would have {size / 1e6:.0f} MB, the image carries {MOST_BYTES / 1e6:.0f} at most: "
            "ask for fewer --segments or --frames, or remove a clip"
        )


def _cut(
    film: Film, hevc: Film | None, name: str, segments: int, frames: int, scratch: Path, progress: Progress
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cut the segments into `scratch`; returns the entry of the manifest, and the reference curves by segment."""
    versions: dict[str, str] = {}
    windows, references = [], {}
    for index, start_s in enumerate(starts_of(film, segments, frames)):
        cut = read(film, start_s, frames)
        window = Window(
            name, AUDIT, index, frames, film.width, film.height, float(film.fps), frames_sha256(cut)
        )
        path = window_path(scratch, name, index)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, frames=cut)
        progress(f"segment {index + 1} of {segments}: x265 on {frames} frames of {film.width}x{film.height}")
        curves = measure_curves(cut, window.fps, RANGE_ENCODERS, versions)
        found, note = _range_of(window, curves)
        references[window.key] = {"sha256": window.sha256, "curves": curves, **found}
        windows.append(
            {
                "start_s": round(start_s, 3),
                "frames": frames,
                "sha256": window.sha256,
                "hevc_file": None if hevc is None else hevc_facts(hevc, cut, start_s),
                "note": note,
            }
        )
    entry = {
        "name": name,
        "video": film.path.name,
        "video_sha256": file_sha256(film.path),
        "width": film.width,
        "height": film.height,
        "fps": round(float(film.fps), 6),
        "windows": windows,
    }
    return entry, references


def _range_of(window: Window, curves: dict[str, dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """Return the range of quality that codecs are compared in as it is stored, or why there is none."""
    points = (curves[each]["points"] for each in (ANCHOR, RANGE_ANCHOR))
    try:
        return {"quality_range": quality_range(window, *points)}, ""
    except ClipError as flat:
        return {}, str(flat)


def _store(
    target: Path,
    entry: dict[str, Any],
    references: dict[str, Any],
    scratch: Path,
    entries: Sequence[dict[str, Any]],
) -> None:
    """Move the segments to their place; the manifest that names them is written last."""
    folder = target / "windows" / entry["name"]
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    (scratch / "windows" / entry["name"]).rename(folder)
    path = target / "references.json"
    known = json.loads(path.read_text(encoding="utf-8"))["windows"] if path.exists() else {}
    write_references(path, {"windows": {**known, **references}})
    _write(target / "manifest.json", [*entries, entry])


def _write(path: Path, entries: Sequence[dict[str, Any]]) -> None:
    write_whole(path, (json.dumps({"clips": list(entries)}, indent=1) + "\n").encode())
