"""The segments of an operator's own videos at native size, which a full-size audit measures and no contest uses.

They are apart from the clip set: they change neither its hash nor any contest, and no planner is shown what is measured
on them.
"""

import json
import threading
from pathlib import Path
from typing import Any

from codec_sandbox.clip_directory import CLIP_DIRECTORY
from codec_sandbox.clips import ClipError, Window, read_window
from codec_sandbox.frames import Frames

AUDIT = "audit"
"""The role of a segment, and the stage that measures it."""

SEGMENTS_DIRECTORY = "audit"
"""Folder of the segments in the clip directory; laid out like that one."""

MOST_SEGMENTS = 24
"""Most segments of all videos together: the state machine carries a report of each."""

FACTS = ("video", "video_sha256", "start_s", "hevc_file", "note")
"""What a report says of a segment: name and hash of its video, where it begins in seconds, rate and PSNR of the HEVC
file beside the video or None, and why nothing can be compared on it or ""."""


class Segments:
    """The stored segments, none where an operator has added no video.

    Parameters
    ----------
    directory : Path
        The clip directory.

    Raises
    ------
    ClipError
        The manifest is damaged.

    Attributes
    ----------
    windows : tuple of Window
        The segments, with the role `AUDIT`; a clip's are numbered from 0.
    """

    def __init__(self, directory: Path = CLIP_DIRECTORY) -> None:
        self.directory = directory / SEGMENTS_DIRECTORY
        entries = read_segments(self.directory / "manifest.json")
        self.windows = tuple(window for entry in entries for window in _windows(entry))
        self._facts = {
            f"{entry['name']}/{index}": {"video": entry["video"], "video_sha256": entry["video_sha256"]}
            | {name: window[name] for name in FACTS if name in window}
            for entry in entries
            for index, window in enumerate(entry["windows"])
        }
        self._lock = threading.Lock()
        self._loaded: tuple[str, Frames] | None = None

    def facts(self, window: Window) -> dict[str, Any]:
        """Return what `FACTS` names of a segment."""
        return self._facts[window.key]

    def load(self, window: Window) -> Frames:
        """Return the frames of a segment as `ClipSet.load` does. Only the last one is kept: it has 50 MB and more."""
        with self._lock:
            if self._loaded is None or self._loaded[0] != window.key:
                frames = read_window(self.directory, window)
                frames.setflags(write=False)
                self._loaded = (window.key, frames)
            return self._loaded[1]


def read_segments(path: Path) -> list[dict[str, Any]]:
    """Read the entries of a manifest of segments, one a video; none where there is no such file.

    Raises
    ------
    ClipError
        It is not JSON, lacks a field, or lists too many segments.
    """
    if not path.exists():
        return []
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["clips"]
        count = sum(len(_windows(entry)) for entry in entries)
        for entry in entries:
            _ = entry["video"], entry["video_sha256"], [window["start_s"] for window in entry["windows"]]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ClipError(f"{SEGMENTS_DIRECTORY}/{path.name}: not a manifest of segments ({error})") from error
    if count > MOST_SEGMENTS:
        raise ClipError(
            f"{SEGMENTS_DIRECTORY}/{path.name}: {count} segments; {MOST_SEGMENTS} are audited at most"
        )
    return entries


def _windows(entry: dict[str, Any]) -> list[Window]:
    return [
        Window(
            clip=entry["name"],
            role=AUDIT,
            index=index,
            frames=window["frames"],
            width=entry["width"],
            height=entry["height"],
            fps=entry["fps"],
            sha256=window["sha256"],
        )
        for index, window in enumerate(entry["windows"])
    ]
