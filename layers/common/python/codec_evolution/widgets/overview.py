"""Where the evolution stands: version, rate, tiers, today's work and dollars."""

from __future__ import annotations

from codec_evolution.adoption import ACHIEVEMENT_PERCENT
from codec_evolution.clock import day_of
from codec_evolution.modifications import PENDING_APPROVAL
from codec_evolution.ports import LoopState
from codec_evolution.rate_distortion import HEVC_ANCHOR_MBPS
from codec_evolution.widgets.figures import mbps, moment
from codec_evolution.widgets.html import render
from codec_evolution.widgets.request import Room, WidgetRequest

MOST_COUNTED = 25


def overview(room: Room, request: WidgetRequest) -> str:
    """Return the headline figures of one lineage."""
    state = room.control.state(request.lineage)
    incumbent = room.record.of_version(request.lineage, state.version) if state.version >= 0 else None
    rate = (incumbent or {}).get("bitrate_mbps")
    waiting = len(room.modifications.latest(MOST_COUNTED, PENDING_APPROVAL))
    return render(
        "overview.html.j2",
        room,
        request,
        state=state,
        incumbent=incumbent or {},
        tiers=tiers(rate),
        loop=loop_words(state),
        today=room.control.day(request.lineage, day_of(room.now())),
        budget=room.daily_budget_usd,
        waiting=f"{waiting}+" if waiting == MOST_COUNTED else str(waiting),
        uncommitted=state.version - state.committed_version,
    )


def tiers(rate_mbps: float | None) -> list[dict[str, object]]:
    """Return the lines of 50, 70 and 90 % below 10 Mbps, each with whether a rate has reached it."""
    lines = [(each, HEVC_ANCHOR_MBPS * (100 - each) / 100) for each in sorted(ACHIEVEMENT_PERCENT)]
    return [
        {
            "text": f"{share}\u202f% below {HEVC_ANCHOR_MBPS:.0f}\u202fMbps",
            "rate": f"{mbps(line)}\u202fMbps",
            "reached": rate_mbps is not None and rate_mbps <= line,
        }
        for share, line in lines
    ]


def loop_words(state: LoopState) -> str:
    """Say in a few words what the loop does."""
    running = bool(state.execution)
    if state.paused:
        since = f"paused since {moment(state.paused_at)} UTC" if state.paused_at else "paused"
        return f"{since}; the running cycle ends first" if running else since
    if running:
        return f"cycle of {moment(state.cycle_id)} UTC is running"
    if state.cycle_id:
        return f"idle since the cycle of {moment(state.cycle_id)} UTC"
    return "no cycle has run yet"
