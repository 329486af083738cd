"""Intra codec: recursive quadtree of flat blocks, with dataclasses, match and small standard modules."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Iterator, NamedTuple

import numpy as np


class Leaf(NamedTuple):
    y: int
    x: int
    size: int


@dataclass
class Tree:
    splits: list[int] = field(default_factory=list)
    colours: bytearray = field(default_factory=bytearray)

    def pack(self) -> bytes:
        bits = np.packbits(np.array(self.splits, np.uint8))
        return len(self.splits).to_bytes(4, "little") + bits.tobytes() + bytes(self.colours)


@lru_cache(maxsize=None)
def _threshold(quality: int) -> float:
    return {0: 40.0}.get(quality, 400.0 / (quality + 1))


def _grow(frame: np.ndarray, leaf: Leaf, tree: Tree, threshold: float) -> None:
    block = frame[leaf.y : leaf.y + leaf.size, leaf.x : leaf.x + leaf.size]
    match (leaf.size, float(block.std()) if block.size else None):
        case (_, None):
            return
        case (size, deviation) if size > 2 and deviation > threshold:
            tree.splits.append(1)
            half = size // 2
            for dy, dx in ((0, 0), (0, half), (half, 0), (half, half)):
                _grow(frame, Leaf(leaf.y + dy, leaf.x + dx, half), tree, threshold)
        case _:
            tree.splits.append(0)
            tree.colours += np.rint(block.mean(axis=(0, 1))).astype(np.uint8).tobytes()


def _roots(h: int, w: int, size: int = 32) -> Iterator[Leaf]:
    yield from (Leaf(y, x, size) for y in range(0, h, size) for x in range(0, w, size))


def compress_video_frame(frame, frame_index, config):
    tree, seen = Tree(), defaultdict(int)
    grow = partial(_grow, frame.astype(np.float32), tree=tree, threshold=_threshold(config["quality"]))
    for root in _roots(*frame.shape[:2]):
        grow(root)
        seen[root.size] += 1
    return tree.pack()


def decompress_video_frame(data, frame_index, config):
    h, w = config["height"], config["width"]
    count = int.from_bytes(data[:4], "little")
    size = (count + 7) // 8
    splits = deque(np.unpackbits(np.frombuffer(data[4 : 4 + size], np.uint8))[:count].tolist())
    colours = iter(np.frombuffer(data[4 + size :], np.uint8).reshape(-1, 3))
    out = np.zeros((h, w, 3), np.uint8)

    def fill(leaf: Leaf) -> None:
        if leaf.y >= h or leaf.x >= w:
            return
        if splits.popleft():
            half = leaf.size // 2
            for dy, dx in ((0, 0), (0, half), (half, 0), (half, half)):
                fill(leaf._replace(y=leaf.y + dy, x=leaf.x + dx, size=half))
        else:
            out[leaf.y : leaf.y + leaf.size, leaf.x : leaf.x + leaf.size] = next(colours)

    for root in _roots(h, w):
        fill(root)
    return out


if __name__ == "__main__":
    print("a codec, not a program")
