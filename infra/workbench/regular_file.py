"""Opens files that a person names, without waiting for a pipe or reading a device."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from infra.errors import UserError


def open_regular(path: Path, what: str) -> BinaryIO:
    """Open a regular file for reading.

    Parameters
    ----------
    what
        What the file should be, for the message: ``a codec's source``.

    Raises
    ------
    UserError
        The file cannot be read, or is a directory, device or pipe.
    """
    try:
        # Non-blocking, because opening a pipe without a writer would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        stream = os.fdopen(descriptor, "rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        stream.close()
        raise UserError(f"{path}: is not a regular file; name a file with {what}")
    return stream
