"""The short clip set: of each window of three shipped clips the middle, small, and its first frames alone.

Tests of the loop, in which a codec must be measured but the figures do not matter, take it in place of the shipped
clips: one training clip and both held-out ones, which the rule asks for, in a hundredth of the pixels and with
reference curves of their own. To make it again, after the shipped manifest has changed::

    .venv/bin/python -m tests.support.short_clips
"""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

from codec_sandbox.clip_directory import CLIP_DIRECTORY, CLIPS_VARIABLE

from infra.workbench.clips_setup import fetch_clips, record_hashes
from infra.workbench.references import ANCHOR, ENCODERS, RANGE_ANCHOR, rebuild_references
from infra.workbench.whole_file import write_whole

SHORT_CLIPS = Path(__file__).resolve().parents[1] / "clips"
ON_SHORT_CLIPS = {CLIPS_VARIABLE: str(SHORT_CLIPS)}
"""Environment of a command, or overrides of a session, that measure on the short clips."""
CLIPS = ("bunny", "bikes", "city")
SMOKE_SIZE = [96, 128]
FRAMES, HEIGHT, WIDTH = 5, 48, 64
"""Most frames of a window, and its largest sides in pixels."""


def shortened(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of the short clips, without hashes, for that of the shipped ones."""
    return {
        "smoke_size": SMOKE_SIZE,
        "clips": [
            {**clip, "windows": [_middle(each) for each in clip["windows"]]}
            for clip in manifest["clips"]
            if clip["name"] in CLIPS
        ],
    }


def _middle(window: dict[str, Any]) -> dict[str, Any]:
    width, height = min(window["width"], WIDTH), min(window["height"], HEIGHT)
    return {
        "start": window["start"],
        "frames": min(window["frames"], FRAMES),
        "x": window["x"] + (window["width"] - width) // 4 * 2,
        "y": window["y"] + (window["height"] - height) // 4 * 2,
        "width": width,
        "height": height,
    }


def ready() -> Path:
    """Return the directory of the short clips; their windows are cut by the first process that asks."""
    with (SHORT_CLIPS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _share_downloads()
        fetch_clips(SHORT_CLIPS)
    return SHORT_CLIPS


def _share_downloads() -> None:
    """Let both clip sets have the same downloaded videos."""
    shipped, ours = (directory / "downloads" for directory in (CLIP_DIRECTORY, SHORT_CLIPS))
    shipped.mkdir(parents=True, exist_ok=True)
    if not ours.is_symlink():
        ours.symlink_to(shipped)


def make() -> None:
    """Write manifest and reference curves anew."""
    manifest = json.loads((CLIP_DIRECTORY / "manifest.json").read_text("utf-8"))
    write_whole(SHORT_CLIPS / "manifest.json", json.dumps(shortened(manifest)).encode())
    _share_downloads()
    record_hashes(SHORT_CLIPS, print)
    anchors = [encoder for encoder in ENCODERS if encoder.name in (ANCHOR, RANGE_ANCHOR)]
    rebuild_references(SHORT_CLIPS, print, encoders=anchors)


if __name__ == "__main__":
    make()
