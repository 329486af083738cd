"""Which layers must be in force before a candidate may run, and what the self-test says of each."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from codec_sandbox.walls import LAYERS

MINIMUM_VARIABLE = "CODEC_SANDBOX_MINIMUM"
# Without a free descriptor, a new process or a secret to inherit a worker can reach nothing; Lambda's own system call
# policy refuses what would build the rest.
LAMBDA_MINIMUM = ("separate_process", "empty_env", "rlimits", "nproc", "fdless")
LINUX_MINIMUM = (*LAMBDA_MINIMUM, "non_dumpable", "no_new_privs", "seccomp")
ROOT_MINIMUM = (*LINUX_MINIMUM, "uid")
MACOS_MINIMUM = ("separate_process", "empty_env")

# Layer -> probes of the self-test that must have been refused for it to count.
_EVIDENCE = {
    "uid": ("become_root",),
    "non_dumpable": ("read_supervisor_memory", "read_zygote_memory"),
    "rlimits": ("map_too_much",),
    "nproc": ("fork",),
    "fdless": ("open_file", "open_socket", "open_pipe", "open_memory", "reuse_descriptor", "raise_limit"),
    "seccomp": (
        "signal_supervisor",
        "read_supervisor_clock",
        "wake_other_processes",
        "make_directory",
        "share_memory_segment",
    ),
}
_NOT_A_REFUSAL = ("succeeded", "EFAULT")  # EFAULT: the kernel agreed and merely found no page at that address


def platform() -> str:
    """``lambda``, ``linux-root``, ``linux`` or ``macos``."""
    if sys.platform == "darwin":
        return "macos"
    if os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
        return "lambda"
    return "linux-root" if os.geteuid() == 0 else "linux"


def configured_minimum() -> tuple[str, ...]:
    """The minimum of this platform, or what ``CODEC_SANDBOX_MINIMUM`` names instead (layers, separated by commas).

    Raises
    ------
    ValueError
        If the variable names a layer that does not exist.
    """
    if (text := os.environ.get(MINIMUM_VARIABLE)) is not None:
        return checked(tuple(name.strip() for name in text.split(",") if name.strip()))
    by_platform = {
        "lambda": LAMBDA_MINIMUM,
        "linux-root": ROOT_MINIMUM,
        "linux": LINUX_MINIMUM,
        "macos": MACOS_MINIMUM,
    }
    return by_platform[platform()]


def checked(minimum: Sequence[str]) -> tuple[str, ...]:
    """`minimum` as a tuple.

    Raises
    ------
    ValueError
        If it names a layer that does not exist.
    """
    if unknown := [name for name in minimum if name not in LAYERS]:
        raise ValueError(
            f"unknown layers in the sandbox's minimum: {', '.join(unknown)} (known: {', '.join(LAYERS)})"
        )
    return tuple(minimum)


def judged(report: Mapping[str, str], probes: Mapping[str, str]) -> dict[str, str]:
    """A worker's layer report, with every layer struck out whose probe was not refused."""
    verdict = {}
    for layer in LAYERS:
        breached = [
            p for p in _EVIDENCE.get(layer, ()) if probes.get(p, "succeeded").startswith(_NOT_A_REFUSAL)
        ]
        said = report.get(layer, "not reported")
        verdict[layer] = (
            f"self-test: {', '.join(breached)} not refused" if said == "ok" and breached else said
        )
    return verdict


def missing(report: Mapping[str, str], minimum: Sequence[str]) -> dict[str, str]:
    """Layers of `minimum` that are not in force -> the reason."""
    return {layer: report.get(layer, "not reported") for layer in minimum if report.get(layer) != "ok"}
