"""The hard wall: what a worker gives up, irrevocably, before it reads a byte of a candidate.

Order matters: first the user id (which needs privilege), then Landlock (which needs a descriptor), then limits, then
all descriptors, and last the system call filter, because it refuses the calls that built the other layers.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable

from codec_sandbox import landlock, seccomp, syscalls
from codec_sandbox.limits import Limits, set_limit

LAYERS = (
    "separate_process",
    "empty_env",
    "uid",
    "non_dumpable",
    "no_new_privs",
    "landlock",
    "rlimits",
    "nproc",
    "fdless",
    "seccomp",
)
"""Names of the layers, in the order in which they are built."""

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38  # prctl(2)
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "LC_CTYPE": "C.UTF-8",  # what the interpreter would set itself
}
# The last bit of a float depends on the kernel that computed it. Each library is held to AVX2, which every x86_64 host
# of Lambda has, so that a laptop and two hosts agree: OpenBLAS, torch, oneDNN, MKL, numpy and OpenCV's IPP.
_PINNED_KERNELS = {
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENCV_IPP": "avx2",
}
if syscalls.MACHINE == "x86_64":
    _ENVIRONMENT.update(_PINNED_KERNELS)


def environment() -> dict[str, str]:
    """Return the whole environment of the zygote and of every worker: a few constants."""
    return dict(_ENVIRONMENT)


def build(limits: Limits, uid: int | None, word: int) -> dict[str, str]:
    """Build every layer in this process.

    Parameters
    ----------
    limits : Limits
        Of this worker.
    uid : int or None
        Throw-away user to become; None if the caller is not root.
    word : int
        Address of the futex word of this worker's channel, the only one that it may share.

    Returns
    -------
    dict
        Layer -> ``ok`` or the reason why it is not in force.
    """
    report = {"separate_process": "ok", "empty_env": _environment_report()}
    steps: list[tuple[str, Callable[[], str]]] = [
        ("uid", lambda: _become(uid)),
        ("non_dumpable", non_dumpable),
        ("no_new_privs", lambda: syscalls.prctl(_PR_SET_NO_NEW_PRIVS, 1)),
        ("landlock", landlock.restrict),
        ("rlimits", lambda: _rlimits(limits)),
        ("nproc", _no_processes),
        ("fdless", _no_descriptors),
        ("seccomp", lambda: seccomp.install(word)),
    ]
    for layer, step in steps:
        try:
            report[layer] = step()
        except (OSError, ValueError) as error:
            report[layer] = f"{type(error).__name__}: {error}"
    return report


def non_dumpable() -> str:
    """Close this process's memory and environment to other processes of its user (PR_SET_DUMPABLE in prctl(2)).

    Where ``prctl`` is refused, an interpreter that its user may execute but not read has the same effect: the kernel
    then gives ``/proc/self`` to root.

    Returns
    -------
    str
        ``ok``, or why the layer is not in force.
    """
    done = syscalls.prctl(_PR_SET_DUMPABLE, 0)
    if done == "ok":
        return "ok"
    try:
        owner = os.stat("/proc/self/environ").st_uid  # noqa: PTH116 - pathlib would import more into a worker
    except OSError as error:
        return f"prctl: {done}, /proc: {error.strerror}"
    return "ok" if owner == 0 and os.geteuid() != 0 else f"prctl: {done}"


def _environment_report() -> str:
    foreign = sorted(name for name in os.environ if name not in _ENVIRONMENT)
    return f"variables inherited: {', '.join(foreign)}" if foreign else "ok"


def _become(uid: int | None) -> str:
    if uid is None:
        return "not root: workers share the user of the supervisor"
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    return "ok" if os.getresuid() == (uid,) * 3 and os.getresgid() == (uid,) * 3 else "user was not changed"


def _rlimits(limits: Limits) -> str:
    missing = [name for name, value in limits.resource_limits().items() if not set_limit(name, value)]
    return f"not settable: {', '.join(missing)}" if missing else "ok"


def _no_processes() -> str:
    set_limit("RLIMIT_NPROC", 0)
    return "ok" if os.geteuid() != 0 else "has no effect on root"


def _no_descriptors() -> str:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if syscalls.call("close_range", 0, 0x7FFFFFFF, 0) != 0:
        os.closerange(0, min(hard, 1 << 20) if hard != resource.RLIM_INFINITY else 1 << 20)
    return "ok" if set_limit("RLIMIT_NOFILE", 0) else "RLIMIT_NOFILE not settable"
