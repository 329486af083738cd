"""Attempts, from inside a worker, what the layers must refuse."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
import sys
import time
from collections.abc import Callable

from codec_sandbox import syscalls


def probes(supervisor: int, zygote: int) -> dict[str, str]:
    """Attempt everything that is forbidden.

    Parameters
    ----------
    supervisor, zygote : int
        Process ids, targets of signals and of reads of memory.

    Returns
    -------
    dict
        Attempt -> name of the kernel's error, or ``succeeded``.
    """
    attempts: dict[str, Callable[[], int]] = {
        "open_file": lambda: os.open("/proc/self/status", os.O_RDONLY),
        "open_socket": lambda: syscalls.call("socket", 2, 1, 0),
        "open_pipe": lambda: os.pipe()[0],
        "open_memory": lambda: syscalls.call("memfd_create", b"x", 0),
        "reuse_descriptor": _any_descriptor,
        "fork": _fork,
        "raise_limit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)) or 0,
        "map_too_much": _map_too_much,
        "signal_supervisor": lambda: os.kill(supervisor, 0) or 0,
        "read_supervisor_memory": lambda: _read_memory(supervisor),
        "read_zygote_memory": lambda: _read_memory(zygote),
        "read_supervisor_clock": lambda: int(time.clock_gettime(~supervisor << 3 | 2)),
        "wake_other_processes": _wake_other_processes,
        "make_directory": _make_directory,
        "share_memory_segment": lambda: syscalls.call("shmget", 0, 4096, 0o600),
        "become_root": lambda: os.setuid(0) or 0,
    }
    return {name: _outcome(attempt) for name, attempt in attempts.items()}


def _outcome(attempt: Callable[[], int]) -> str:
    try:
        result = attempt()
    except OSError as error:
        return syscalls.error_name(error.errno or 0)
    except ValueError as error:
        return f"refused: {error}"
    return "succeeded" if result >= 0 else syscalls.error_name(result)


def _any_descriptor() -> int:
    for number in range(256):
        try:
            os.fstat(number)
        except OSError:
            continue
        return number
    return -errno.EBADF


def _fork() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def _map_too_much() -> int:
    import mmap

    with mmap.mmap(-1, 1 << 44):
        return 0


def _read_memory(pid: int) -> int:
    if sys.platform != "linux":
        return -errno.ENOSYS
    here = ctypes.create_string_buffer(8)
    there = ctypes.addressof(here)  # a page of the zygote is mapped at the same place in its children
    local = struct.pack("PN", ctypes.addressof(here), 8)
    remote = struct.pack("PN", there, 8)
    return syscalls.call("process_vm_readv", pid, local, 1, remote, 1, 0)


def _wake_other_processes() -> int:
    """Wake waiters on a word of a library's page, which the kernel identifies by its file and not by its process."""
    word = ctypes.cast(syscalls.libc.syscall, ctypes.c_void_p).value or 0
    return syscalls.call("futex", word & ~7, 1, 1, None, None, 0)


def _make_directory() -> int:
    path = f"/tmp/codec-sandbox-probe-{os.getpid()}"
    os.mkdir(path)  # noqa: PTH102
    os.rmdir(path)  # noqa: PTH106
    return 0
