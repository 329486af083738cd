"""One shared mapping and one futex word between supervisor and worker: transport without a file descriptor.

A worker keeps no descriptor, so it cannot have a pipe. The mapping holds a header, a request area and a reply area.
Nothing in it is trusted by the supervisor: lengths are checked and the bytes copied out before use.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import struct
import sys
import tempfile
import time
from collections.abc import Callable

from codec_sandbox import syscalls

HEADER = struct.Struct("<IIQQI")  # futex word, operation, bytes of the request, bytes of the reply, status
HEADER_BYTES = 4096
IDLE, REQUEST, REPLY = 0, 1, 2
OK, FAULT = 0, 1
_FUTEX_WAIT, _FUTEX_WAKE = 0, 1
_F_ADD_SEALS, _SEALS = (
    1033,
    1 | 2 | 4,
)  # SEAL, SHRINK, GROW: a shrunk mapping would kill its reader with SIGBUS


def create_memory(size: int) -> int:
    """Descriptor of `size` bytes of anonymous shared memory; the caller closes it."""
    if sys.platform == "linux":
        with contextlib.suppress(
            OSError
        ):  # a platform may refuse memfd_create: an unlinked file serves as well
            descriptor = os.memfd_create("codec-sandbox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(descriptor, size)
            fcntl.fcntl(descriptor, _F_ADD_SEALS, _SEALS)
            return descriptor
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), size)
        return os.dup(file.fileno())


class Channel:
    """One end of the mapping.

    Parameters
    ----------
    descriptor
        Of the shared memory; may be closed once the channel exists.
    request_bytes, reply_bytes
        Capacity of either area.

    Attributes
    ----------
    address
        Of the futex word in this process.
    """

    def __init__(self, descriptor: int, request_bytes: int, reply_bytes: int) -> None:
        self.request_bytes, self.reply_bytes = request_bytes, reply_bytes
        self.memory = mmap.mmap(descriptor, self.size(request_bytes, reply_bytes))
        self._word = ctypes.c_uint32.from_buffer(self.memory)
        self.address = ctypes.addressof(self._word)
        self.reply_at = HEADER_BYTES + request_bytes

    @staticmethod
    def size(request_bytes: int, reply_bytes: int) -> int:
        """Bytes of shared memory that a channel needs."""
        return HEADER_BYTES + request_bytes + reply_bytes

    def wait(self, state: int, seconds: float, slice_s: float, gone: Callable[[], bool]) -> bool:
        """Wait until the word equals `state`: False after `seconds`, or when `gone()` (asked every slice) is true."""
        end = time.monotonic() + seconds
        while (seen := self._word.value) != state:
            left = min(end - time.monotonic(), slice_s)
            if left <= 0:
                return False
            self._sleep(seen, left)
            if self._word.value != state and gone():
                return self._word.value == state
        return True

    def _sleep(self, seen: int, seconds: float) -> None:
        nr = syscalls.number("futex") if sys.platform == "linux" else None
        if nr is None:
            time.sleep(min(seconds, 0.0005))
            return
        limit = struct.pack("qq", int(seconds), int(seconds % 1 * 1e9))
        syscalls.libc.syscall(
            ctypes.c_long(nr),
            ctypes.c_void_p(self.address),
            _FUTEX_WAIT,
            ctypes.c_uint32(seen),
            limit,
            None,
            0,
        )

    def post(self, state: int, operation: int, request: int, reply: int, status: int) -> None:
        """Write the header and wake the other end. The word changes last."""
        HEADER.pack_into(self.memory, 0, self._word.value, operation, request, reply, status)
        self._word.value = state
        nr = syscalls.number("futex") if sys.platform == "linux" else None
        if nr is not None:
            syscalls.libc.syscall(
                ctypes.c_long(nr), ctypes.c_void_p(self.address), _FUTEX_WAKE, 1, None, None, 0
            )

    def header(self) -> tuple[int, int, int, int, int]:
        """Futex word, operation, bytes of the request, bytes of the reply, status, as they stand now."""
        return HEADER.unpack_from(self.memory, 0)

    def idle(self) -> None:
        """Mark the last reply as taken."""
        self._word.value = IDLE

    def close(self) -> None:
        """Unmap. Safe to call twice."""
        if self.memory.closed:
            return
        del self._word
        with contextlib.suppress(
            BufferError
        ):  # a caller still holds a view: the mapping goes when the view goes
            self.memory.close()
