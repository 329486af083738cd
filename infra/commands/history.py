"""Listing the evolution record, of this machine or of AWS."""

from __future__ import annotations

from typing import Any

from codec_evolution.record import STATUSES

from infra.commands.target_name import Target
from infra.errors import UserError


def read_history(at: Target, lineage: str, *, status: str | None, limit: int) -> dict[str, Any]:
    """Return ``{"lineage", "version", "attempts"}``, newest first.

    Raises
    ------
    UserError
        The status is none of the four words.
    """
    if status is not None and status not in STATUSES:
        raise UserError(f"--status must be one of {', '.join(STATUSES)}, not {status!r}")
    found = at.record.latest(lineage, limit, status)
    if status is not None:
        found = [at.record.get(lineage, row["attempt_id"]) or row for row in found]
    return {"lineage": lineage, "version": at.control.state(lineage).version, "attempts": found}
