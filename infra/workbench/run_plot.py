"""Rate-distortion curves of adopted versions: the plot at the end of a run, and those of a lineage's page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from codec_sandbox.clips import ClipSet
from codec_sandbox.references import References

from infra.local.session import LINEAGE, Session
from infra.workbench.plots import draw_rate_distortion
from infra.workbench.version_facts import VersionFacts, stored_facts

VERSIONS_SHOWN = 6
"""Version 0 and the newest ones."""

Each = TypeVar("Each")


def draw_versions(session: Session, output: Path) -> Path | None:
    """Draw version 0 and the newest versions of a session and return the file.

    The curves are of the sealed windows, the only ones that all versions share; None when there are none.
    """
    newest = session.control.state(LINEAGE).version
    numbers = shown(range(newest, -1, -1))
    attempts = (session.record.of_version(LINEAGE, number) for number in numbers)
    versions = [stored_facts(session, LINEAGE, attempt) for attempt in attempts if attempt is not None]
    return draw_curves(output, versions, "sealed", ClipSet(), References())


def shown(versions: Sequence[Each]) -> list[Each]:
    """Return the newest and the oldest of versions that are in this order, at most `VERSIONS_SHOWN`."""
    return [*versions[: VERSIONS_SHOWN - 1], *versions[VERSIONS_SHOWN - 1 :][-1:]]


def draw_curves(
    output: Path, versions: Sequence[VersionFacts], role: str, clips: ClipSet, references: References
) -> Path | None:
    """Draw versions, newest first, on the windows of a role and return the file.

    Only what was measured on this clip set is drawn; None when nothing was.
    """
    curves = [
        (f"version {each.attempt.adopted_version}", rows)
        for each in shown(versions)
        if (rows := each.curves(role, clips))
    ]
    return draw_rate_distortion(output, curves, clips, references)[0] if curves else None
