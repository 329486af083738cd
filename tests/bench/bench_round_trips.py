"""Whether codecs of the grammar are exact: 500 drawn videos through processes that differ in threads and hashing.

Each video is coded by two processes and decoded by both. Packets and frames must be the same everywhere, and each
decoder must hold the planes that the encoder predicts from.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from codec_evolution.planners.grammar.writer import write_codec
from codec_evolution.planners.parts import strongest

from infra.local.shipped import ShippedLineage
from tests.unit.planners.codec_runs import config, load

VIDEOS = 500
MOST_PIXELS_A_SIDE = 96
MOST_FRAMES = 3
ENVIRONMENTS = (
    {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "1"},
    {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4", "PYTHONHASHSEED": "2"},
)
CONTENTS = ("noise", "flat", "ramp", "moving", "cut", "text")

_loaded: dict[str, dict[str, Any]] = {}


def draw_video(number: int) -> tuple[np.ndarray, int, str]:
    """Return a video, (T, H, W, 3) uint8 RGB with T of 1 to 3 and sides of 1 to 96, its quality and its content."""
    rng = np.random.default_rng([2026, number])
    count, (height, width) = int(rng.integers(1, MOST_FRAMES + 1)), rng.integers(1, MOST_PIXELS_A_SIDE + 1, 2)
    content, quality = str(rng.choice(CONTENTS)), int(rng.integers(0, 101))
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    frames = []
    for index in range(count):
        if content == "noise":
            frame = rng.integers(0, 256, (height, width, 3))
        elif content == "flat":
            frame = np.full((height, width, 3), rng.integers(0, 256, 3) if index == 0 else frames[0][0, 0])
        elif content == "text":
            frame = np.repeat((rng.random((height, width, 1)) < 0.2) * 255, 3, axis=2)
        else:
            shift = index * 3 if content == "moving" else index * 50 if content == "cut" else 0
            wave = 127 + 100 * np.sin((rows + 2 * columns + shift) / 7)
            frame = np.stack([wave, 255 - wave, rows * 255 / height], axis=2)
        frames.append(np.clip(frame, 0, 255).astype(np.uint8))
    return np.stack(frames), quality, content


def encode(source: str, number: int) -> tuple[list[bytes], str]:
    """Return the packets of a drawn video, and the hash of the planes that the encoder predicts from."""
    frames, quality, _ = draw_video(number)
    codec, settings = _codec(source), config(list(frames), quality)
    packets = [codec["compress_video_frame"](frame, index, settings) for index, frame in enumerate(frames)]
    return packets, _planes(codec["SENT"])


def decode(source: str, number: int, packets: list[bytes]) -> tuple[str, str]:
    """Return the hash of the decoded frames, and that of the decoder's planes."""
    frames, quality, _ = draw_video(number)
    codec, settings = _codec(source), config(list(frames), quality)
    decoded = [codec["decompress_video_frame"](data, index, settings) for index, data in enumerate(packets)]
    assert [each.shape for each in decoded] == [each.shape for each in frames]
    return hashlib.sha256(np.stack(decoded).tobytes()).hexdigest(), _planes(codec["RECEIVED"])


def _codec(source: str) -> dict[str, Any]:
    if source not in _loaded:
        _loaded[source] = load(source)
    return _loaded[source]


def _planes(sequence: Any) -> str:
    return hashlib.sha256(
        b"".join(np.ascontiguousarray(each).tobytes() for each in sequence.planes)
    ).hexdigest()


def start(environment: dict[str, str]) -> ProcessPoolExecutor:
    """Start one process with these variables of its environment."""
    os.environ.update(environment)
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    pool.submit(os.getpid).result()
    return pool


def check(source: str, number: int, pools: list[ProcessPoolExecutor]) -> list[str]:
    """Return what differs for one video; nothing if all is exact."""
    (packets, planes), (others, _) = (
        each.result() for each in [pool.submit(encode, source, number) for pool in pools]
    )
    decoded = [each.result() for each in [pool.submit(decode, source, number, packets) for pool in pools]]
    same = {
        "packets": packets == others,
        "decoded frames": len({frames for frames, _ in decoded}) == 1,
        "planes": {each for _, each in decoded} == {planes},
    }
    return [name for name, holds in same.items() if not holds]


def measure(videos: int = VIDEOS) -> dict[str, Any]:
    """Return the number of videos by content, and those that differed, for the shipped codec and a quick one."""
    shipped = ShippedLineage()
    sources = {
        "shipped": shipped.source(shipped.incumbent),
        "quick": write_codec(strongest().with_genes(pace="quick")),
    }
    pools = [start(each) for each in ENVIRONMENTS]
    try:
        return {
            name: {
                "videos": dict(Counter(draw_video(number)[2] for number in range(videos))),
                "different": {
                    number: found for number in range(videos) if (found := check(source, number, pools))
                },
            }
            for name, source in sources.items()
        }
    finally:
        for pool in pools:
            pool.shutdown()
