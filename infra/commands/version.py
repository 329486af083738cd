"""Which version of the program runs."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout, where the program runs from one."""
GIT_TIMEOUT_S = 5
"""Seconds that git may take."""


def version_text() -> str:
    """Return the package's name and version, and the commit when the program runs from a git checkout."""
    text = f"codec-evolution {version('codec-evolution')}"
    commit = _commit(ROOT)
    return f"{text} (commit {commit})" if commit else text


def _commit(root: Path) -> str:
    # Never the commit of a repository that merely contains an installed copy.
    if not (root / ".git").exists():
        return ""
    command = ["git", f"--git-dir={root / '.git'}", "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
