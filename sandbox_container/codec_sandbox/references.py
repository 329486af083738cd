"""Stored rate-distortion curves of reference encoders, one set for each window. Only read here."""

import json
from pathlib import Path
from typing import Any, TypeAlias

from codec_sandbox.clips import CLIP_DIRECTORY, ClipError, Window

Point: TypeAlias = dict[str, float]

ANCHORS = ("x265_zerolatency", "x265_medium")
"""Encoders whose curves are part of a report. The zero-latency one is the fair comparison for a causal codec."""


class References:
    """Reference curves by window. A curve is withheld if the window's frames have changed since it was measured.

    Parameters
    ----------
    directory : Path
        Holds ``references.json``, and ``windows/added_references.json`` for an operator's own clips.

    Raises
    ------
    ClipError
        A file is damaged.
    """

    def __init__(self, directory: Path = CLIP_DIRECTORY) -> None:
        self._entries: dict[str, dict[str, Any]] = {}
        for path in (directory / "references.json", directory / "windows" / "added_references.json"):
            if path.exists():
                try:
                    self._entries.update(json.loads(path.read_text(encoding="utf-8"))["windows"])
                except (json.JSONDecodeError, KeyError, TypeError) as error:
                    raise ClipError(f"{path.name}: not a file of reference curves ({error})") from error

    def curve(self, window: Window, codec: str) -> list[Point] | None:
        """Return the curve of one encoder on one window, by rising rate.

        Parameters
        ----------
        window : Window
        codec : str
            Name of the encoder, such as ``x265_medium``.

        Returns
        -------
        list of dict or None
            Points with ``bitrate_mbps`` (1080p30 equivalent), ``psnr_db`` and ``ms_ssim``; None if the encoder
            was not measured on these frames.
        """
        entry = self._entries.get(window.key)
        if entry is None or entry["sha256"] != window.sha256 or codec not in entry["curves"]:
            return None
        return entry["curves"][codec]["points"]

    def codecs(self, window: Window) -> list[str]:
        """Return the names of the encoders measured on this window."""
        entry = self._entries.get(window.key)
        return sorted(entry["curves"]) if entry and entry["sha256"] == window.sha256 else []

    def anchors(self, windows: list[Window]) -> list[dict[str, Any]]:
        """Return the curves of `ANCHORS` on these windows, in the form that a report has."""
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
