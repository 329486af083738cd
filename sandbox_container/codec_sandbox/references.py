"""Stored rate-distortion curves of reference encoders, one set a window. Made by the set-up, only read here."""

import json
from pathlib import Path

from codec_sandbox.clips import CLIP_DIRECTORY, ClipError, Window

ANCHORS = ("x265_zerolatency", "x265_medium")
"""The curves that travel with a report. Zero latency is the fair one for a causal interface."""


class References:
    """Curves by window; one whose frames have changed since is not given out.

    Parameters
    ----------
    directory : Path
        Holds ``references.json``, and ``windows/added_references.json`` for an operator's own clips.
    """

    def __init__(self, directory: Path = CLIP_DIRECTORY) -> None:
        self._entries: dict[str, dict] = {}
        for path in (directory / "references.json", directory / "windows" / "added_references.json"):
            if path.exists():
                try:
                    self._entries.update(json.loads(path.read_text(encoding="utf-8"))["windows"])
                except (json.JSONDecodeError, KeyError, TypeError) as error:
                    raise ClipError(f"{path.name}: not a file of reference curves ({error})") from error

    def curve(self, window: Window, codec: str) -> list[dict] | None:
        """Points of one encoder on one window, by rising rate; None if it was not measured on these frames.

        A point has ``bitrate_mbps`` (1080p30 equivalent), ``psnr_db`` and ``ms_ssim``.
        """
        entry = self._entries.get(window.key)
        if entry is None or entry["sha256"] != window.sha256 or codec not in entry["curves"]:
            return None
        return entry["curves"][codec]["points"]

    def codecs(self, window: Window) -> list[str]:
        """Names of the encoders measured on this window."""
        entry = self._entries.get(window.key)
        return sorted(entry["curves"]) if entry and entry["sha256"] == window.sha256 else []

    def anchors(self, windows: list[Window]) -> list[dict]:
        """The anchors of these windows in the form of a report."""
        return [
            {
                "clip": window.clip,
                "window": window.index,
                "codec": codec,
                "points": [
                    {name: point[name] for name in ("bitrate_mbps", "psnr_db", "ms_ssim")} for point in points
                ],
            }
            for window in windows
            for codec in ANCHORS
            if (points := self.curve(window, codec)) is not None
        ]
