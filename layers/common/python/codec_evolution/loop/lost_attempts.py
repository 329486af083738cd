"""Attempts whose execution ended before they were concluded."""

from __future__ import annotations

from collections.abc import Callable

from codec_evolution import artifacts
from codec_evolution import record as records
from codec_evolution.loop.recording import summarised
from codec_evolution.ports import LoopState, Objects, Record
from codec_evolution.record import Attempt


def _ignore(attempt: Attempt) -> None:
    """Do nothing with a recorded attempt."""


def conclude_lost(
    record: Record, objects: Objects, state: LoopState, on_recorded: Callable[[Attempt], None] = _ignore
) -> list[str]:
    """Write `skipped: infrastructure` for due attempts that were never concluded, and return their ids.

    Parameters
    ----------
    state
        Names the dead execution, its cycle, and the attempts that it opened.
    on_recorded
        Called once with each attempt that was written.
    """
    lost: list[str] = []
    for attempt_id in state.due:
        if record.get(state.lineage, attempt_id) is not None:
            continue
        attempt = _lost(objects, state, attempt_id)
        journal = artifacts.journal(state.lineage, attempt_id)
        objects.put_json(journal, attempt.to_item())
        if record.put_once(attempt):
            on_recorded(attempt)
            lost.append(attempt_id)
            continue
        # A function outlived its execution and concluded the attempt after all.
        known = record.get(state.lineage, attempt_id)
        if known is not None:
            objects.put_json(journal, known.to_item())
    return lost


def _lost(objects: Objects, state: LoopState, attempt_id: str) -> Attempt:
    """Return the record of an attempt that was never concluded, with what it has cost."""
    facts = artifacts.load_facts(objects, state.lineage, attempt_id).to_item()
    return summarised(
        {
            "lineage": state.lineage,
            "attempt_id": attempt_id,
            "cycle_id": state.cycle_id,
            "started_at": state.cycle_id,
            "status": records.SKIPPED,
            "reason": "infrastructure: the execution ended before this attempt was concluded",
            "code_changed": False,
            "version": state.version,
            "deployment_status": records.NOT_DEPLOYED,
            "github_committed": False,
            "execution": state.execution,
            **{name: value for name, value in facts.items() if name in records.Proposed.model_fields},
        }
    )
