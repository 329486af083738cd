"""The system calls a worker may make: a table, and the few lines that turn it into a BPF program.

The style is that of DMOJ's cptbox: policy as data, everything else refused. Refusal is EPERM, not death: a library that
probes for a feature then takes its other path. A foreign architecture (int 0x80, x32) is death.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from codec_sandbox import syscalls

# Needs no descriptor, no path and no other process. Verified with the default action set to kill: a run of numpy, cv2
# and torch makes no other call once its libraries are warm.
ALLOWED = [
    "brk",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "madvise",
    "membarrier",
    "futex",
    "get_robust_list",
    "set_robust_list",
    "rseq",
    "restart_syscall",
    "sched_yield",
    "sched_getaffinity",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "nanosleep",
    "gettimeofday",
    "time",
    "times",
    "getrusage",
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getcwd",
    "uname",
    "sysinfo",
    "getrandom",
    "read",
    "write",
    "close",
    "fstat",
    "lseek",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "exit",
    "exit_group",
]

# What a worker without free descriptors would be told anyway; here so that the message is the same on every platform.
NO_DESCRIPTORS = ["open", "openat", "openat2", "socket", "pipe2", "memfd_create"]

_PR_SET_NAME, _PR_SET_VMA = 15, 0x53564D41


def _conditional() -> list[tuple[str, int, int, tuple[int, ...]]]:
    """Calls allowed only for certain values of one argument: name, argument, offset in it (0 low, 4 high), values."""
    return [
        ("tgkill", 0, 0, (os.getpid(),)),  # abort() signals itself
        ("prctl", 0, 0, (_PR_SET_NAME, _PR_SET_VMA)),  # glibc and torch name threads and mappings
    ]


_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16
_X32_BIT = 0x40000000


class _Program:
    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []

    def load(self, offset: int) -> None:
        self.code.append((_LOAD, 0, 0, offset))

    def give(self, action: int) -> None:
        self.code.append((_RETURN, 0, 0, action))

    def when_equal(self, value: int, action: int) -> None:
        self.code += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, action)]

    def bytes(self) -> bytes:
        return b"".join(struct.pack("HBBI", *instruction) for instruction in self.code)


def program() -> bytes:
    """Assemble the filter for this machine and this process (its id is in it)."""
    p = _Program()
    p.load(_AT_ARCHITECTURE)
    p.code += [(_EQUAL, 1, 0, _ARCHITECTURE[syscalls.MACHINE]), (_RETURN, 0, 0, _KILL)]
    p.load(_AT_NUMBER)
    if syscalls.MACHINE == "x86_64":
        p.code += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    for name in ALLOWED:
        if (nr := syscalls.number(name)) is not None:
            p.when_equal(nr, _ALLOW)
    for name in NO_DESCRIPTORS:
        if (nr := syscalls.number(name)) is not None:
            p.when_equal(nr, _ERRNO | errno.EMFILE)
    p.when_equal(
        syscalls.number("clone3"), _ERRNO | errno.ENOSYS
    )  # glibc then falls back to clone, which is refused
    for name, argument, offset, values in _conditional():
        body = [(_LOAD, 0, 0, _AT_ARGUMENTS + 8 * argument + offset)]
        for value in values:
            body += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
        body.append((_RETURN, 0, 0, _ERRNO | errno.EPERM))
        p.code += [(_EQUAL, 0, len(body), syscalls.number(name)), *body]
    getter = [  # prlimit64 with a null new limit only reads
        (_LOAD, 0, 0, _AT_ARGUMENTS + 16),
        (_EQUAL, 0, 3, 0),
        (_LOAD, 0, 0, _AT_ARGUMENTS + 20),
        (_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]
    p.code += [(_EQUAL, 0, len(getter), syscalls.number("prlimit64")), *getter]
    p.give(_ERRNO | errno.EPERM)
    return p.bytes()


def install() -> str:
    """Install the filter in this process, for good: ``ok`` or the reason why not."""
    if syscalls.MACHINE not in _ARCHITECTURE:
        return f"no table for {syscalls.MACHINE}"
    code = program()
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    result = syscalls.call("seccomp", 1, 0, header)  # SECCOMP_SET_MODE_FILTER
    return "ok" if result == 0 else syscalls.error_name(result)
