"""The source of one codec: its limits, its hash, and the key by which a repeat is recognised."""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache

MAX_SOURCE_BYTES = 100 * 1024
GRAMMAR = (3, 11)
"""Every candidate is parsed with one Python grammar, whatever runs it."""

ENCODER = "compress_video_frame"
DECODER = "decompress_video_frame"


class SourceError(ValueError):
    """A text that cannot be a candidate; the message says which limit it broke."""


def sha256_hex(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes in lower-case hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def check_source(source: str) -> str:
    """Return a source that may travel; raises `SourceError` for one that is too large or holds null bytes."""
    size = len(source.encode("utf-8"))
    if size > MAX_SOURCE_BYTES:
        raise SourceError(f"the source has {size} bytes, the limit is {MAX_SOURCE_BYTES}")
    if "\0" in source:
        raise SourceError("the source holds a null byte")
    if not source.strip():
        raise SourceError("the source is empty")
    return source


@lru_cache(maxsize=256)
def normalised_sha256(source: str) -> str:
    """Return a hash that ignores comments, layout and line ends.

    Two sources of one meaning to the parser count as one candidate. A source that does not parse is hashed as
    it stands: its failure is then recorded once, too.
    """
    try:
        tree = ast.parse(source, feature_version=GRAMMAR)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return sha256_hex(source)
    return sha256_hex(ast.unparse(tree))


def source_key(normalised: str, policy_sha256: str, clip_set: str, rule_version: str) -> str:
    """Return the key under which a tested source is found again: meaning, policy, clip set and rule."""
    return "/".join((normalised[:32], policy_sha256[:12], clip_set[:12], rule_version))
