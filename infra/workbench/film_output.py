"""Writes decoded frames as a video or as pictures, with ffmpeg."""

from __future__ import annotations

import os
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from infra.errors import UserError
from infra.workbench.film import limited, read_log, untagged_matrix
from infra.workbench.video import PROBE_TIMEOUT_S, VideoError, ffmpeg

FORMATS = (".mp4", ".y4m", ".png")
"""What can be written, by the ending of the file's name."""

_BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
_TO_YUV = "scale=out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int:out_color_matrix="


class FilmOutput:
    """Writes frames one by one. A context manager; the file appears under its name when the block ends.

    Parameters
    ----------
    path
        Ending in one of `FORMATS`. ``.mp4`` is H.264 at CRF 12, in 4:2:0 or, for odd sides, 4:4:4; ``.y4m`` is
        uncompressed 4:4:4; ``.png`` holds the exact frames, numbered ``NAME-00001.png`` if there are several.
    width, height, fps, frames
        Of the film.

    Raises
    ------
    UserError
        The name ends in none of `FORMATS`, or its folder does not exist.
    """

    def __init__(self, path: Path, *, width: int, height: int, fps: Fraction, frames: int) -> None:
        check_output(path, FORMATS)
        self._path, self._fps, self._size = path, fps, (width, height)
        self._partial = path.with_name(f"{path.name}.{os.getpid()}.part")
        numbered = path.suffix == ".png" and frames > 1
        self._series = path.with_name(f"{path.stem}-%05d.png") if numbered else None
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__

    @property
    def shown(self) -> str:
        """Name of what is written, for people."""
        return str(self._path if self._series is None else self._series)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._process is not None:
                self._finish(self._process, failed=kind is not None)
        finally:
            self._log.close()
            self._partial.unlink(missing_ok=True)

    def add(self, frame: np.ndarray) -> None:
        """Write the next frame, (height, width, 3) uint8 RGB.

        Raises
        ------
        VideoError
            ffmpeg cannot write it.
        """
        if self._process is None:
            self._process = subprocess.Popen(self._command(), stdin=subprocess.PIPE, stderr=self._log)
        assert self._process.stdin is not None
        try:
            with limited(self._process):
                self._process.stdin.write(np.ascontiguousarray(frame).data)
        except BrokenPipeError:
            raise VideoError(f"{self._path}: cannot be written ({self._reason()})") from None

    def _finish(self, process: subprocess.Popen[bytes], *, failed: bool) -> None:
        assert process.stdin is not None
        try:
            with limited(process):
                process.stdin.close()
            code = process.wait(PROBE_TIMEOUT_S)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            code = -1
        finally:
            process.kill()
            process.wait()
        if failed:
            return
        if code:
            raise VideoError(f"{self._path}: cannot be written ({self._reason()})")
        if self._series is None:
            self._partial.replace(self._path)

    def _reason(self) -> str:
        return (read_log(self._log).splitlines() or ["ffmpeg stopped"])[-1][:200]

    def _command(self) -> list[str]:
        width, height = self._size
        even = width % 2 == 0 and height % 2 == 0
        command = [ffmpeg(), "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        command += ["-s", f"{width}x{height}", "-r", str(self._fps), "-i", "-"]
        if self._path.suffix == ".mp4":
            command += ["-vf", f"{_TO_YUV}bt709", "-pix_fmt", "yuv420p" if even else "yuv444p", *_BT709]
            command += [
                "-c:v",
                "libx264",
                "-crf",
                "12",
                "-preset",
                "fast",
                "-movflags",
                "+faststart",
                "-f",
                "mp4",
            ]
        elif self._path.suffix == ".y4m":
            matrix = untagged_matrix(width, height)  # the format has no tag
            command += ["-vf", f"{_TO_YUV}{matrix}", "-pix_fmt", "yuv444p", "-f", "yuv4mpegpipe"]
        elif self._series is None:
            command += ["-frames:v", "1", "-c:v", "png", "-f", "image2pipe"]
        else:
            escaped = str(self._series.parent / self._path.stem).replace("%", "%%")
            return [*command, "-c:v", "png", "-f", "image2", f"file:{escaped}-%05d.png"]
        return [*command, f"file:{self._partial}"]


def check_output(path: Path, endings: tuple[str, ...]) -> None:
    """Raise `UserError` unless a file with this name can be made: its ending is known, its folder exists."""
    if path.suffix not in endings:
        raise UserError(f"{path}: the name must end in {' or '.join(endings)}")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise UserError(f"{path}: is a folder")
