"""Listing the evolution record, of this machine or of AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codec_evolution.record import STATUSES

from infra.local.errors import LocalError
from infra.target import reach
from infra.target_name import TargetName


def read_history(
    state_dir: Path,
    lineage: str,
    *,
    status: str | None,
    limit: int,
    target: TargetName = TargetName.LOCAL,
) -> dict[str, Any]:
    """Return ``{"lineage", "version", "attempts"}``, newest first.

    Raises
    ------
    LocalError
        The status is none of the four words, or there is no evolution at the target.
    """
    if status is not None and status not in STATUSES:
        raise LocalError(f"--status must be one of {', '.join(STATUSES)}, not {status!r}")
    with reach(target, state_dir, lambda text: None) as session:
        found = session.record.latest(lineage, limit, status)
        if status is not None:
            found = [session.record.get(lineage, row["attempt_id"]) or row for row in found]
        version = session.control.state(lineage).version
    return {"lineage": lineage, "version": version, "attempts": found}
