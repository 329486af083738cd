"""The system calls that a worker may make: tables, and the code that turns them into a BPF program.

As in DMOJ's cptbox, the policy is data and everything else is refused. A refused call fails with EPERM; a library that
probes for a feature then takes its other path. A foreign architecture (int 0x80, x32) kills. Sources:
seccomp(2), include/uapi/linux/seccomp.h and bpf_common.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from codec_sandbox import syscalls

ALLOWED = (
    "brk mmap mprotect mremap munmap madvise membarrier "
    "set_robust_list rseq restart_syscall sched_yield "
    "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack "
    "nanosleep gettimeofday time times getrusage "
    "getpid getppid gettid getuid geteuid getgid getegid getcwd uname sysinfo getrandom "
    "read write close fstat lseek poll ppoll select pselect6 exit exit_group"
)
"""Calls without conditions: memory, waiting, signals to oneself, clocks, identity; no path, no new descriptor, no other
process. With the default action set to kill, warm numpy, cv2 and torch make one other call: they stat a path when
looking for an optional module. On EPERM they go on without it."""

REFUSED_WITH = {
    "open": errno.EMFILE,
    "openat": errno.EMFILE,
    "openat2": errno.EMFILE,
    "socket": errno.EMFILE,
    "pipe2": errno.EMFILE,
    "memfd_create": errno.EMFILE,
    "clone3": errno.ENOSYS,
}
"""Calls refused with another error than EPERM. A worker without free descriptors gets EMFILE anyway; with it here the
message is the same on every platform. On ENOSYS glibc falls back from clone3 to clone, which is refused."""

_PR_SET_NAME, _PR_SET_VMA = 15, 0x53564D41
# CLOCK_REALTIME to CLOCK_TAI. Above them (negative, in C) are the CPU clocks of other processes, which the kernel lets
# anyone read: an encoder could make its supervisor compute, and the decoder could see it.
_CLOCKS = tuple(range(12))
_LOW, _HIGH = 0, 4
_FUTEX_PRIVATE = 128


def allowed_for() -> dict[str, list[tuple[int, int, tuple[int, ...]]]]:
    """Return the calls that are allowed with some arguments only.

    Returns
    -------
    dict
        Call -> conditions, all of which must hold: (number of the argument, its half, allowed values). Some of the
        values are this process's id.
    """
    oneself = (0, _LOW, (0, os.getpid()))
    return {
        "tgkill": [(0, _LOW, (os.getpid(),))],  # abort() signals itself
        "prctl": [(0, _LOW, (_PR_SET_NAME, _PR_SET_VMA))],  # glibc and torch name threads and mappings
        "prlimit64": [oneself, (2, _LOW, (0,)), (2, _HIGH, (0,))],  # reads only, as no new limit is given
        "sched_getaffinity": [oneself],
        "get_robust_list": [oneself],
        "clock_gettime": [(0, _LOW, _CLOCKS)],
        "clock_getres": [(0, _LOW, _CLOCKS)],
        "clock_nanosleep": [(0, _LOW, _CLOCKS)],
    }


_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16
_X32_BIT = 0x40000000

Instruction = tuple[int, int, int, int]
"""One BPF instruction: code, jump if true, jump if false, value."""


def _when(name: str, body: list[Instruction]) -> list[Instruction]:
    """Run `body`, which ends in a return, for the call `name`; nothing on a machine without that call."""
    number = syscalls.number(name)
    return [] if number is None else [(_EQUAL, 0, len(body), number), *body]


def _one_of(argument: int, half: int, values: tuple[int, ...]) -> list[Instruction]:
    """Continue if half of an argument has one of `values`, else refuse."""
    tests = [(_EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
    return [(_LOAD, 0, 0, _AT_ARGUMENTS + 8 * argument + half), *tests, (_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def _futex(word: int) -> list[Instruction]:
    """Allow waits within this process, and on `word`.

    Any other shared wait could reach another process: the kernel identifies a word in a library's page by its file, so
    two workers with nothing else in common could wake each other there.
    """
    address, operation = _AT_ARGUMENTS, _AT_ARGUMENTS + 8
    return [
        (_LOAD, 0, 0, operation + _LOW),
        (_HAS_BIT, 4, 0, _FUTEX_PRIVATE),
        (_LOAD, 0, 0, address + _LOW),
        (_EQUAL, 0, 3, word & 0xFFFFFFFF),
        (_LOAD, 0, 0, address + _HIGH),
        (_EQUAL, 0, 1, word >> 32),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]


def program(word: int) -> list[Instruction]:
    """Build the filter for this machine and process.

    Parameters
    ----------
    word : int
        Address of the futex word that its channel waits on.
    """
    code: list[Instruction] = [
        (_LOAD, 0, 0, _AT_ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURE[syscalls.MACHINE]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _AT_NUMBER),
    ]
    if syscalls.MACHINE == "x86_64":
        code += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    for name in ALLOWED.split():
        code += _when(name, [(_RETURN, 0, 0, _ALLOW)])
    for name, error in REFUSED_WITH.items():
        code += _when(name, [(_RETURN, 0, 0, _ERRNO | error)])
    for name, conditions in allowed_for().items():
        tests = [step for condition in conditions for step in _one_of(*condition)]
        code += _when(name, [*tests, (_RETURN, 0, 0, _ALLOW)])
    code += _when("futex", _futex(word))
    return [*code, (_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def install(word: int) -> str:
    """Install the filter in this process, irrevocably.

    Parameters
    ----------
    word : int
        Address of the only futex that it shares with another process.

    Returns
    -------
    str
        ``ok``, or why the layer is not in force.
    """
    if syscalls.MACHINE not in _ARCHITECTURE:
        return f"no table for {syscalls.MACHINE}"
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program(word))
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    result = syscalls.call("seccomp", 1, 0, header)  # SECCOMP_SET_MODE_FILTER
    return "ok" if result == 0 else syscalls.error_name(result)
