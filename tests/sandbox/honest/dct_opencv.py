"""Intra codec in YCrCb with halved chroma, OpenCV's DCT, run lengths packed with struct."""

from __future__ import annotations

import struct
from typing import Dict, List, Tuple

import cv2
import numpy as np

BLOCK = 16


def _runs(values: np.ndarray) -> bytes:
    out: List[bytes] = []
    zeros = 0
    for value in values.tolist():
        if value == 0 and zeros < 255:
            zeros += 1
            continue
        out.append(struct.pack("<Bh", zeros, value))
        zeros = 0
    out.append(struct.pack("<Bh", zeros, 0))
    return b"".join(out)


def _unrun(data: bytes, count: int) -> np.ndarray:
    values = np.zeros(count, np.int16)
    position = 0
    for zeros, value in struct.iter_unpack("<Bh", data):
        position += zeros
        if position < count:
            values[position] = value
        position += 1
    return values


def _code(plane: np.ndarray, step: float) -> bytes:
    h, w = plane.shape
    padded = cv2.copyMakeBorder(plane, 0, -h % BLOCK, 0, -w % BLOCK, cv2.BORDER_REPLICATE).astype(np.float32)
    levels = np.zeros(padded.shape, np.int16)
    for y in range(0, padded.shape[0], BLOCK):
        for x in range(0, padded.shape[1], BLOCK):
            levels[y : y + BLOCK, x : x + BLOCK] = np.rint(
                cv2.dct(padded[y : y + BLOCK, x : x + BLOCK] - 128) / step
            )
    body = _runs(levels.ravel())
    return struct.pack("<I", len(body)) + body


def _decode(data: bytes, offset: int, shape: Tuple[int, int], step: float) -> Tuple[np.ndarray, int]:
    (size,) = struct.unpack_from("<I", data, offset)
    rows, columns = (-(-n // BLOCK) * BLOCK for n in shape)
    levels = _unrun(data[offset + 4 : offset + 4 + size], rows * columns).reshape(rows, columns)
    out = np.empty((rows, columns), np.float32)
    for y in range(0, rows, BLOCK):
        for x in range(0, columns, BLOCK):
            out[y : y + BLOCK, x : x + BLOCK] = (
                cv2.idct(levels[y : y + BLOCK, x : x + BLOCK] * np.float32(step)) + 128
            )
    return np.clip(out, 0, 255).astype(np.uint8)[: shape[0], : shape[1]], offset + 4 + size


def compress_video_frame(frame: np.ndarray, frame_index: int, config: Dict) -> bytes:
    y, cr, cb = cv2.split(cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb))
    h, w = y.shape
    step = 1 + (100 - config["quality"]) / 4
    planes = [y] + [cv2.resize(c, (w // 2, h // 2), interpolation=cv2.INTER_AREA) for c in (cr, cb)]
    return struct.pack("<HH", h, w) + b"".join(_code(plane, step) for plane in planes)


def decompress_video_frame(data: bytes, frame_index: int, config: Dict) -> np.ndarray:
    h, w = struct.unpack_from("<HH", data, 0)
    step = 1 + (100 - config["quality"]) / 4
    y, at = _decode(data, 4, (h, w), step)
    cr, at = _decode(data, at, (h // 2, w // 2), step)
    cb, at = _decode(data, at, (h // 2, w // 2), step)
    full = [y] + [cv2.resize(c, (w, h), interpolation=cv2.INTER_LINEAR) for c in (cr, cb)]
    return cv2.cvtColor(cv2.merge(full), cv2.COLOR_YCrCb2RGB)
