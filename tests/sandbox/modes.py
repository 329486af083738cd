"""The ways in which the attack suite is run, and how to start a program in each."""

from __future__ import annotations

import os
import platform
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SANDBOX = HERE.parents[1] / "sandbox_container"
UNPRIVILEGED_UID = 23456


@dataclass(frozen=True)
class Mode:
    """One way to run: as whom, under whose system call policy, and with the language policy on or off."""

    name: str
    user: str  # root | unprivileged
    lambda_policy: bool
    language_policy: bool


MODES = [
    Mode(
        f"{user}{', as in Lambda' if in_lambda else ''}, policy {'on' if policy else 'off'}",
        user,
        in_lambda,
        policy,
    )
    for user, in_lambda in (("root", False), ("unprivileged", False), ("unprivileged", True))
    for policy in (False, True)
]


def _open_to_all(path: Path) -> bool:
    parents = [path.resolve(), *path.resolve().parents]
    return all(p.stat().st_mode & stat.S_IXOTH for p in parents)


def _interpreter() -> Path | None:
    """An interpreter of this version that an unprivileged user can run."""
    candidates = [Path(sys.executable), *map(Path, ("/usr/bin/python3.11", "/usr/local/bin/python3.11"))]
    fitting = (p for p in candidates if p.exists() and _open_to_all(p))
    return next(fitting, None) if os.geteuid() == 0 else Path(sys.executable)


def why_not(mode: Mode) -> str | None:
    """Why this machine cannot run `mode`, or None if it can."""
    if sys.platform != "linux":
        return "needs Linux"
    if mode.user == "root" and os.geteuid() != 0:
        return "not root"
    if mode.lambda_policy and platform.machine() != "x86_64":
        return "the simulated policy is for x86_64"
    if mode.user == "unprivileged" and (_interpreter() is None or not _open_to_all(HERE)):
        return "no interpreter or checkout that an unprivileged user may read"
    return None


def run(mode: Mode, script: Path, arguments: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a Python script in `mode`. Its environment holds a secret that no worker may ever see."""
    import numpy

    site = str(Path(numpy.__file__).resolve().parents[1])
    python = sys.executable if mode.user == "root" else str(_interpreter())
    command = [python, str(script), *arguments]
    if mode.lambda_policy:
        command = [python, str(HERE / "lambda_syscall_policy.py"), str(UNPRIVILEGED_UID), *command]
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": os.pathsep.join([str(SANDBOX), site, str(HERE)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CANARY_SECRET": "CANARY-7f3a",
        **({"AWS_LAMBDA_FUNCTION_NAME": "simulated"} if mode.lambda_policy else {}),
    }
    drop = mode.user == "unprivileged" and not mode.lambda_policy and os.geteuid() == 0
    identity = {"user": UNPRIVILEGED_UID, "group": UNPRIVILEGED_UID, "extra_groups": []} if drop else {}
    return subprocess.run(
        command,
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        **identity,
    )
