"""The latest attempts: hypothesis, outcome, figures and links."""

from __future__ import annotations

from typing import Any

from codec_evolution.loop.cycle import stage_of
from codec_evolution.record import Attempt
from codec_evolution.widgets.figures import THIN, mbps, percent
from codec_evolution.widgets.html import render
from codec_evolution.widgets.request import WidgetContext, WidgetRequest

MOST_RUNNING = 8
HYPOTHESIS_CHARS = 400
OUTCOME_CHARS = 200


def evolution(context: WidgetContext, request: WidgetRequest) -> str:
    """Return the running attempts, then the latest concluded ones."""
    state = context.control.state(request.lineage)
    attempts = context.record.latest(request.lineage, request.limit)
    concluded = {attempt.attempt_id for attempt in attempts}
    due = [each for each in state.due if state.execution and each not in concluded]
    running = [
        {
            "time": state.cycle_id,
            "stage": stage_of(context.objects, request.lineage, each),
            "what": f"slot {each.partition('#')[2]}",
        }
        for each in due[:MOST_RUNNING]
    ]
    if state.execution and not state.due:  # only a pass that measures a new incumbent has no attempt due
        running = [{"time": state.cycle_id, "stage": "measuring", "what": "new incumbent"}]
    return render(
        "evolution.html.j2",
        context,
        request,
        running=running,
        more_running=max(0, len(due) - MOST_RUNNING),
        attempts=[_row(context, attempt) for attempt in attempts],
        committed_version=state.committed_version,
    )


def _row(context: WidgetContext, attempt: Attempt) -> dict[str, Any]:
    sha = attempt.github_commit_hash
    return {
        **attempt.to_item(),
        "time": attempt.started_at or attempt.cycle_id,
        "slot": attempt.attempt_id.partition("#")[2],
        "what": _cut(attempt.hypothesis, HYPOTHESIS_CHARS),
        "outcome": _cut(attempt.reason, OUTCOME_CHARS),
        "audit": _audit(attempt),
        "sha": sha[:8],
        "commit_link": context.links.commit(sha),
        "execution_link": context.links.execution(attempt.execution),
    }


def _audit(attempt: Attempt) -> str:
    """Return a version's figures at native size on a person's own clip, or "" without an audit."""
    if attempt.audited_at is None:
        return f"Audit failed: {attempt.audit_note}" if attempt.audit_note else ""
    rate, gain = attempt.audit_bitrate_mbps, attempt.audit_bd_rate_vs_hevc
    return f"Audit at {attempt.audit_size}: {mbps(rate)}{THIN}Mbps, {percent(gain)} vs x265"


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "\u2026"
