"""Reads the source of a codec that a person names on the command line."""

from __future__ import annotations

from pathlib import Path

from codec_sandbox.request import MAX_SOURCE_BYTES

from infra.errors import UserError
from infra.workbench.regular_file import open_regular


def read_codec_file(path: Path) -> bytes:
    """Return the bytes of a codec's file: a regular file of UTF-8 text of at most 1 MiB, with any line endings.

    Whether a candidate may be that large, and whether it is Python, is for validation to say.

    Raises
    ------
    UserError
        The file cannot be read, is a directory, device or pipe, is too large, or is not UTF-8.
    """
    with open_regular(path, "a codec's source") as stream:
        try:
            source = stream.read(MAX_SOURCE_BYTES + 1)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if len(source) > MAX_SOURCE_BYTES:
        raise UserError(f"{path}: has more than {MAX_SOURCE_BYTES} bytes, too many for a codec's source")
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}: is not UTF-8 (byte {error.start}, line {line}); save it as UTF-8 text"
        ) from None
    return source
