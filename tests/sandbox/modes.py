"""The ways in which the attack suite is run, and how to start a program in each."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from codec_sandbox import simulated_lambda

HERE = Path(__file__).resolve().parent
SANDBOX = HERE.parents[1] / "sandbox_container"


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


def why_not(mode: Mode) -> str | None:
    """Why this machine cannot run `mode`, or None if it can."""
    if sys.platform != "linux":
        return "needs Linux"
    if mode.user == "root" and os.geteuid() != 0:
        return "not root"
    return simulated_lambda.why_not() if mode.user == "unprivileged" else None


def run(mode: Mode, script: Path, arguments: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a Python script in `mode`. Its environment holds a secret that no worker may ever see."""
    import numpy

    site = str(Path(numpy.__file__).resolve().parents[1])
    python = sys.executable if mode.user == "root" else str(simulated_lambda.interpreter())
    command = [python, str(script), *arguments]
    if mode.lambda_policy:
        command = simulated_lambda.command([str(script), *arguments])
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": os.pathsep.join([str(SANDBOX), site, str(HERE)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CANARY_SECRET": "CANARY-7f3a",
        "OPENBLAS_NUM_THREADS": "1",
        **({"AWS_LAMBDA_FUNCTION_NAME": "simulated"} if mode.lambda_policy else {}),
    }
    drop = mode.user == "unprivileged" and not mode.lambda_policy and os.geteuid() == 0
    uid = simulated_lambda.UNPRIVILEGED_UID
    identity = {"user": uid, "group": uid, "extra_groups": []} if drop else {}
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
