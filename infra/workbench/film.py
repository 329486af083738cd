"""Reads any video that ffmpeg reads, as a stream of RGB frames of one size at a constant rate."""

from __future__ import annotations

import math
import re
import subprocess
import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np

from infra.workbench.container import MAX_FRAMES, MAX_PIXELS, MAX_SIDE
from infra.workbench.video import PROBE_TIMEOUT_S, VideoError, VideoInfo, ffmpeg, local_input, probe

HD_HEIGHT = 720
"""From this height on, a video without a colour tag is taken as BT.709, below as BT.601, as players do."""
SLACK = 0.02
"""Share of its length by which a video may differ from frames divided by rate before its rate is taken as variable."""
EARLIER_S = 0.001
"""Seconds by which what is dropped ends before a frame. Containers round times to a millisecond, and ffmpeg drops what
begins before the time that it is given: frame 26 at 30 fps begins at 0.866667, and 0.867 would begin with frame 27."""
LEAD_S = 15.0
"""Seconds that are decoded and dropped before a frame. A container without an index, such as MPEG-TS, is entered where
no frame may begin, and its frames come from the next key frame on; broadcasters send one at least every 10 s."""
MAX_CLOCK_FPS = 120
"""Highest clock that a variable rate is made constant at; a finer one is no rate, and the mean rate is used."""
_TAGGED = re.compile(r"\b(bt709|bt2020nc|bt2020c|smpte170m|bt470bg|smpte240m|fcc|gbr)\b")
_LOG_BYTES = 256 * 1024


@dataclass(frozen=True)
class Film:
    """A video as it will be coded.

    Attributes
    ----------
    path
        Of the source.
    width, height
        Of a frame as a player shows it, in pixels: turned upright, with square pixels, or scaled to the size asked for.
    fps
        Frames per second.
    frames
        Number of frames.
    has_audio, variable_rate
        What is lost: sound is dropped, and a variable frame rate becomes a constant one.
    has_times
        Whether the container tells when a frame is shown, without which ffmpeg cannot seek; a bare stream does not.
    complaints
        What ffmpeg reported while it decoded, one line each, at most three.
    filters
        The conversion, as ffmpeg's options.
    """

    path: Path
    width: int
    height: int
    fps: Fraction
    frames: int
    has_audio: bool
    variable_rate: bool
    has_times: bool
    complaints: tuple[str, ...]
    filters: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Duration, in seconds."""
        return float(self.frames / self.fps)

    def read(self, start_s: float = 0.0, frames: int | None = None) -> Generator[np.ndarray]:
        """Yield frames in order, (height, width, 3) uint8 RGB; only one is held at a time.

        Parameters
        ----------
        start_s
            Begin here, in seconds.
        frames
            Stop after so many; None for all.

        Raises
        ------
        VideoError
            ffmpeg stops early, or takes longer than `PROBE_TIMEOUT_S` for a frame.
        """
        start, size = round(start_s * self.fps), self.width * self.height * 3
        wanted = self.frames - start if frames is None else frames
        dropped = min(start, math.ceil(LEAD_S * self.fps)) if self.has_times else start
        seek = _seek(float((start - dropped) / self.fps))
        drop = _seek(float(dropped / self.fps) - EARLIER_S)
        command = [ffmpeg(), "-loglevel", "error", "-nostdin", *seek, *local_input(self.path)]
        command += [*drop, *self.filters, "-frames:v", str(wanted), "-f", "rawvideo", "-"]
        with (
            tempfile.TemporaryFile() as log,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process,
        ):
            assert process.stdout is not None
            try:
                for index in range(wanted):
                    with limited(process):
                        data = process.stdout.read(size)
                    if len(data) < size:
                        reason = (read_log(log).splitlines() or ["no reason given"])[-1]
                        raise VideoError(f"{self.path.name}: damaged after frame {index} ({reason[:200]})")
                    yield np.frombuffer(data, dtype=np.uint8).reshape(self.height, self.width, 3)
            finally:
                process.kill()


def _seek(seconds: float) -> tuple[str, ...]:
    return ("-ss", f"{seconds:.6f}") if seconds > 0 else ()


def examine(path: Path, *, size: tuple[int, int] | None = None, frames: int | None = None) -> Film:
    """Decode a video once, to learn what its frames will be.

    Parameters
    ----------
    size
        (width, height) to scale to; None keeps the size.
    frames
        Take so many at most; None for all.

    Raises
    ------
    VideoError
        The file is missing, has no video that ffmpeg decodes, or is larger than a container may be.
    """
    info = probe(path)
    fps = _exact(info.fps)
    if not fps:
        raise VideoError(f"{path.name}: the video states no frame rate")
    timed = "" if info.has_times else f"setpts=N/({fps}*TB)"
    limit = ("-frames:v", str(MAX_FRAMES if frames is None else frames))
    filters = _conversion(info, size, timed)
    count, ends_s, log = _decoded(path, (*filters, *limit))
    variable = info.variable_rate or abs(ends_s - count / fps) > max(2 / fps, SLACK * ends_s)
    if variable:
        fps = _exact(info.clock) if info.fps < info.clock <= MAX_CLOCK_FPS else fps
        filters = _conversion(info, size, f"fps={fps}")
        count, _, log = _decoded(path, (*filters, *limit))
    source, _, output = log.partition("Output #0")
    shown = re.search(r"Video:.*?\b(\d+)x(\d+)\b", output)
    errors = tuple(re.findall(r"\[(?:error|fatal)\] (.*)", log))
    if not count or not shown:
        reason = errors[-1] if errors else "it has no frames"
        raise VideoError(f"{path.name}: no frame can be decoded ({reason[:200]})")
    width, height = int(shown[1]), int(shown[2])
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise VideoError(
            f"{path.name}: {width}x{height} is too large; frames have at most {MAX_PIXELS} pixels"
        )
    has_audio = bool(re.search(r"Stream #.*Audio:", source))
    return Film(path, width, height, fps, count, has_audio, variable, info.has_times, errors[:3], filters)


def _conversion(info: VideoInfo, size: tuple[int, int] | None, times: str) -> tuple[str, ...]:
    """Return ffmpeg's options for RGB frames of a size; the filter `times`, if not empty, gives them other times."""
    square_pixels = "'if(gt(sar,0),round(iw*sar),iw)':ih"
    wanted = square_pixels if size is None else f"{size[0]}:{size[1]}"
    matrix = untagged_matrix(info.width, info.height)
    colour = "" if _TAGGED.search(info.colour) else f":in_color_matrix={matrix}"
    scale = f"scale={wanted}:flags=bicubic+accurate_rnd+full_chroma_int{colour},setsar=1"
    filters = ",".join(each for each in (scale, times) if each)
    return ("-map", "0:v:0", "-vf", filters, "-pix_fmt", "rgb24", "-fps_mode", "passthrough")


def untagged_matrix(width: int, height: int) -> str:
    """Return the colour matrix that players assume for a video of this size without a tag, as ffmpeg names it."""
    return "bt709" if height >= HD_HEIGHT or width >= HD_HEIGHT * 16 // 9 else "bt601"


def _exact(fps: float) -> Fraction:
    """Return the rate that ffmpeg printed with two decimals, as NTSC's fraction where it is one."""
    ntsc = Fraction(round(fps) * 1000, 1001)
    return ntsc if abs(fps - ntsc) < 0.006 and fps != round(fps) else Fraction(str(fps))


def _decoded(path: Path, options: tuple[str, ...]) -> tuple[int, float, str]:
    """Decode to nothing; return the number of frames, the time at which the last one ends, in seconds, and the log."""
    command = [ffmpeg(), "-hide_banner", "-loglevel", "level+info", "-nostdin", "-nostats"]
    command += ["-progress", "pipe:1", *local_input(path), *options, "-f", "null", "-"]
    count, ends_s = 0, 0.0
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        assert process.stdout is not None
        try:
            while True:
                with limited(process):
                    line = process.stdout.readline(1000)
                if not line:
                    break
                if found := re.match(rb"frame=\s*(\d+)", line):
                    count = int(found[1])
                elif found := re.match(rb"out_time_us=\s*(\d+)", line):
                    ends_s = int(found[1]) / 1e6
        finally:
            process.kill()
        return count, ends_s, read_log(log)


@contextmanager
def limited(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill ffmpeg if the block, one read or write of its pipe, takes longer than `PROBE_TIMEOUT_S`."""
    timer = threading.Timer(PROBE_TIMEOUT_S, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def read_log(log: IO[bytes]) -> str:
    """Return the beginning of what ffmpeg wrote to a temporary file."""
    log.seek(0)
    return log.read(_LOG_BYTES).decode(errors="replace").strip()
