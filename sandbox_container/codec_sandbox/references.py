"""Stored rate-distortion curves of reference encoders, one set for each window. Only read here."""

import json
from pathlib import Path
from typing import Any, TypeAlias

from codec_sandbox.clips import CLIP_DIRECTORY, ClipError, Window
from codec_sandbox.curve import DEFAULT_RANGE_DB

Point: TypeAlias = dict[str, float]

ANCHORS = ("x265_zerolatency",)
"""Encoders whose curves are part of a report: the fair comparison for a codec without look-ahead."""


class References:
    """Reference curves by window. A curve is withheld if the window's frames have changed since it was measured.

    Parameters
    ----------
    directory : Path
        Holds ``references.json``, for an operator's own clips ``windows/added_references.json``, and for the segments
        of an audit ``audit/references.json``.

    Raises
    ------
    ClipError
        A file is damaged.
    """

    def __init__(self, directory: Path = CLIP_DIRECTORY) -> None:
        self._entries: dict[str, dict[str, Any]] = {}
        for name in ("references.json", "windows/added_references.json", "audit/references.json"):
            path = directory / name
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
        curves = self._entry(window).get("curves", {})
        return curves[codec]["points"] if codec in curves else None

    def codecs(self, window: Window) -> list[str]:
        """Return the names of the encoders measured on this window."""
        return sorted(self._entry(window).get("curves", ()))

    def quality_range(self, window: Window) -> dict[str, float] | None:
        """Return the range of quality that a window is judged in, or None where the anchor was not measured.

        ``low_db`` and ``high_db`` are the anchor's PSNR-YUV at QP 37 and 22; ``reference_db`` and ``reference_mbps``
        its point at 10 Mbps (1080p30 equivalent), held between the two.
        """
        return self._entry(window).get("quality_range")

    def range_db(self, window: Window) -> tuple[float, float]:
        """Return the PSNR-YUV in dB that a curve on this window should cover, from and to."""
        found = self.quality_range(window)
        return (found["low_db"], found["high_db"]) if found else DEFAULT_RANGE_DB

    def _entry(self, window: Window) -> dict[str, Any]:
        """Return what is stored of a window, nothing if its frames have changed since."""
        entry = self._entries.get(window.key)
        return entry if entry is not None and entry["sha256"] == window.sha256 else {}

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
