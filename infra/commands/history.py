"""Reads attempts of the evolution record."""

from __future__ import annotations

from typing import Any

from codec_evolution.record import STATUSES

from infra.commands.target import Readable
from infra.errors import UserError
from infra.local.held_out import held_out_of


def read_history(
    target: Readable, lineage: str, *, status: str | None, limit: int, held_out: bool = False
) -> dict[str, Any]:
    """Return ``{"lineage", "version", "attempts"}``: the incumbent's version, and records, newest first.

    Parameters
    ----------
    status
        Only attempts that ended so; None for all.
    limit
        Largest number of attempts.
    held_out
        Add to each attempt that was confirmed, or not, how it did on the held-out windows: ``held_out`` with
        ``reason`` and ``clips``. No planner ever sees this.

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
    if held_out:
        attempts = [{**each, **_held_out(target, each)} for each in attempts]
    return {"lineage": lineage, "version": target.control.state(lineage).version, "attempts": attempts}


def _held_out(target: Readable, attempt: dict[str, Any]) -> dict[str, Any]:
    """Return what the bucket keeps of an attempt's held-out windows, nothing where it did not get that far."""
    found = held_out_of(target.bucket, attempt["lineage"], attempt["attempt_id"])
    return {} if found is None else {"held_out": found}
