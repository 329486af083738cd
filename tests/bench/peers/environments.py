"""Environments of the peers: created once below ``.peers``, which git ignores, with pinned versions from PyPI."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / ".peers"
VERSIONS = {"openevolve": "openevolve==0.4.1", "shinka": "shinka-evolve==0.0.7"}
"""Requirement of each peer."""
INSTALL_TIMEOUT_S = 1200


def python_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment, which is created if it is missing.

    Raises
    ------
    subprocess.SubprocessError
        The environment cannot be made, or not in time.
    """
    folder = FOLDER / peer
    python, ready = folder / "bin/python", folder / ".ready"
    if not (ready.exists() and ready.read_text() == VERSIONS[peer]):
        print(f"installing {VERSIONS[peer]} into {folder.relative_to(ROOT)}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=120)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", VERSIONS[peer]]
        subprocess.run(pip, check=True, timeout=INSTALL_TIMEOUT_S, stdout=sys.stderr)
        ready.write_text(VERSIONS[peer])
    return python
