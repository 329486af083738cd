"""Installs torch as a CPU build, which needs no CUDA libraries: ``python -m infra.torch_build VERSION [INDEX]``.

On Linux the default index offers a build that needs several gigabytes of them. pip is asked first what it would
install; if that needs CUDA, the CPU build comes from PyTorch's own index, as in the benchmark image.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence

from packaging.requirements import Requirement

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""PyTorch's index of CPU builds."""

CUDA_PACKAGES = ("nvidia-", "cuda-")
"""How the names of CUDA packages begin."""

TIMEOUT_S = 1800
"""For downloading and installing torch."""


def needs_cuda(requirements: Iterable[str]) -> bool:
    """Return whether requirements (PEP 508) name a CUDA library that this machine would have to install."""
    named = map(Requirement, requirements)
    return any(
        each.name.lower().startswith(CUDA_PACKAGES)
        and (each.marker is None or each.marker.evaluate({"extra": ""}))
        for each in named
    )


def offered(version: str) -> list[str]:
    """Return the requirements of the build that pip would install from its configured index."""
    done = _pip("--dry-run", "--ignore-installed", "--report", "-", f"torch=={version}", capture=True)
    report = json.loads(done)["install"][0]
    return list(report["metadata"].get("requires_dist") or [])


def main(arguments: Sequence[str]) -> int:
    """Install torch; returns pip's exit status."""
    version, index = arguments[0], arguments[1] if len(arguments) > 1 else ""
    try:
        if not index and needs_cuda(offered(version)):
            index = CPU_INDEX
        _pip(*(["--index-url", index] if index else []), f"torch=={version}")
    except subprocess.CalledProcessError as failed:
        print(
            f"torch {version} could not be installed; set TORCH_INDEX to choose another index",
            file=sys.stderr,
        )
        return failed.returncode
    return 0


def _pip(*arguments: str, capture: bool = False) -> str:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps", *arguments]
    done = subprocess.run(
        command, stdout=subprocess.PIPE if capture else None, text=True, timeout=TIMEOUT_S, check=True
    )
    return done.stdout or ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
