"""Runs a command under what is publicly known of AWS Lambda's system call policy, as a user without privileges.

prctl, seccomp, ptrace, unshare, chroot and similar calls fail with EPERM; Landlock fails with ENOSYS (kernel 5.10).
Sources: public reports of EPERM inside Lambda (catboost#1606, terraform-exec#172, openai/codex#38779, luajit.me wiki)
and AWS's security overview. For x86_64. It says nothing about what else Lambda refuses or allows.

As a program: ``simulated_lambda.py UID COMMAND...``
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import stat
import struct
import sys
from pathlib import Path

UNPRIVILEGED_UID = 23456
"""User that the command runs as, if the caller is root."""

# x86_64: prctl, seccomp, ptrace, process_vm_readv and writev, unshare, setns, chroot, mount, umount, pivot_root, bpf,
# perf_event_open, userfaultfd
_REFUSED = [157, 317, 101, 310, 311, 272, 308, 161, 165, 166, 155, 321, 298, 323]
# Landlock (three calls) and two that are younger than the kernel
_UNKNOWN = [444, 445, 446, 451, 461]
_LOAD, _EQUAL, _RETURN, _ERRNO, _ALLOW = 0x20, 0x15, 0x06, 0x50000, 0x7FFF0000
_SET_NO_NEW_PRIVS, _SECCOMP, _SET_MODE_FILTER = 38, 317, 1


def interpreter() -> Path | None:
    """Find an interpreter of this version that an unprivileged user can run, or None."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [Path(sys.executable), Path("/usr/bin") / version, Path("/usr/local/bin") / version]
    if os.geteuid() != 0:
        return candidates[0]
    return next((path for path in candidates if path.exists() and open_to_all(path)), None)


def open_to_all(path: Path) -> bool:
    """Whether every user may reach and execute `path`."""
    parts = [path.resolve(), *path.resolve().parents]
    return all(part.stat().st_mode & stat.S_IXOTH for part in parts)


def why_not() -> str | None:
    """Return why this machine cannot simulate Lambda, or None if it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "the simulated policy is for Linux on x86_64"
    if interpreter() is None or not open_to_all(Path(__file__).parent):
        return "no interpreter or checkout that an unprivileged user may read"
    return None


def command(arguments: list[str]) -> list[str]:
    """Return the command that runs Python with `arguments` under the policy."""
    python = str(interpreter())
    return [python, str(Path(__file__).resolve()), str(UNPRIVILEGED_UID), python, *arguments]


def install() -> None:
    """Install the filter. As on the platform, root does so without NO_NEW_PRIVS; exits if the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = [(_LOAD, 0, 0, 0)]
    for numbers, error in ((_REFUSED, errno.EPERM), (_UNKNOWN, errno.ENOSYS)):
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
    """Switch to the user, install the filter, run the command."""
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
