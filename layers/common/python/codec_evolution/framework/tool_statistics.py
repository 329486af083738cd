"""How the framework tools are used, and what they healed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from codec_evolution.framework import modifications as states
from codec_evolution.framework.tool_specs import RESTART, TOOLS
from codec_evolution.record import TEST_FAILED, clip_text

Item = Mapping[str, Any]
FAILURE_CHARS = 160
FINISHED = frozenset({states.APPLIED, states.ROLLED_BACK, states.FAILED, states.DENIED, states.EXPIRED})
SUCCEEDED = frozenset({states.APPLIED, states.ROLLED_BACK})


def usage(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Return one row a tool: how often, how often with success, how long, when last, and states by count.

    Parameters
    ----------
    items
        Modifications, newest first.

    Returns
    -------
    list
        ``tool``, ``calls``, ``success_rate`` (of the finished calls, None without any), ``median_duration_s``,
        ``last_used``, ``states``.
    """
    rows = []
    for tool in TOOLS:
        calls = [item for item in items if item["tool"] == tool]
        finished = [item for item in calls if item["status"] in FINISHED]
        durations = [float(item["duration_s"]) for item in calls if "duration_s" in item]
        succeeded = sum(item["status"] in SUCCEEDED for item in finished)
        rows.append(
            {
                "tool": tool,
                "calls": len(calls),
                "success_rate": round(succeeded / len(finished), 3) if finished else None,
                "median_duration_s": round(median(durations), 3) if durations else None,
                "last_used": calls[0]["started_at"] if calls else None,
                "states": {s: n for s in states.STATES if (n := sum(c["status"] == s for c in calls))},
            }
        )
    return rows


def healed(items: Sequence[Item], attempts: Sequence[Item]) -> list[dict[str, Any]]:
    """Return which failures stopped after a release went live.

    A failure counts as healed when it occurred under the release before, and no more under the new one although at
    least one attempt was tested there.

    Parameters
    ----------
    items
        Modifications, newest first.
    attempts
        Records, newest first.
    """
    found = []
    for item in items:
        before, after = item.get("release_before"), item.get("release")
        if item["tool"] != RESTART or item["status"] not in SUCCEEDED or not before or before == after:
            continue
        tested = [each for each in attempts if each.get("release") == after and each["status"] != "skipped"]
        stopped = _failures(attempts, before) - _failures(attempts, after)
        if tested and stopped:
            found.append(
                {
                    "modification_id": item["modification_id"],
                    "release": after,
                    "changes": [each["modification_id"] for each in _changes_before(items, item)],
                    "healed": [{"kind": kind, "message": message} for kind, message in sorted(stopped)],
                    "attempts_since": len(tested),
                }
            )
    return found


def _failures(attempts: Sequence[Item], release: str) -> set[tuple[str, str]]:
    return {
        (str(each.get("failure_kind", "")), clip_text(str(each.get("failure_message", "")), FAILURE_CHARS))
        for each in attempts
        if each.get("release") == release and each["status"] == TEST_FAILED
    }


def _changes_before(items: Sequence[Item], restart: Item) -> list[Item]:
    """Return the changes that a restart made live: those since the restart before it."""
    found = []
    for item in items[list(items).index(restart) + 1 :]:
        if item["tool"] == RESTART and item["status"] in SUCCEEDED:
            break
        if item["status"] in SUCCEEDED and item.get("after_sha256"):
            found.append(item)
    return found
