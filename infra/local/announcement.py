"""The file by which commands find the stack that another process runs, and the credentials with which they reach it.

Imports little: a command that only reads is done before the code that starts a stack would be loaded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local.emulator import REGION, answers
from infra.local.host_files import write_json

FILE = "session.json"
"""Its name in the state directory."""
ANSWER_S = 10.0
"""How long a busy emulator may take to answer before its session is considered gone."""


def announce(state_dir: Path, facts: Mapping[str, Any]) -> Path:
    """Write down the facts of a session of this process; returns the file, to be deleted when the session ends."""
    path = state_dir / FILE
    write_json(path, {"pid": os.getpid(), **facts})
    return path


def announced(state_dir: Path) -> dict[str, Any] | None:
    """Return the facts of the session over a state directory, or None if its process or its emulator is gone."""
    try:
        facts: dict[str, Any] = json.loads((state_dir / FILE).read_text())
        os.kill(facts["pid"], 0)
        endpoint = facts["deployment"]["endpoint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return facts if answers(endpoint, ANSWER_S) else None


@contextmanager
def emulator_credentials(endpoint: str) -> Iterator[None]:
    """Point this process's AWS clients at the emulator, whatever the user's shell says, and restore them after."""
    ours = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
    }
    gone = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_PROFILE")
    before = {name: os.environ.get(name) for name in (*ours, *gone)}
    for name in gone:
        os.environ.pop(name, None)
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
