"""System call numbers of the two supported machines, and a raw call (syscall(2))."""

from __future__ import annotations

import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
"""The C library."""

MACHINE = os.uname().machine
"""``x86_64`` or ``aarch64``."""

TABLE: dict[str, tuple[int | None, int | None]] = {
    "brk": (12, 214),
    "clock_getres": (229, 114),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "clone": (56, 220),
    "clone3": (435, 435),
    "close": (3, 57),
    "close_range": (436, 436),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "fstat": (5, 80),
    "futex": (202, 98),
    "get_robust_list": (274, 100),
    "getcwd": (79, 17),
    "getegid": (108, 177),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "gettid": (186, 178),
    "gettimeofday": (96, 169),
    "getuid": (102, 174),
    "ioprio_get": (252, 31),
    "ioprio_set": (251, 30),
    "keyctl": (250, 219),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "lseek": (8, 62),
    "madvise": (28, 233),
    "membarrier": (324, 283),
    "memfd_create": (319, 279),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "munmap": (11, 215),
    "nanosleep": (35, 101),
    "open": (2, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "pipe2": (293, 59),
    "poll": (7, None),
    "ppoll": (271, 73),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "process_vm_readv": (310, 270),
    "pselect6": (270, 72),
    "read": (0, 63),
    "restart_syscall": (219, 128),
    "rseq": (334, 293),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_getaffinity": (204, 123),
    "sched_getattr": (315, 275),
    "sched_setattr": (314, 274),
    "sched_yield": (24, 124),
    "seccomp": (317, 277),
    "select": (23, None),
    "set_robust_list": (273, 99),
    "shmget": (29, 194),
    "sigaltstack": (131, 132),
    "socket": (41, 198),
    "sysinfo": (99, 179),
    "tgkill": (234, 131),
    "time": (201, None),
    "times": (100, 153),
    "uname": (63, 160),
    "write": (1, 64),
}
"""Name -> number on x86_64 and on aarch64; None where there is no such call. Sources: arch/x86/entry/syscalls/
syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux."""

_COLUMN = {"x86_64": 0, "aarch64": 1}.get(MACHINE)


def number(name: str) -> int | None:
    """Return the number of the call `name` on this machine, or None if it has no such call or is not in the table."""
    return None if _COLUMN is None else TABLE[name][_COLUMN]


def call(name: str, *arguments: object) -> int:
    """Make a system call.

    Parameters
    ----------
    name : str
        In `TABLE`.
    *arguments
        Integers are passed as C ``long``; anything else as ctypes converts it.

    Returns
    -------
    int
        Its result, or the negated error number; -ENOSYS where the machine has no such call.
    """
    nr = number(name)
    if nr is None:
        return -errno.ENOSYS
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(nr), *converted)
    return result if result >= 0 else -ctypes.get_errno()


def error_name(code: int) -> str:
    """Return the name of an error number, such as ``EPERM``; its sign is ignored."""
    return errno.errorcode.get(abs(code), str(code))


def prctl(option: int, value: int) -> str:
    """Call ``prctl(option, value)`` (prctl(2)) and return ``ok`` or the name of the error."""
    zero = ctypes.c_ulong(0)
    done = (
        libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero)
        if hasattr(libc, "prctl")
        else -1
    )
    return "ok" if done >= 0 else error_name(ctypes.get_errno() or errno.ENOSYS)
