"""Run a command under what is publicly known of AWS Lambda's own system call policy.

prctl, seccomp, ptrace, unshare, chroot and kin answer EPERM; Landlock answers ENOSYS (the kernel is 5.10). Sources: the
public reports of EPERM inside Lambda (catboost#1606, terraform-exec#172, openai/codex#38779, luajit.me wiki) and AWS's
security overview. A simulation on x86_64: it says nothing about what else Lambda refuses.

Usage: lambda_syscall_policy.py UID COMMAND...
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

# prctl, seccomp, ptrace, process_vm_readv and writev, unshare, setns, chroot, mount, umount, pivot_root, bpf,
# perf_event_open, userfaultfd
REFUSED = [157, 317, 101, 310, 311, 272, 308, 161, 165, 166, 155, 321, 298, 323]
# Landlock (three calls) and two that are younger than the kernel
UNKNOWN = [444, 445, 446, 451, 461]
_LOAD, _EQUAL, _RETURN, _ERRNO, _ALLOW = 0x20, 0x15, 0x06, 0x50000, 0x7FFF0000
_SET_NO_NEW_PRIVS, _SECCOMP, _SET_MODE_FILTER = 38, 317, 1


def install() -> None:
    """Install the filter; root needs no NO_NEW_PRIVS for it, as the platform does not."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = [(_LOAD, 0, 0, 0)]
    for numbers, error in ((REFUSED, errno.EPERM), (UNKNOWN, errno.ENOSYS)):
        for number in numbers:
            code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | error)]
    code.append((_RETURN, 0, 0, _ALLOW))
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in code)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
    if os.geteuid() != 0:
        libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.syscall(_SECCOMP, _SET_MODE_FILTER, 0, header) != 0:
        sys.exit(f"the filter was refused: {os.strerror(ctypes.get_errno())}")


def main() -> None:
    """Become the user, install the filter, run the command."""
    uid = int(sys.argv[1])
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        install()
        os.setresuid(uid, uid, uid)
    else:
        install()
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
