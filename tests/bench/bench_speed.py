"""CPU seconds of the shipped codec, of what today's grammar writes of its genome, and of x265, by size and by tool.

``python -m tests.bench speed`` encodes one training window, and it enlarged to 1920x1080, on one thread and without the
sandbox. ``python -m tests.bench.bench_speed FILE`` measures another codec beside them.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from codec_evolution.planners.grammar.genome import read_genome
from codec_evolution.planners.grammar.writer import write_codec
from codec_sandbox.clips import ClipSet
from codec_sandbox.quality import psnr_yuv

from infra.local.shipped import ShippedLineage
from infra.workbench.references import ANCHOR, ENCODERS
from infra.workbench.video import decode_planes, encode, planes_to_rgb
from tests.bench.one_thread import figures_of
from tests.unit.planners.codec_runs import config, load

CHILD = "--in-this-process"
"""The argument of the process that measures."""
SEED = "speed"
"""Of the window."""
QUALITIES = (30, 70)
CRF = {30: 33, 50: 28, 70: 22}
"""The setting of x265 that comes near the PSNR of each quality."""
FRAMES = 12
"""Of a window: the first one is coded without motion, and one of eight is finer."""
HD_FRAMES = 3
HD_SIZE = (1920, 1080)
HD_QUALITY = 50
TOOLS = {
    "colour": ("split_planes", "join_planes"),
    "motion search": ("search_motion",),
    "motion decisions": ("Decider.__init__", "Decider.decide"),
    "motion compensation": ("predict_planes", "Sequence.remember"),
    "inter blocks": ("InterEncoder.encode", "reconstruct_inter"),
    "intra blocks": ("choose_kinds", "IntraEncoder.encode", "decode_intra"),
    "symbols": ("FrameSyntax.walk",),
    "levels": ("Hints.__init__", "FrameSyntax.residuals"),
    "loop filters": ("deblock", "apply_filter"),
}
"""Functions of the grammar's codecs by tool; none of them calls another one."""


class Stopwatch:
    """Adds up the CPU seconds of a codec's functions by tool."""

    def __init__(self, codec: dict[str, Any]) -> None:
        self.seconds = dict.fromkeys(TOOLS, 0.0)
        for tool, names in TOOLS.items():
            for name in names:
                owner, _, method = name.rpartition(".")
                if not owner and method in codec:
                    codec[method] = self._timed(tool, codec[method])
                elif owner in codec:
                    setattr(codec[owner], method, self._timed(tool, getattr(codec[owner], method)))

    def _timed(self, tool: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            began = time.process_time()
            try:
                return function(*arguments)
            finally:
                self.seconds[tool] += time.process_time() - began

        return timed

    def milliseconds(self, total_s: float, frames: int) -> dict[str, float]:
        """Return milliseconds a frame by tool, for those that ran, and what is left of a total."""
        parts = {**self.seconds, "other": total_s - sum(self.seconds.values())}
        return {tool: round(1000 * seconds / frames, 1) for tool, seconds in parts.items() if seconds}


def codec_speed(source: str, frames: np.ndarray, quality: int) -> dict[str, Any]:
    """Return CPU seconds a frame of encoder and decoder, bytes, PSNR-YUV and the milliseconds of each tool."""
    sender, receiver = load(source), load(source)
    watches = Stopwatch(sender), Stopwatch(receiver)
    settings = config(list(frames), quality)
    began = time.process_time()
    packets = [sender["compress_video_frame"](f.copy(), n, dict(settings)) for n, f in enumerate(frames)]
    middle = time.process_time()
    shown = [receiver["decompress_video_frame"](p, n, dict(settings)) for n, p in enumerate(packets)]
    spent = middle - began, time.process_time() - middle
    by_tool = [
        watch.milliseconds(seconds, len(frames)) for watch, seconds in zip(watches, spent, strict=True)
    ]
    return {
        **_figures(spent, sum(map(len, packets)), frames, shown),
        "encode_ms_by_tool": by_tool[0],
        "decode_ms_by_tool": by_tool[1],
    }


def x265_speed(frames: np.ndarray, fps: float, crf: int) -> dict[str, Any]:
    """Return the same of x265 zerolatency on one thread, without the tools. ffmpeg's start is included."""
    encoder = next(each for each in ENCODERS if each.name == ANCHOR)
    options = [option.format(parameter=crf) for option in encoder.options]
    with tempfile.TemporaryDirectory() as scratch:
        stream = Path(scratch) / f"stream.{encoder.stream}"
        began = _children_s()
        encode(list(frames), fps, [*options, "-f", encoder.stream], stream)
        middle = _children_s()
        height, width = frames.shape[1:3]
        planes = list(decode_planes(stream, width, height, raw_format=encoder.stream))
        spent = middle - began, _children_s() - middle
        size = stream.stat().st_size
    return _figures(spent, size, frames, [planes_to_rgb(each) for each in planes])


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _figures(
    spent: tuple[float, float], size: int, frames: np.ndarray, shown: list[np.ndarray]
) -> dict[str, Any]:
    """Return CPU seconds a frame, bytes and mean PSNR-YUV."""
    return {
        "encode_s": round(spent[0] / len(frames), 3),
        "decode_s": round(spent[1] / len(frames), 3),
        "bytes": size,
        "psnr_db": round(float(np.mean([psnr_yuv(*pair) for pair in zip(frames, shown, strict=True)])), 2),
    }


def codecs(further: list[Path]) -> dict[str, str]:
    """Return the sources to measure, by name."""
    shipped = ShippedLineage()
    source = shipped.source(shipped.incumbent)
    genome = read_genome(source)
    assert genome is not None
    rewritten = write_codec(genome.with_genes(pace="quick"))
    named = {f"shipped version {shipped.incumbent}": source, "the same genome at quick pace": rewritten}
    return named | {path.stem: path.read_text("utf-8") for path in further}


def measured(further: list[Path]) -> dict[str, Any]:
    """Return all figures: by size, then by quality, then by codec."""
    clips = ClipSet()
    window = clips.choose("train", SEED)[0]
    frames = clips.load(window)[:FRAMES]
    large = np.stack([cv2.resize(f, HD_SIZE, interpolation=cv2.INTER_CUBIC) for f in frames[:HD_FRAMES]])
    jobs = [(frames, quality) for quality in QUALITIES] + [(large, HD_QUALITY)]
    result: dict[str, Any] = {"window": window.key}
    for shown, quality in jobs:
        height, width = shown.shape[1:3]
        here = result.setdefault(f"{width}x{height}", {}).setdefault(f"quality {quality}", {})
        for name, source in codecs(further).items():
            print(f"{width}x{height}, quality {quality}: {name}", file=sys.stderr, flush=True)
            here[name] = codec_speed(source, shown, quality)
        here[f"{ANCHOR}, CRF {CRF[quality]}"] = x265_speed(shown, window.fps, CRF[quality])
    return result


def measure(further: Sequence[str] = ()) -> dict[str, Any]:
    """Return the figures of a process in which numpy has one thread, as it has in the sandbox."""
    return figures_of("tests.bench.bench_speed", CHILD, *further)


if __name__ == "__main__":
    child = sys.argv[1:2] == [CHILD]
    found = measured([Path(each) for each in sys.argv[2:]]) if child else measure(sys.argv[1:])
    print(json.dumps(found, indent=2))
