"""Blocks by generators, transforms from a cache, a decorator of one's own."""

import math
import zlib
from collections import namedtuple
from functools import lru_cache, wraps
from itertools import chain, product
from typing import Generator, Iterable, Iterator

import numpy as np

Block = namedtuple("Block", "y x data")


@lru_cache(maxsize=None)
def dct_matrix(n: int = 8) -> np.ndarray:
    k = np.arange(n)[:, None]
    i = np.arange(n)[None, :]
    m = np.sqrt(2.0 / n) * np.cos(math.pi * (2 * i + 1) * k / (2 * n))
    m[0] /= math.sqrt(2)
    return m.astype(np.float32)


@lru_cache
def zigzag(n: int = 8) -> tuple[int, ...]:
    return tuple(
        sorted(range(n * n), key=lambda p: (p // n + p % n, (p % n) if (p // n + p % n) % 2 else p // n))
    )


def timed(fn):
    calls = 0

    @wraps(fn)
    def wrapper(*args, **kwargs):
        nonlocal calls
        calls += 1
        return fn(*args, **kwargs)

    return wrapper


def blocks(plane: np.ndarray, n: int = 8) -> Generator[Block, None, None]:
    for y, x in product(range(0, plane.shape[0], n), range(0, plane.shape[1], n)):
        yield Block(y, x, plane[y : y + n, x : x + n])


def compress_video_frame(frame, frame_index, config):
    m = dct_matrix()
    h, w, c = frame.shape
    q = 60 - config["quality"] // 2

    def encode(block: Block) -> Iterable[int]:
        coefficients = m @ (block.data.astype(np.float32) - 128) @ m.T
        quantised = np.rint(coefficients / q).astype(np.int16).ravel()[list(zigzag())]
        yield from quantised.tolist()

    padded = np.pad(frame, ((0, -h % 8), (0, -w % 8), (0, 0)), mode="edge")
    values = np.fromiter(
        chain.from_iterable(chain.from_iterable(map(encode, blocks(padded[..., k]))) for k in range(c)),
        np.int16,
    )
    return zlib.compress(values.tobytes(), 9)


@timed
def decompress_video_frame(data, frame_index, config):
    m, q = dct_matrix(), 60 - config["quality"] // 2
    h, w = config["height"], config["width"]
    ph, pw = h + -h % 8, w + -w % 8
    values = np.frombuffer(zlib.decompress(data), np.int16).reshape(3, -1, 64)
    order = np.argsort(zigzag())
    out = np.empty((ph, pw, 3), np.float32)
    for k in range(3):
        it: Iterator[np.ndarray] = iter(values[k])
        for y, x in product(range(0, ph, 8), range(0, pw, 8)):
            out[y : y + 8, x : x + 8, k] = m.T @ (next(it)[order].reshape(8, 8) * q) @ m + 128
    return np.clip(out, 0, 255).astype(np.uint8)[:h, :w]
