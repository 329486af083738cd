"""Reports which layers of the sandbox this platform's kernel allows. Works on a laptop, in CI and inside Lambda."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

from codec_sandbox import layers, walls
from codec_sandbox.faults import SandboxUnavailable
from codec_sandbox.supervisor import Supervisor

_NOTES = {
    "macos": "macOS is for development only: its layers do not contain untrusted code",
    "lambda": "the platform's own walls (isolated subnets, a role without permissions) are part of the design here",
}


def report(packages: str = "") -> dict[str, Any]:
    """Report which layers are in force, which are required, and which are missing.

    Parameters
    ----------
    packages : str
        As of `Supervisor`: the sandbox must start with them.

    Returns
    -------
    dict
        ``platform``, ``kernel``, ``machine``, ``python``, ``user``, ``minimum`` (required layers), ``layers`` (layer ->
        ``ok`` or the reason), ``missing`` (required but not in force -> the reason), ``probes`` (attempt -> the
        kernel's answer), ``interpreter_readable`` (False makes processes non-dumpable without prctl), ``note``, and
        ``fit``: whether untrusted code may run here. If the sandbox does not start, ``error`` says why.
    """
    facts = _facts(layers.platform())
    try:
        minimum = layers.configured_minimum()
        with Supervisor(minimum=(), packages=packages) as supervisor:
            found, probes = supervisor.layers, supervisor.probes
    except (SandboxUnavailable, ValueError) as error:
        return {
            **facts,
            "minimum": [],
            "layers": {},
            "missing": {},
            "probes": {},
            "fit": False,
            "error": str(error),
        }
    missing = layers.missing(found, minimum)
    enough = not layers.missing(found, layers.LAMBDA_MINIMUM)
    return {
        **facts,
        "minimum": list(minimum),
        "layers": {name: found[name] for name in walls.LAYERS},
        "missing": missing,
        "probes": probes,
        "fit": not missing and enough and facts["platform"] != "macos",
    }


def _facts(where: str) -> dict[str, Any]:
    """Describe the platform `where` that this process runs on."""
    return {
        "platform": where,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "user": os.geteuid(),
        "interpreter_readable": os.access(Path(sys.executable).resolve(), os.R_OK),
        "note": _NOTES.get(where, ""),
    }
