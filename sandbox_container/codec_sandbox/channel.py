"""Transport between supervisor and worker without a file descriptor: one shared mapping and one futex word.

A worker keeps no descriptor, so it cannot have a pipe. The mapping holds a header, a request area and a reply area.
The supervisor trusts none of it: it checks lengths and copies the bytes out before use.
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

HEADER = struct.Struct("<IIQQI")
"""Futex word, operation, request length in bytes, reply length in bytes, status."""

HEADER_BYTES = 4096
"""Space reserved for the header: one page, so that both areas start on a page boundary."""

IDLE, REQUEST, REPLY = 0, 1, 2
"""Values of the futex word: nothing pending, a request is waiting, a reply is waiting."""

OK, FAULT = 0, 1
"""Status of a reply: a result, or the JSON description of a fault."""

_FUTEX_WAIT, _FUTEX_WAKE = 0, 1  # futex(2)
# fcntl(2). A mapping that someone shrinks kills its reader with SIGBUS.
_F_ADD_SEALS, _F_SEAL_SEAL, _F_SEAL_SHRINK, _F_SEAL_GROW = 1033, 1, 2, 4
_SEALS = _F_SEAL_SEAL | _F_SEAL_SHRINK | _F_SEAL_GROW


def create_memory(size: int) -> int:
    """Create anonymous shared memory.

    Parameters
    ----------
    size : int
        In bytes.

    Returns
    -------
    int
        A file descriptor, which the caller closes.

    Raises
    ------
    OSError
        If neither ``memfd_create`` nor a temporary file is available.
    """
    if sys.platform == "linux":
        # A platform may refuse memfd_create; an unlinked file works too.
        with contextlib.suppress(OSError):
            descriptor = os.memfd_create("codec-sandbox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(descriptor, size)
            fcntl.fcntl(descriptor, _F_ADD_SEALS, _SEALS)
            return descriptor
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), size)
        return os.dup(file.fileno())


class Channel:
    """One end of the shared mapping.

    Parameters
    ----------
    descriptor : int
        Of the shared memory. May be closed once the channel exists.
    request_bytes, reply_bytes : int
        Capacity of the request area and of the reply area.

    Attributes
    ----------
    memory : mmap.mmap
        The whole mapping.
    address : int
        Address of the futex word in this process.
    reply_at : int
        Offset of the reply area in `memory`, in bytes.
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
        """Wait until the futex word equals `state`.

        Parameters
        ----------
        state : int
            `IDLE`, `REQUEST` or `REPLY`.
        seconds : float
            The longest to wait.
        slice_s : float
            How often `gone` is called, in seconds.
        gone : callable
            Whether the other end can no longer answer.

        Returns
        -------
        bool
            False if the time ran out or the other end is gone.
        """
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
        """Write the header and wake the other end. The futex word changes last.

        Parameters
        ----------
        state : int
            New value of the futex word.
        operation : int
            What is asked for, one of `codec_sandbox.worker`'s operations; 0 in a reply.
        request, reply : int
            Lengths in bytes.
        status : int
            `OK` or `FAULT`.
        """
        HEADER.pack_into(self.memory, 0, self._word.value, operation, request, reply, status)
        self._word.value = state
        nr = syscalls.number("futex") if sys.platform == "linux" else None
        if nr is not None:
            syscalls.libc.syscall(
                ctypes.c_long(nr), ctypes.c_void_p(self.address), _FUTEX_WAKE, 1, None, None, 0
            )

    def header(self) -> tuple[int, int, int, int, int]:
        """Return the fields of `HEADER` as they are now."""
        return HEADER.unpack_from(self.memory, 0)

    def idle(self) -> None:
        """Mark the last reply as taken."""
        self._word.value = IDLE

    def close(self) -> None:
        """Unmap. Safe to call twice."""
        if self.memory.closed:
            return
        del self._word
        # If a caller still holds a view, the mapping goes when the view goes.
        with contextlib.suppress(BufferError):
            self.memory.close()
