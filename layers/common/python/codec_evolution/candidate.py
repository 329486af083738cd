"""The source of one codec: its limits, its hashes, and the key by which a repeat is recognised."""

from __future__ import annotations

import ast
import base64
import hashlib
import lzma
import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

MAX_SOURCE_BYTES = 160 * 1024
"""Largest source, as UTF-8 text. Layout, names and docstrings cost nothing below it."""

MAX_COMPRESSED_BYTES = 40 * 1024
"""Largest source as `compressed_size` counts it: room for trained tables, none for pictures."""

_LZMA = ({"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 32 * 1024},)
# zlib, by which a source travels, looks back as far; so what passes here fits on every edge.

GRAMMAR = (3, 11)
"""The Python grammar by which every candidate is parsed, whatever Python runs it."""

ENCODER = "compress_video_frame"
DECODER = "decompress_video_frame"


class SourceError(ValueError):
    """A text that cannot be a candidate; the message names the limit that it breaks."""


@dataclass(frozen=True)
class Candidate:
    """The source of one codec. Its hashes are computed once, when they are first asked for.

    Raises
    ------
    SourceError
        The source is empty, larger than `MAX_SOURCE_BYTES`, or than `MAX_COMPRESSED_BYTES` compressed, not valid
        Unicode, or holds a null byte.
    """

    source: str

    def __post_init__(self) -> None:
        """Check the source."""
        try:
            text = self.source.encode("utf-8")
        except UnicodeEncodeError as error:
            raise SourceError(f"the source is not valid Unicode: {error.reason}") from None
        if len(text) > MAX_SOURCE_BYTES:
            raise SourceError(f"the source has {len(text)} bytes, the limit is {MAX_SOURCE_BYTES}")
        if (size := compressed_size(text)) > MAX_COMPRESSED_BYTES:
            raise SourceError(
                f"the source has {size} bytes compressed with lzma, the limit is {MAX_COMPRESSED_BYTES}"
            )
        if "\0" in self.source:
            raise SourceError("the source holds a null byte")
        if not self.source.strip():
            raise SourceError("the source is empty")

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the source, which names it in the bucket."""
        return sha256_hex(self.source)

    @cached_property
    def normalised_sha256(self) -> str:
        """Hash of what the source means to the parser; see `normalised_sha256`."""
        return normalised_sha256(self.source)


@lru_cache(maxsize=64)
def compressed_size(text: bytes) -> int:
    """Return the size of a source compressed with lzma, in bytes; short ones are not compressed."""
    if len(text) <= MAX_COMPRESSED_BYTES:
        return len(text)
    return len(lzma.compress(text, check=lzma.CHECK_NONE, filters=_LZMA))


def sha256_hex(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes in lower-case hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@lru_cache(maxsize=256)
def normalised_sha256(source: str) -> str:
    """Return a hash that ignores comments, layout and line ends.

    Sources that parse to the same tree count as one candidate. A source that does not parse is hashed as it stands,
    so that its failure is recorded only once too.
    """
    try:
        tree = ast.parse(source, feature_version=GRAMMAR)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return sha256_hex(source)
    return sha256_hex(ast.unparse(tree))


def source_key(normalised: str, policy_sha256: str, clip_set: str, rule_version: str) -> str:
    """Return the key under which a tested source is found again: normalised hash, policy, clip set and rule."""
    return "/".join((normalised[:32], policy_sha256[:12], clip_set[:12], rule_version))


def pack_text(text: str) -> str:
    """Compress a text for a payload: base64 of zlib of UTF-8."""
    return base64.b64encode(zlib.compress(text.encode("utf-8"), 9)).decode("ascii")


def unpack_text(packed: str, field: str, limit_bytes: int) -> str:
    """Return the text of `pack_text`, never growing beyond a limit.

    Raises
    ------
    ValueError
        The text is damaged, is not UTF-8, or is larger than ``limit_bytes``.
    """
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(base64.b64decode(packed, validate=True), limit_bytes + 1)
        text = data.decode("utf-8")
    except (ValueError, zlib.error) as error:
        raise ValueError(f"{field} is damaged: {error}") from None
    if len(data) > limit_bytes:
        raise ValueError(f"{field} is larger than {limit_bytes} bytes")
    if not inflater.eof:
        raise ValueError(f"{field} is damaged: it ends too early")
    return text
