"""Which layers must be in force before a candidate may run, and what the self-test shows about each."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from codec_sandbox.walls import LAYERS

MINIMUM_VARIABLE = "CODEC_SANDBOX_MINIMUM"
"""Environment variable that replaces the platform's minimum."""

LAMBDA_MINIMUM = ("separate_process", "empty_env", "rlimits", "nproc", "fdless")
"""Required inside Lambda. A worker without a free descriptor, a new process or an inherited secret can reach nothing;
the system calls that the other layers need are refused by Lambda's own policy."""

LINUX_MINIMUM = (*LAMBDA_MINIMUM, "non_dumpable", "no_new_privs", "seccomp")
"""Required on Linux for an ordinary user."""

ROOT_MINIMUM = (*LINUX_MINIMUM, "uid")
"""Required on Linux for root, which can give each worker a user of its own."""

MACOS_MINIMUM = ("separate_process", "empty_env")
"""Required on macOS, which is for development only."""

# Layer -> probes of the self-test that must all be refused for the layer to count.
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
_NOT_A_REFUSAL = (
    "succeeded",
    "EFAULT",
)  # EFAULT: the kernel allowed it and only found no page at that address


def platform() -> str:
    """Return ``lambda``, ``linux-root``, ``linux`` or ``macos``."""
    if sys.platform == "darwin":
        return "macos"
    if os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
        return "lambda"
    return "linux-root" if os.geteuid() == 0 else "linux"


def configured_minimum() -> tuple[str, ...]:
    """Return the layers required here: the platform's, or those that ``CODEC_SANDBOX_MINIMUM`` lists instead.

    The variable holds names of layers, separated by commas.

    Raises
    ------
    ValueError
        The variable names an unknown layer.
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
    """Return `minimum` as a tuple.

    Raises
    ------
    ValueError
        It names an unknown layer.
    """
    if unknown := [name for name in minimum if name not in LAYERS]:
        raise ValueError(
            f"unknown layers in the sandbox's minimum: {', '.join(unknown)} (known: {', '.join(LAYERS)})"
        )
    return tuple(minimum)


def judged(report: Mapping[str, str], probes: Mapping[str, str]) -> dict[str, str]:
    """Correct a worker's layer report by what the self-test found.

    Parameters
    ----------
    report : mapping
        Layer -> ``ok`` or the reason, as the worker reported it.
    probes : mapping
        Attempt -> the kernel's answer, from `codec_sandbox.selftest.probes`.

    Returns
    -------
    dict
        As `report`, but a layer that let one of its probes through is not ``ok``.
    """
    verdict: dict[str, str] = {}
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
    """Return the layers of `minimum` that are not in force, each with the reason."""
    return {layer: report.get(layer, "not reported") for layer in minimum if report.get(layer) != "ok"}
