"""The arrays that a trainer returns: how they leave the worker, what they may be, and their text in a source."""

from __future__ import annotations

import base64
import json
import lzma
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from codec_sandbox.faults import CandidateFault

DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "float16", "float32")
"""Types of the arrays, by numpy's names."""

MAX_ARRAYS = 16
MAX_NAME_CHARS = 60
MAX_DIMENSIONS = 8

MAX_RAW_BYTES = 256 * 1024
"""Most bytes of all arrays together, before they are packed."""

MAX_TEXT_BYTES = 16 * 1024
"""Longest text of all arrays together: the report carries it, and a source has 40 KB for everything."""

_HEAD = struct.Struct("<I")
_MAX_HEAD_BYTES = 16 * 1024
_RETURN = "train must return a dict of numpy arrays by the name of the constant"
_LZMA = ({"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 0, "pb": 0},)
# The smallest of what `lzma.decompress` reads: numbers have no neighbours as letters have.


@dataclass(frozen=True)
class TrainedArray:
    """One array.

    Attributes
    ----------
    dtype : str
        One of `DTYPES`.
    shape : tuple of int
    data : bytes
        In C order, little-endian.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @cached_property
    def text(self) -> str:
        """The data as it stands in a source; ``lzma.decompress(base64.b85decode(text))`` gives it back."""
        return packed_text(self.data)


def packed_text(data: bytes) -> str:
    """Compress bytes to text: base85 of lzma."""
    return base64.b85encode(lzma.compress(data, format=lzma.FORMAT_ALONE, filters=_LZMA)).decode("ascii")


def pack(returned: object) -> bytes:
    """Return what a trainer returned as bytes for `unpack`. Runs in the worker.

    Raises
    ------
    CandidateFault
        Kind ``return_type``: it is not a dict of plain numpy arrays of `DTYPES`.
    """
    import numpy as np  # here, because the zygote decides when numpy is imported

    if type(returned) is not dict:
        raise CandidateFault("return_type", f"{_RETURN}, not {type(returned).__name__[:60]}")
    head: list[list[Any]] = []
    parts: list[bytes] = []
    for name, array in returned.items():
        shown = str(name)[:MAX_NAME_CHARS]
        if type(array) is not np.ndarray:
            kind = type(array).__name__[:60]
            raise CandidateFault("return_type", f"{_RETURN}, but {shown} is a {kind}")
        if array.dtype.name not in DTYPES:
            allowed = ", ".join(DTYPES)
            raise CandidateFault("return_type", f"{shown} is {array.dtype.name[:40]}; use one of {allowed}")
        head.append([shown, array.dtype.name, list(array.shape)])
        parts.append(np.ascontiguousarray(array).tobytes())
    text = json.dumps(head).encode()
    return _HEAD.pack(len(text)) + text + b"".join(parts)


def unpack(data: bytes) -> dict[str, TrainedArray]:
    """Read what a worker answers, which is hostile.

    Returns
    -------
    dict
        Arrays by name; finite, and at most `MAX_RAW_BYTES` together, `MAX_TEXT_BYTES` as text.

    Raises
    ------
    CandidateFault
        Kind ``output_size``: they are too large. Kind ``return_type``: a name, type or shape is not allowed, or a
        number is not finite. Kind ``crash``: this is no such answer.
    """
    arrays = _split(data)
    if not arrays:
        raise CandidateFault("return_type", f"{_RETURN}, but the dict is empty")
    for name, array in arrays.items():
        _check_finite(name, array)
    size = sum(len(array.text) for array in arrays.values())
    if size > MAX_TEXT_BYTES:
        raise CandidateFault(
            "output_size",
            f"the arrays take {size / 1024:.1f} KB of text once compressed, and {MAX_TEXT_BYTES // 1024} KB fit: "
            "return fewer numbers, or coarser ones (int8)",
        )
    return arrays


def _split(data: bytes) -> dict[str, TrainedArray]:
    try:
        (length,) = _HEAD.unpack_from(data)
        if length > _MAX_HEAD_BYTES:
            raise CandidateFault("return_type", f"train may return at most {MAX_ARRAYS} arrays")
        head: Any = json.loads(data[_HEAD.size : _HEAD.size + length])
        rows = [(name, dtype, tuple(shape)) for name, dtype, shape in head]
    except (ValueError, TypeError, struct.error, RecursionError):
        raise CandidateFault("crash", "the worker answered with something that is not a reply") from None
    if len(rows) > MAX_ARRAYS:
        raise CandidateFault("return_type", f"train may return at most {MAX_ARRAYS} arrays, not {len(rows)}")
    sizes = [_size(*row) for row in rows]
    if sum(sizes) > MAX_RAW_BYTES:
        raise CandidateFault(
            "output_size",
            f"the arrays have {sum(sizes) / 1024:.0f} KB, {MAX_RAW_BYTES // 1024} KB are allowed: return fewer numbers",
        )
    if len(data) != _HEAD.size + length + sum(sizes):
        raise CandidateFault("crash", "the worker answered with something that is not a reply")
    found: dict[str, TrainedArray] = {}
    at = _HEAD.size + length
    for (name, dtype, shape), size in zip(rows, sizes, strict=True):
        found[name] = TrainedArray(dtype, shape, data[at : at + size])
        at += size
    return found


def _size(name: object, dtype: object, shape: tuple[object, ...]) -> int:
    """Return the bytes of an array; raises `CandidateFault` for what is none."""
    if type(name) is not str or not name.isidentifier() or not name.isascii() or len(name) > MAX_NAME_CHARS:
        raise CandidateFault("return_type", f"{_RETURN}; {str(name)[:MAX_NAME_CHARS]!r} is no name")
    lengths = [length for length in shape if type(length) is int and 0 < length < 1 << 31]
    if dtype not in DTYPES or len(lengths) != len(shape) or len(shape) > MAX_DIMENSIONS:
        raise CandidateFault(
            "return_type", f"{name} must have one of the types {', '.join(DTYPES)}, and elements"
        )
    return math.prod(lengths) * int(str(dtype).lstrip("uintfloa")) // 8


def _check_finite(name: str, array: TrainedArray) -> None:
    import numpy as np

    if array.dtype.startswith("float") and not np.isfinite(np.frombuffer(array.data, array.dtype)).all():
        raise CandidateFault(
            "return_type",
            f"{name} has values that are not finite: the training diverged; take smaller steps, or bound the values",
        )


def summary(arrays: Mapping[str, TrainedArray]) -> dict[str, dict[str, Any]]:
    """Return type, shape and bytes of text of each array, for a report."""
    return {
        name: {"dtype": array.dtype, "shape": list(array.shape), "text_bytes": len(array.text)}
        for name, array in arrays.items()
    }
