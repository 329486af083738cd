"""Looks the locked packages up in PyPI's database of vulnerabilities: ``python -m infra.audit``.

pip-audit runs in an environment of its own (``audit.lock``), so that its thirty dependencies stay out of the one that
is developed in. Where the database cannot be reached, that is said and is no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parents[1]
LOCKS = (
    "infra/pip.lock",
    "infra/requirements.lock",
    "infra/local/emulator.lock",
    "layers/dependencies/requirements.lock",
    "sandbox_container/requirements.lock",
)
"""What installs and runs here, in the functions and in the sandbox image."""

PROBE_URL = "https://pypi.org/pypi/requests/2.19.0/json"
"""A release with known vulnerabilities: a mirror that knows none of it knows none of ours."""
PROBE_TIMEOUT_S, ANSWER_TIMEOUT_S, AUDIT_TIMEOUT_S = 3, 10, 120


def database_answers(url: str = PROBE_URL) -> bool:
    """Return whether the database of vulnerabilities can be reached and knows a vulnerability that it should."""
    try:
        with urllib.request.urlopen(url, timeout=PROBE_TIMEOUT_S) as answer:
            return bool(json.load(answer).get("vulnerabilities"))
    except (OSError, HTTPException, ValueError, AttributeError):
        return False


def command(locks: tuple[str, ...] = LOCKS) -> list[str]:
    """Return the command that audits lock files."""
    uv = [find_uv_bin(), "run", "--no-project", "--isolated", "--quiet", "--python", sys.executable]
    audit = ["pip-audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    files = [part for lock in locks for part in ("--requirement", lock)]
    lock = ["--with-requirements", "infra/audit.lock"]
    return [*uv, *lock, *audit, "--timeout", str(ANSWER_TIMEOUT_S), *files]


def main(answers: Callable[[], bool] = database_answers, asked: list[str] | None = None) -> int:
    """Audit the lock files; returns 0 without a finding or without a database, 1 with a finding."""
    if not answers():
        print("audit: PyPI's database of vulnerabilities cannot be reached from here; nothing was audited")
        return 0
    try:
        done = subprocess.run(asked or command(), cwd=ROOT, timeout=AUDIT_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        print(f"audit: no answer within {AUDIT_TIMEOUT_S} s; nothing was audited")
        return 0
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
