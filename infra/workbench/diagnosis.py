"""Calls one function of a file in the sandbox, to show what the sandbox allows and stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from codec_sandbox import diagnose
from codec_sandbox.faults import SandboxUnavailable
from codec_sandbox.policy import PolicyError

from infra.errors import UserError
from infra.workbench.benchmark import POLICY_PATH
from infra.workbench.codec_file import read_codec_file


def call_in_sandbox(
    path: Path, function: str, *, with_policy: bool, mode: Literal["full", "lambda"]
) -> dict[str, Any]:
    """Call a function once and return the dict of `codec_sandbox.diagnose.run`.

    Parameters
    ----------
    with_policy
        Check the file against the shipped language policy first.
    mode
        ``full``: all layers of this machine; ``lambda``: those that AWS Lambda leaves.

    Raises
    ------
    UserError
        The file is no codec's source, or this machine lacks a layer that the mode needs.
    """
    policy = POLICY_PATH.read_text("utf-8") if with_policy else None
    try:
        return diagnose.run(read_codec_file(path), function, policy, mode)
    except (SandboxUnavailable, PolicyError) as error:
        raise UserError(f"the sandbox does not run here: {error}") from error
