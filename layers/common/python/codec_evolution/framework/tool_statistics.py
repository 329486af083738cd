"""How the framework tools are used, and which failures stopped after a change."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from codec_evolution.framework import modifications as states
from codec_evolution.framework.modifications import Modification
from codec_evolution.framework.tool_specs import RESTART, TOOLS
from codec_evolution.record import SKIPPED, TEST_FAILED, Attempt, clip_text

FAILURE_CHARS = 160
"""Bytes of a failure's message by which failures are told apart."""
FINISHED = frozenset({states.APPLIED, states.ROLLED_BACK, states.FAILED, states.DENIED, states.EXPIRED})
"""States of a call that is over."""
SUCCEEDED = frozenset({states.APPLIED, states.ROLLED_BACK})
"""States of a call that was carried out."""


def usage(calls: Sequence[Modification]) -> list[dict[str, Any]]:
    """Return one row for each tool: how often it was called, with what success, how long it took, and when last.

    Parameters
    ----------
    calls
        Newest first.

    Returns
    -------
    list
        ``tool``, ``calls``, ``success_rate`` (of the finished calls, 0 to 1; None without any), ``median_duration_s``,
        ``last_used`` (ISO 8601) and ``states`` (counts by state).
    """
    return [_usage_of(tool, [call for call in calls if call.tool == tool]) for tool in TOOLS]


def _usage_of(tool: str, calls: Sequence[Modification]) -> dict[str, Any]:
    finished = [call for call in calls if call.status in FINISHED]
    durations = [call.duration_s for call in calls if call.duration_s is not None]
    succeeded = sum(call.status in SUCCEEDED for call in finished)
    return {
        "tool": tool,
        "calls": len(calls),
        "success_rate": round(succeeded / len(finished), 3) if finished else None,
        "median_duration_s": round(median(durations), 3) if durations else None,
        "last_used": calls[0].started_at if calls else None,
        "states": {s: n for s in states.STATES if (n := sum(call.status == s for call in calls))},
    }


def healed(calls: Sequence[Modification], attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """Return which failures stopped after a release went live.

    A failure counts as healed if it occurred under the release before, and not under the new one although at least one
    attempt was tested there.

    Parameters
    ----------
    calls
        Newest first.
    attempts
        Newest first.

    Returns
    -------
    list
        ``modification_id`` (of the restart), ``release``, ``changes`` (ids of the changes in it), ``healed`` (a list of
        ``kind`` and ``message``) and ``attempts_since``.
    """
    found = []
    for number, call in enumerate(calls):
        before, after = call.release_before, call.release
        if call.tool != RESTART or call.status not in SUCCEEDED or not before or before == after:
            continue
        tested = [each for each in attempts if each.release == after and each.status != SKIPPED]
        stopped = _failures(attempts, before) - _failures(attempts, after)
        if tested and stopped:
            found.append(
                {
                    "modification_id": call.modification_id,
                    "release": after,
                    "changes": [each.modification_id for each in _changes_in(calls[number + 1 :])],
                    "healed": [{"kind": kind, "message": message} for kind, message in sorted(stopped)],
                    "attempts_since": len(tested),
                }
            )
    return found


def _failures(attempts: Sequence[Attempt], release: str) -> set[tuple[str, str]]:
    return {
        (each.failure_kind, clip_text(each.failure_message, FAILURE_CHARS))
        for each in attempts
        if each.release == release and each.status == TEST_FAILED
    }


def _changes_in(earlier: Sequence[Modification]) -> list[Modification]:
    """Return the changes that a restart made live: those since the restart before it."""
    found = []
    for call in earlier:
        if call.tool == RESTART and call.status in SUCCEEDED:
            break
        if call.status in SUCCEEDED and call.after_sha256:
            found.append(call)
    return found
