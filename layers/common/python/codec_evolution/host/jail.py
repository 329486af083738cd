"""Starts one program in a jail: without network, credentials or rights, and with only the files it is shown.

Run as a program of its own (``python -I -S jail.py``) with a JSON document on standard input, because it leaves
namespaces and accounts for good. It reports the walls in force on the file descriptor that the document names.

There are two modes. ``closed`` shows the program only the named folders (read-only) and one writable folder, in
process, network and mount namespaces of its own; ``open``, for diagnosis, shows it the machine's files as nobody.
"""

# This program starts with every run, and importing pathlib would take longer than everything it does.
# ruff: noqa: PTH103, PTH110, PTH112, PTH114, PTH115, PTH120, PTH123, PTH211
from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import signal
import struct
import sys

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x20000,
    0x4000000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 1, 36, 38, 22
NOBODY = 65534
"""User and group id without rights."""
LIMITS = (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_NOFILE, 256),
    (resource.RLIMIT_FSIZE, 64 << 20),
    (resource.RLIMIT_AS, 4 << 30),
)
"""Soft and hard limits of every program: no core dump, open files, bytes a file, bytes of address space."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
"""What a closed run sees of ``/dev``."""
SYSCALLS = {"x86_64": (0xC000003E, 41, 425), "aarch64": (0xC00000B7, 198, 425)}
"""Audit architecture, number of ``socket`` and number of ``io_uring_setup``, by machine."""
AF_UNIX = 1
"""The only address family that a filtered program may open."""
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    """Start the program that standard input describes; returns its exit status, 126 when the walls could not be raised.

    A strict run that would have an account of value or a network ends with 125, its program not started.
    """
    spec = json.load(sys.stdin)
    walls: dict[str, str] = {}
    was_root = os.geteuid() == 0
    closed = spec["mode"] == "closed"
    isolated = _namespaces(closed, was_root, walls)
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        try:
            _enter(spec, closed and isolated, was_root, isolated, walls)
        except OSError as error:
            os.write(2, f"the walls could not be put up: {error}\n".encode())
        finally:
            os._exit(126)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        _, status = os.waitpid(child, 0)
    finally:
        _kill_descendants()
    return os.waitstatus_to_exitcode(status) % 256


def _kill_descendants() -> None:
    """Kill what the program left behind: as the subreaper, this process is the parent of every orphan."""
    for _ in range(1000):
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            left = [int(pid) for pid in file.read().split()]
        if not left:
            return
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _namespaces(closed: bool, was_root: bool, walls: dict[str, str]) -> bool:
    """Leave the machine's namespaces; returns whether that worked."""
    flags = NEWNET | NEWIPC | NEWUTS | NEWPID | (NEWNS if closed else 0)
    if was_root and _unshare(flags):
        walls["network"] = "namespace"
        return True
    uid, gid = os.geteuid(), os.getegid()
    if not was_root and _unshare(flags | NEWUSER):
        for name, line in (
            ("setgroups", "deny"),
            ("uid_map", f"{NOBODY} {uid} 1"),
            ("gid_map", f"{NOBODY} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(line)
        walls["network"] = "namespace"
        return True
    walls["files"] = "the machine's own: no namespaces here"
    return False


def _enter(spec: dict, jailed: bool, was_root: bool, isolated: bool, walls: dict[str, str]) -> None:
    if jailed:
        _show_only(spec)
        walls["files"] = "only the named folders"
    for limit, value in (*LIMITS, (resource.RLIMIT_CPU, spec["cpu_s"])):
        hard = resource.getrlimit(limit)[1]
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (soft, soft))
    os.chdir(spec["cwd"])  # before the account changes: nobody may lack the rights to get there
    if was_root and not spec["privileged"] and not (jailed or _nobody_reaches(spec)):
        walls["user"] = "the caller's: no other account reaches the program, and there are no namespaces here"
    elif was_root and not spec["privileged"]:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        walls["user"] = "nobody"
        resource.setrlimit(resource.RLIMIT_NPROC, (64, 64))
    elif spec["privileged"]:
        walls["user"] = "the host's own, for its own units"
    else:
        walls["user"] = "nobody in its own namespace" if isolated else "the caller's"
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if not spec["privileged"] and _no_sockets():
        walls["sockets"] = "refused"
        walls.setdefault("network", "refused")
    walls.setdefault("network", "the machine's own: no namespaces and no filter here")
    os.write(spec["report_fd"], json.dumps(walls).encode())
    os.close(spec["report_fd"])
    if spec["strict"] and not (
        "nobody" in walls["user"].split() and walls["network"] in ("namespace", "refused")
    ):
        os._exit(125)
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # a change of account clears it
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.execve(spec["argv"][0], spec["argv"], spec["environment"])


def _nobody_reaches(spec: dict) -> bool:
    """Return whether nobody could start the program at its own path, without a mount namespace."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        reached = all(
            os.access(path, os.X_OK) for path in (spec["argv"][0], os.path.realpath(spec["argv"][0]))
        )
        os._exit(0 if reached else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _show_only(spec: dict) -> None:
    """Make the named folders the whole file system, at their own paths."""
    root = spec["root"]
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _mount("tmpfs", root, b"tmpfs", MS_NOSUID | MS_NODEV, b"size=1m,mode=0755")
    os.makedirs(f"{root}/tmp", exist_ok=True)
    _mount("tmpfs", f"{root}/tmp", b"tmpfs", MS_NOSUID | MS_NODEV, b"size=64m,mode=1777")
    for name in ("/bin", "/lib", "/lib64", "/sbin"):
        if os.path.islink(name):
            os.symlink(os.readlink(name), root + name)
        elif os.path.isdir(name):
            _bind(name, root + name, read_only=True)
    for path in spec["read_only"]:
        if os.path.isdir(path):
            _bind(path, root + path, read_only=True)
    _bind(spec["writable"], root + spec["writable"], read_only=False)
    for path in (*DEVICES, "/etc/ld.so.cache"):
        if os.path.exists(path):
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            os.close(os.open(root + path, os.O_CREAT | os.O_WRONLY, 0o644))
            _mount(path, root + path, None, MS_BIND)
    os.chroot(root)
    os.chdir("/")


def _bind(source: str, target: str, *, read_only: bool) -> None:
    os.makedirs(target, exist_ok=True)
    _mount(source, target, None, MS_BIND | MS_REC)
    if read_only:
        _mount("none", target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID)


def _mount(source: str, target: str, kind: bytes | None, flags: int, data: bytes | None = None) -> None:
    if _libc.mount(source.encode(), target.encode(), kind, ctypes.c_ulong(flags), data):
        code = ctypes.get_errno()
        raise OSError(code, f"mount {target}: {os.strerror(code)}")


def _unshare(flags: int) -> bool:
    return hasattr(_libc, "unshare") and _libc.unshare(flags) == 0


def _no_sockets() -> bool:
    """Refuse all sockets but local ones by a seccomp filter, which needs no rights; returns whether it is in force."""
    machine = SYSCALLS.get(platform.machine())
    if sys.platform != "linux" or machine is None:
        return False
    architecture, socket, io_uring = machine
    load, equal, give = 0x20, 0x15, 0x06
    refuse, allow, kill = 0x00050000 | 13, 0x7FFF0000, 0x80000000
    program = [
        (load, 0, 0, 4),  # the architecture
        (equal, 1, 0, architecture),
        (give, 0, 0, kill),
        (load, 0, 0, 0),  # the call's number
        (equal, 3, 0, io_uring),
        (equal, 0, 3, socket),
        (load, 0, 0, 16),  # its first argument: the address family
        (equal, 1, 0, AF_UNIX),
        (give, 0, 0, refuse),
        (give, 0, 0, allow),
    ]
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer)))
    return _libc.prctl(PR_SET_SECCOMP, 2, header, 0, 0) == 0


if __name__ == "__main__":
    sys.exit(main())
