"""The source of one codec: its limits, its hashes, and the key by which a repeat is recognised."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

MAX_SOURCE_BYTES = 100 * 1024
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
        The source is empty, larger than `MAX_SOURCE_BYTES`, not valid Unicode, or holds a null byte.
    """

    source: str

    def __post_init__(self) -> None:
        """Check the source."""
        try:
            size = len(self.source.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise SourceError(f"the source is not valid Unicode: {error.reason}") from None
        if size > MAX_SOURCE_BYTES:
            raise SourceError(f"the source has {size} bytes, the limit is {MAX_SOURCE_BYTES}")
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
