"""Settings whose templates tests look at, and their assemblies.

They are few, because the synthesis of each takes seconds. Most of a process that synthesises is the start of the CDK in
Node.js, so the first test of a whole run that asks for one has one process make them all.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from infra.local.synthesis import CDK_ENVIRONMENT, LOCAL_CONTEXT, ROOT
from infra.settings import Settings

PLAIN = Settings(slots=3)
"""What differs from the default is not seen in most templates."""

CROWD = Settings(slots=60, concurrency=50, islands=3, planner="search", daily_budget_usd=1.0)
"""Differs in settings of the loop alone; it has more slots than one execution runs at the same time."""

OTHER_HOST = Settings(
    slots=9,
    planner="search",
    daily_budget_usd=1.0,
    framework_autonomy="code",
    lineage="blue",
    github_repository="owner/name",
)
"""Differs in what the host heeds as well; it has a repository and a lineage that is not the default one."""

ALL_ALARMS = Settings(
    planner="search", github_repository="owner/name", alarm_email="operator@example.org", audit="on"
)
"""Every alarm is there, somebody is told, and adopted versions are audited."""

OTHER_SERVICES = Settings(framework_host="always", image_build="codebuild", planner_provider="bedrock")
"""A host that never stops, an image that the account builds, a model that Bedrock serves."""

STAGES = (Settings(stage="a"), Settings(stage="b"))
"""Two deployments in one account."""

_TIMEOUT_S = 600


def _name(settings: Settings) -> str:
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


KNOWN = {_name(each): each for each in (PLAIN, CROWD, OTHER_HOST, ALL_ALARMS, OTHER_SERVICES, *STAGES)}
"""All of them, by the names of their folders."""


def synthesised(folder: Path, settings: Settings, *, whole_run: bool) -> Path:
    """Return the assembly for one of the settings above; whoever comes while it is made waits.

    Parameters
    ----------
    folder
        Of all assemblies of a run.
    whole_run
        Whether the others will be asked for, too.
    """
    name = _name(settings)
    assert name in KNOWN, f"put {settings} into {__name__}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / name).exists():
            _make(folder, list(KNOWN) if whole_run else [name])
    return folder / name


def _make(folder: Path, names: list[str]) -> None:
    command = [sys.executable, "-m", __name__, str(folder), *names]
    subprocess.run(command, cwd=ROOT, env=os.environ | CDK_ENVIRONMENT, timeout=_TIMEOUT_S, check=True)


def main(folder: Path, names: list[str]) -> None:
    """Write an assembly for each of the names, as the local deployment makes it."""
    from infra.app import build, default_context

    for name in names:
        context = default_context() | LOCAL_CONTEXT | dict(KNOWN[name].to_context())
        app, _, _ = build(context, str(folder / f"{name}.unfinished"))
        app.synth()
        (folder / f"{name}.unfinished").rename(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
