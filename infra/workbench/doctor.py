"""Checks this machine, or the deployed benchmark function: the sandbox's layers, and here also tools and clips."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from codec_evolution.adapters.clients import client_config
from codec_evolution.contracts import LIVE_ALIAS
from codec_sandbox import doctor as sandbox_doctor
from codec_sandbox.clips import ClipError, ClipSet

from infra.errors import UserError
from infra.local.session import EMULATOR_PYTHON
from infra.local.synthesis import SEARCH_PATH

OK, MISSING = "ok", "missing"
"""States of a check."""
TOOL_TIMEOUT_S = 20
"""Seconds that a tool may take to print its version."""
FUNCTION_CONFIG = client_config(180, attempts=2)
"""A cold environment of the image starts a zygote, and the doctor another, before it answers."""


def examine() -> dict[str, Any]:
    """Return ``{"status", "checks": [{"name", "state", "detail", "needed"}], "sandbox"}``.

    The status is ``passed`` when runs work here and untrusted code may run here.
    """
    sandbox = sandbox_doctor.report()
    checks = [
        _check("python", True, platform.python_version()),
        _tool("git", "git", "--version"),
        _tool("node (the CDK needs it)", "node", "--version"),
        _check(
            "emulator", EMULATOR_PYTHON.exists(), "run: make setup" if not EMULATOR_PYTHON.exists() else ""
        ),
        _clips(),
        *_layers(sandbox),
    ]
    passed = sandbox["fit"] and all(check["state"] == OK for check in checks if check["needed"])
    return {"status": "passed" if passed else "failed", "checks": checks, "sandbox": sandbox}


def examine_deployed(function: str) -> dict[str, Any]:
    """Return the dict of `examine` for the sandbox in a deployed benchmark function, at its alias ``live``.

    Parameters
    ----------
    function
        Name of the function: the output ``BenchmarkFunction`` of the app's stack.

    Raises
    ------
    UserError
        The function cannot be invoked, or fails.
    """
    client: Any = boto3.client("lambda", config=FUNCTION_CONFIG)
    try:
        answer = client.invoke(
            FunctionName=function, Qualifier=LIVE_ALIAS, Payload=json.dumps({"doctor": True})
        )
        said = json.loads(answer["Payload"].read())
    except (ClientError, BotoCoreError) as error:
        raise UserError(f"the function {function} cannot be invoked: {error}") from error
    if "FunctionError" in answer:
        raise UserError(f"the function {function} failed: {said.get('errorMessage', said)}")
    return {"status": "passed" if said["fit"] else "failed", "checks": _layers(said), "sandbox": said}


def _check(name: str, good: bool, detail: str, *, needed: bool = True) -> dict[str, Any]:
    return {"name": name, "state": OK if good else MISSING, "detail": detail, "needed": needed}


def _tool(name: str, *command: str) -> dict[str, Any]:
    program = shutil.which(command[0], path=SEARCH_PATH)
    if program is None:
        return _check(name, False, f"{command[0]} is not on the PATH")
    done = subprocess.run(
        [program, *command[1:]], capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False
    )
    return _check(name, done.returncode == os.EX_OK, done.stdout.strip() or done.stderr.strip())


def _clips() -> dict[str, Any]:
    try:
        clips = ClipSet()
    except ClipError as error:
        return _check("clips", False, str(error))
    return _check("clips", True, f"{', '.join(clip.name for clip in clips.clips)}; set {clips.digest[:12]}")


def _layers(sandbox: dict[str, Any]) -> list[dict[str, Any]]:
    if sandbox.get("error"):
        return [_check("sandbox", False, sandbox["error"])]
    return [
        _check(
            f"sandbox layer {name}",
            state == "ok",
            "" if state == "ok" else str(state),
            needed=name in sandbox["minimum"],
        )
        for name, state in sandbox["layers"].items()
    ]
