"""Reads attempts of the evolution record."""

from __future__ import annotations

from typing import Any

from codec_evolution.record import STATUSES

from infra.commands.target import Target
from infra.errors import UserError


def read_history(target: Target, lineage: str, *, status: str | None, limit: int) -> dict[str, Any]:
    """Return ``{"lineage", "version", "attempts"}``: the incumbent's version, and records, newest first.

    Parameters
    ----------
    status
        Only attempts that ended so; None for all.
    limit
        Largest number of attempts.

    Raises
    ------
    UserError
        `status` is no status.
    """
    if status is not None and status not in STATUSES:
        raise UserError(f"--status must be one of {', '.join(STATUSES)}, not {status!r}")
    found = target.record.latest(lineage, limit, status)
    if status is not None:
        found = [target.record.get(lineage, row.attempt_id) or row for row in found]
    attempts = [each.to_item() for each in found]
    return {"lineage": lineage, "version": target.control.state(lineage).version, "attempts": attempts}
