"""Three-way merge of one file, with git."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from codec_evolution.host.refusal import FAILED, HostRefusal

TIMEOUT_S = 20
"""Of ``git merge-file``."""
SHOWN_CHARS = 3000
"""Of a conflict, in the message."""


def merge(current: bytes, base: bytes, other: bytes) -> bytes:
    """Return ``current`` with the change from ``base`` to ``other`` applied.

    Raises
    ------
    HostRefusal
        ``merge-conflict``, with the conflict as git marks it; ``merge-failed``.
    """
    with tempfile.TemporaryDirectory(prefix="codec-evolution-merge-") as folder:
        names = {"now": current, "modified": base, "before": other}
        for name, data in names.items():
            (Path(folder) / name).write_bytes(data)
        labels = [flag for name in names for flag in ("-L", name)]
        done = subprocess.run(
            ["git", "merge-file", "-p", "--diff3", *labels, *names],
            cwd=folder,
            capture_output=True,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": folder, "LC_ALL": "C"},
            timeout=TIMEOUT_S,
            check=False,
        )
    if done.returncode == 0:
        return done.stdout
    if done.returncode < 0 or done.returncode > 127:
        raise HostRefusal(
            "merge-failed", f"git merge-file: {done.stderr.decode('utf-8', 'replace')[:300]}", FAILED
        )
    shown = done.stdout.decode("utf-8", "replace")
    start = max(shown.find("<<<<<<<") - 200, 0)
    raise HostRefusal(
        "merge-conflict",
        f"later changes touch the same lines ({done.returncode} conflicts):\n{shown[start : start + SHOWN_CHARS]}",
        FAILED,
    )
