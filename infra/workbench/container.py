"""The ``.cevo`` container: a header, the decoder's source, and packets that each have a checksum.

All numbers are big-endian. A file is

* 8 bytes ``89 43 45 56 4F 0D 0A 1A``, the magic: a transfer as text damages it visibly (as in PNG, RFC 2083, 12.11),
* u16 version of the container (1), u32 length of the header, u32 length of the source,
* the header: a JSON object, the fields of `Header`,
* the source of the codec, xz with a dictionary of at most 3 MiB; of length 0 if the header only names the codec,
* u32 CRC-32 of everything before it,
* for each frame in order: u32 length of the packet, u32 CRC-32 of its index (u32, from 0) and its bytes, the packet.

A file comes from anywhere, so every length is checked against its bound before it is read, and nothing is kept but
the header, the source and one packet.
"""

from __future__ import annotations

import hashlib
import lzma
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated, BinaryIO

from codec_sandbox.limits import MAX_SOURCE_BYTES
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

MAGIC = b"\x89CEVO\r\n\x1a"
"""First bytes of every file."""
CONTAINER_VERSION = 1
"""The version that is written, and the only one that is read."""
MAX_SIDE = 16384
"""Longest side of a frame, in pixels."""
MAX_PIXELS = 7680 * 4320
"""Largest frame: 8K UHD."""
MAX_FRAMES = 10_000_000
"""Most frames in a file: 92 hours at 30 frames per second."""
MAX_HEADER_BYTES = 8192
"""Longest header."""
MAX_CARRIED_BYTES = 64 * 1024
"""Longest compressed source; a candidate may have 40 KB, and xz adds less than 1 KB."""

_PRELUDE = struct.Struct(">8sHII")
_SUM = struct.Struct(">I")
_PACKET = struct.Struct(">II")
_MIN_PACKET_LIMIT = 8 << 20  # as codec_sandbox.limits
_XZ_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 256 * 1024}]  # holds the longest source
_XZ_MEMORY = 4 << 20

Text = Annotated[str, Field(max_length=200)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ContainerError(Exception):
    """The file is foreign, damaged or cut short; the message is one sentence that names the packet, from 1."""


class Header(BaseModel):
    """What a file says of itself. Nothing of it is trusted beyond its bounds.

    Attributes
    ----------
    codec
        Name of the codec for people, such as ``version 3 of main``.
    lineage, version
        The adopted version, or None if the codec was a file.
    source_sha256
        SHA-256 of the codec's source.
    width, height
        Of every frame, in pixels.
    fps_numerator, fps_denominator
        Frames per second as a fraction.
    frames
        Packets that a complete file has, at least 1.
    quality
        The codec's ``config["quality"]``, 0 to 100.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    codec: Text
    lineage: Text | None = None
    version: Annotated[int, Field(ge=0, lt=1 << 31)] | None = None
    source_sha256: Sha256
    width: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    height: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    fps_numerator: Annotated[int, Field(ge=1, le=1_000_000_000)]
    fps_denominator: Annotated[int, Field(ge=1, le=1_000_000_000)]
    frames: Annotated[int, Field(ge=1, le=MAX_FRAMES)]
    quality: Annotated[int, Field(ge=0, le=100)]

    @model_validator(mode="after")
    def _within_bounds(self) -> Header:
        if self.width * self.height > MAX_PIXELS:
            raise ValueError(f"a frame has at most {MAX_PIXELS} pixels")
        if not Fraction(1, 1000) <= self.fps <= 1000:
            raise ValueError("frames per second must be between 0.001 and 1000")
        return self

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.fps_numerator, self.fps_denominator)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a frame: (height, width, 3)."""
        return self.height, self.width, 3

    @property
    def max_packet_bytes(self) -> int:
        """Largest packet that is written or read: 8 MiB, or a raw frame if that is more."""
        return max(_MIN_PACKET_LIMIT, self.width * self.height * 3)


class ContainerWriter:
    """Writes a file packet by packet.

    Parameters
    ----------
    stream
        Open for writing, empty.
    header
        Its ``frames`` is the number of calls of `add` that must follow.
    source
        The codec's source, or None to let the header name it.
    """

    def __init__(self, stream: BinaryIO, header: Header, source: bytes | None) -> None:
        self._stream, self._header, self._packets = stream, header, 0
        text = header.model_dump_json().encode()
        carried = lzma.compress(source, filters=_XZ_FILTERS) if source is not None else b""
        head = _PRELUDE.pack(MAGIC, CONTAINER_VERSION, len(text), len(carried)) + text + carried
        stream.write(head + _SUM.pack(zlib.crc32(head)))

    def add(self, packet: bytes) -> None:
        """Write the next packet."""
        self._stream.write(_PACKET.pack(len(packet), _checksum(self._packets, packet)) + packet)
        self._packets += 1


class ContainerReader:
    """Reads a file packet by packet.

    Parameters
    ----------
    stream
        Open for reading, at its beginning.

    Attributes
    ----------
    header
    source
        The codec's source if the file carries it; its hash is the one that the header names.

    Raises
    ------
    ContainerError
        The file is not a container, is of another version, or its beginning is damaged.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        prelude = self._read(_PRELUDE.size)
        if not prelude.startswith(MAGIC):
            raise ContainerError("is not a .cevo file")
        if len(prelude) < _PRELUDE.size:
            raise ContainerError("ends within its header")
        _, version, header_bytes, source_bytes = _PRELUDE.unpack(prelude)
        if version != CONTAINER_VERSION:
            raise ContainerError(
                f"has container version {version}; this program reads version {CONTAINER_VERSION}"
            )
        if header_bytes > MAX_HEADER_BYTES or source_bytes > MAX_CARRIED_BYTES:
            raise ContainerError("has a damaged header: it claims to be too long")
        body = self._read(header_bytes + source_bytes + _SUM.size)
        if len(body) < header_bytes + source_bytes + _SUM.size:
            raise ContainerError("ends within its header")
        head, stored = prelude + body[: -_SUM.size], body[-_SUM.size :]
        if _SUM.pack(zlib.crc32(head)) != stored:
            raise ContainerError("has a damaged header: its checksum does not match")
        self.header = _header(body[:header_bytes])
        self.source = _unpacked(body[header_bytes : -_SUM.size]) if source_bytes else None
        if self.source is not None and sha256(self.source) != self.header.source_sha256:
            raise ContainerError("carries another source than its header names")

    def packets(self) -> Iterator[bytes]:
        """Yield every packet in order.

        Raises
        ------
        ContainerError
            A packet is damaged or missing, or something follows the last one.
        """
        for index in range(self.header.frames):
            name = f"packet {index + 1} of {self.header.frames}"
            head = self._read(_PACKET.size)
            if not head:
                raise ContainerError(f"is cut short: it ends before {name}")
            if len(head) < _PACKET.size:
                raise ContainerError(f"is cut short: it ends within {name}")
            length, stored = _PACKET.unpack(head)
            if length > self.header.max_packet_bytes:
                raise ContainerError(f"is damaged at {name}: {length} bytes are more than a packet may have")
            packet = self._read(length)
            if len(packet) < length:
                raise ContainerError(f"is cut short: it ends within {name}")
            if _checksum(index, packet) != stored:
                raise ContainerError(f"is damaged at {name}: its checksum does not match")
            yield packet
        if self._read(1):
            raise ContainerError(f"goes on after packet {self.header.frames}, which should be its last")

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except OSError as error:
            raise ContainerError(f"cannot be read ({error.strerror})") from error


def sha256(source: bytes) -> str:
    """Return the SHA-256 of a source, as hexadecimal digits."""
    return hashlib.sha256(source).hexdigest()


def _checksum(index: int, packet: bytes) -> int:
    return zlib.crc32(packet, zlib.crc32(_SUM.pack(index)))


def _header(text: bytes) -> Header:
    try:
        return Header.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "as a whole"
        raise ContainerError(f"has a header that cannot be used ({field}: {first['msg']})") from None


def _unpacked(carried: bytes) -> bytes:
    inflater = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    try:
        source = inflater.decompress(carried, max_length=MAX_SOURCE_BYTES + 1)
    except (lzma.LZMAError, EOFError, MemoryError):
        raise ContainerError("carries a source that cannot be decompressed") from None
    if len(source) > MAX_SOURCE_BYTES or not inflater.eof or inflater.unused_data:
        raise ContainerError(
            f"carries a source that is not one xz stream of at most {MAX_SOURCE_BYTES} bytes"
        )
    return source
