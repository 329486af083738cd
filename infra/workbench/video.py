"""Reads and writes video files with the ffmpeg that imageio-ffmpeg ships.

ffmpeg only decodes and encodes. Scaling and colour conversion happen here in numpy, so that frames do not depend on the
machine's swscale. Colour is BT.709, 4:2:0, limited range.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np

PROBE_TIMEOUT_S = 60
"""Seconds for reading a header or ending a decoder."""
ENCODE_TIMEOUT_S = 300
"""Seconds for encoding or scoring one sequence."""


class VideoError(ValueError):
    """A video cannot be read or encoded; the message names the file, the frame and the reason."""


@dataclass(frozen=True)
class VideoInfo:
    """What the container says of its first video stream.

    Attributes
    ----------
    width, height
        Pixels.
    fps
        Mean frames per second.
    pixel_format, codec
        Names that ffmpeg uses, ``?`` if it prints none.
    colour
        How ffmpeg describes range and colour space, such as ``tv, bt709``; empty if unknown.
    clock
        Frames per second of the stream's clock (``tbr``); 0 if ffmpeg prints none.
    variable_rate
        Whether the mean rate differs from the stream's clock; not every header shows it.
    has_times
        Whether the container tells when a frame is shown; a bare stream of H.264 does not.
    """

    width: int
    height: int
    fps: float
    pixel_format: str
    codec: str
    variable_rate: bool = False
    colour: str = ""
    clock: float = 0.0
    has_times: bool = True


def ffmpeg() -> str:
    """Return the path of the ffmpeg program."""
    return imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg_version() -> str:
    """Return the first line of ``ffmpeg -version``, without the copyright."""
    return run_ffmpeg("-version").stdout.decode(errors="replace").splitlines()[0].split(" Copyright")[0]


def run_ffmpeg(
    *arguments: str, data: bytes | None = None, timeout_s: float = PROBE_TIMEOUT_S
) -> subprocess.CompletedProcess[bytes]:
    """Run ffmpeg to its end, whatever its exit status.

    Parameters
    ----------
    data
        Its standard input; empty when None.

    Raises
    ------
    VideoError
        It takes longer than `timeout_s` seconds.
    """
    try:
        return subprocess.run(
            [ffmpeg(), *arguments], input=data or b"", capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise VideoError(f"ffmpeg took more than {timeout_s:g} s: {' '.join(arguments)[:300]}") from None


def local_input(path: Path) -> tuple[str, ...]:
    """Return the options that name a file as input.

    The prefix and the whitelist keep a playlist, or a name that looks like an address, away from the network.
    """
    return ("-protocol_whitelist", "file", "-i", f"file:{path}")


def probe(path: Path) -> VideoInfo:
    """Return size, rate and format of the first video stream.

    Raises
    ------
    VideoError
        The file is missing or has no video stream that ffmpeg can read.
    """
    if not path.is_file():
        raise VideoError(f"{path.name}: no such file")
    printed = (
        run_ffmpeg("-hide_banner", "-nostdin", *local_input(path)).stderr.decode(errors="replace").strip()
    )
    stream = next((line for line in printed.splitlines() if re.search(r"Stream #.*Video:", line)), "")
    size = re.search(r"\b(\d{2,5})x(\d{2,5})\b", stream)
    rate = re.search(r"([\d.]+)(k?) (?:fps|tbr)", stream)
    if not size or not rate:
        reason = printed.splitlines()[-1] if printed else "unknown"
        raise VideoError(f"{path.name}: no readable video stream ({reason})")
    kind = re.search(r"Video: (\w+).*?, (\w+)", stream)
    fps = float(rate[1]) * (1000 if rate[2] else 1)
    clock = re.search(r"([\d.]+)(k?) tbr", stream)
    clock_fps = float(clock[1]) * (1000 if clock[2] else 1) if clock else 0.0
    ticks = clock_fps / fps if clock_fps and fps else 1.0
    has_times = bool(re.search(r"^ *Duration: .*\bstart: ", printed, re.MULTILINE))
    # Twice the rate: fields of interlaced frames.
    variable = has_times and min(abs(ticks - 1), abs(ticks - 2)) > 0.01
    pixel_format, codec = (kind[2], kind[1]) if kind else ("?", "?")
    tags = re.search(r"Video: \w+.*?, \w+\(([^)]*)\)", stream)
    colour = tags[1] if tags else ""
    return VideoInfo(
        int(size[1]), int(size[2]), fps, pixel_format, codec, variable, colour, clock_fps, has_times
    )


def decode_planes(
    path: Path, width: int, height: int, *, raw_format: str = ""
) -> Generator[list[np.ndarray]]:
    """Yield each coded frame in order, as planes Y (H, W), Cb and Cr (H/2, W/2), uint8.

    Parameters
    ----------
    width, height
        As `probe` returns them; odd sides are cropped to even ones.
    raw_format
        Demuxer for an elementary stream without a container, such as ``hevc``.

    Raises
    ------
    VideoError
        ffmpeg reports an error; the message says after how many good frames.
    """
    width, height = width - width % 2, height - height % 2
    command = _decode_command(path, width, height, raw_format)
    size = width * height * 3 // 2
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        assert process.stdout is not None
        count = 0
        try:
            while len(data := process.stdout.read(size)) == size:
                yield _planes(data, width, height)
                count += 1
            code = process.wait(timeout=PROBE_TIMEOUT_S)  # it has closed its output, so it is about to end
            log.seek(0)
            errors = log.read(4000).decode(errors="replace").strip()
            if code != 0 or errors or data:
                reason = errors.splitlines()[0] if errors else "cut short"
                raise VideoError(f"{path.name}: damaged after frame {count} ({reason[:200]})")
        finally:
            process.kill()


def _decode_command(path: Path, width: int, height: int, raw_format: str) -> list[str]:
    command = [ffmpeg(), "-loglevel", "error", "-nostdin", "-noautorotate"]
    command += ["-flags", "bitexact", "-idct", "simple"]
    command += ["-f", raw_format] if raw_format else []
    command += ["-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough"]
    command += ["-vf", f"crop={width}:{height}:0:0:exact=1", "-sws_flags", "accurate_rnd+bitexact"]
    return [*command, "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"]


def _planes(data: bytes, width: int, height: int) -> list[np.ndarray]:
    samples = np.frombuffer(data, dtype=np.uint8)
    luma, quarter = width * height, width * height // 4
    half = (height // 2, width // 2)
    return [
        samples[:luma].reshape(height, width),
        samples[luma : luma + quarter].reshape(half),
        samples[luma + quarter :].reshape(half),
    ]


def _shrink(plane: np.ndarray, factor: int) -> np.ndarray:
    height, width = (side - side % factor for side in plane.shape)
    blocks = plane[:height, :width].reshape(height // factor, factor, width // factor, factor)
    return blocks.mean(axis=(1, 3), dtype=np.float64)


def planes_to_rgb(planes: list[np.ndarray], scale: int = 1) -> np.ndarray:
    """Convert limited-range BT.709 4:2:0 planes to RGB, optionally shrunk by averaging.

    Parameters
    ----------
    planes
        Y (H, W), Cb and Cr (H/2, W/2), uint8.
    scale
        1, or an even factor by which both sides shrink.

    Returns
    -------
    numpy.ndarray
        (H // scale, W // scale, 3) uint8.
    """
    if scale == 1:
        luma, cb, cr = (plane.astype(np.float64) for plane in planes)
    else:
        luma = _shrink(planes[0], scale)
        cb, cr = (_shrink(plane, scale // 2)[: luma.shape[0], : luma.shape[1]] for plane in planes[1:])
    luma = (luma - 16.0) * (255.0 / 219.0)
    cb, cr = (cb - 128.0) * (255.0 / 224.0), (cr - 128.0) * (255.0 / 224.0)
    if scale == 1:
        cb, cr = (plane.repeat(2, axis=0).repeat(2, axis=1) for plane in (cb, cr))
    red, blue = luma + 1.5748 * cr, luma + 1.8556 * cb
    green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152
    image = np.empty((*luma.shape, 3), np.uint8)
    for channel, plane in enumerate((red, green, blue)):
        image[..., channel] = np.clip(np.rint(plane, out=plane), 0, 255, out=plane)
    return image


def rgb_to_planes(frame: np.ndarray) -> list[np.ndarray]:
    """Convert RGB (H, W, 3) uint8 with even sides to limited-range BT.709 planes.

    Returns
    -------
    list of numpy.ndarray
        Y (H, W), Cb and Cr (H/2, W/2), uint8.
    """
    red, green, blue = (frame[..., channel].astype(np.float64) for channel in range(3))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    planes = [luma * (219.0 / 255.0) + 16.0]
    for colour, span in ((blue, 1.8556), (red, 1.5748)):
        planes.append(_shrink((colour - luma) / span, 2) * (224.0 / 255.0) + 128.0)
    return [np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in planes]


def encode(frames: list[np.ndarray], fps: float, options: list[str], output: Path) -> None:
    """Encode RGB frames with ffmpeg.

    Parameters
    ----------
    frames
        Each (H, W, 3) uint8, even sides.
    fps
        Frames per second.
    options
        Encoder options between input and output, such as ``["-c:v", "libx265", "-crf", "28"]``.

    Raises
    ------
    VideoError
        The encoder failed or took too long.
    """
    height, width = frames[0].shape[:2]
    raw = b"".join(plane.tobytes() for frame in frames for plane in rgb_to_planes(frame))
    source = (*_raw_format(width, height, fps), "-i", "-")
    run = run_ffmpeg(
        "-loglevel", "error", "-y", *source, *options, str(output), data=raw, timeout_s=ENCODE_TIMEOUT_S
    )
    if run.returncode:
        raise VideoError(f"{options}: {run.stderr.decode(errors='replace').strip()[:300]}")


def vmaf(original: np.ndarray, decoded: list[np.ndarray], fps: float) -> float:
    """Return the mean VMAF of a sequence, 0 to 100, by model v0.6.1 NEG, which gives no credit for sharpening.

    Parameters
    ----------
    original
        (T, H, W, 3) uint8 RGB, even sides.
    decoded
        T frames of the same shape.
    fps
        Frames per second.

    Raises
    ------
    VideoError
        This ffmpeg has no libvmaf, or scoring failed.
    """
    height, width = original.shape[1:3]
    with tempfile.TemporaryDirectory() as scratch:
        files = []
        for name, frames in (("decoded", decoded), ("original", original)):
            path = Path(scratch) / f"{name}.yuv"
            path.write_bytes(b"".join(plane.tobytes() for frame in frames for plane in rgb_to_planes(frame)))
            files += [*_raw_format(width, height, fps), "-i", str(path)]
        model = ("-lavfi", "libvmaf=model=version=vmaf_v0.6.1neg")
        command = ("-hide_banner", "-nostdin", *files, *model, "-f", "null", "-")
        run = run_ffmpeg(*command, timeout_s=ENCODE_TIMEOUT_S)
    printed = run.stderr.decode(errors="replace").strip()
    score = re.search(r"VMAF score: ([\d.]+)", printed)
    if run.returncode or not score:
        raise VideoError(f"VMAF: {printed.splitlines()[-1][:300] if printed else 'no score'}")
    return float(score[1])


def _raw_format(width: int, height: int, fps: float) -> tuple[str, ...]:
    size, rate = f"{width}x{height}", f"{fps:g}"
    return ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", rate)
