"""Running one function of a file behind the walls, for a person who wants to know what they stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from codec_sandbox import diagnose
from codec_sandbox.faults import SandboxUnavailable
from codec_sandbox.policy import PolicyError

from infra.errors import UserError
from infra.workbench.benchmark import POLICY_PATH, read_source


def call_in_sandbox(
    path: Path, function: str, *, with_policy: bool, mode: Literal["full", "lambda"]
) -> dict[str, Any]:
    """Return ``{"outcome", "detail", "layers", ...}`` of one call.

    Raises
    ------
    UserError
        The file cannot be read, or this machine lacks a layer that the mode needs.
    """
    policy = POLICY_PATH.read_text("utf-8") if with_policy else None
    try:
        return diagnose.run(read_source(path), function, policy, mode)
    except (SandboxUnavailable, PolicyError) as error:
        raise UserError(f"the sandbox does not run here: {error}") from error
