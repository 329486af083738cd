"""The headline figures: version, rate, tiers, today's attempts and cost."""

from __future__ import annotations

import math
from typing import TypedDict

from codec_evolution import artifacts
from codec_evolution.clock import day_of
from codec_evolution.framework.modifications import PENDING_APPROVAL
from codec_evolution.judging.figures import ACHIEVEMENT_PERCENT
from codec_evolution.judging.rate_distortion import HEVC_ANCHOR_MBPS
from codec_evolution.loop.cycle import PREPARATION
from codec_evolution.ports import LoopState
from codec_evolution.record import Measured
from codec_evolution.widgets.figures import mbps, moment, percent
from codec_evolution.widgets.html import render
from codec_evolution.widgets.request import WidgetContext, WidgetRequest

MOST_COUNTED = 25


def overview(context: WidgetContext, request: WidgetRequest) -> str:
    """Return the headline figures of one lineage."""
    state = context.state(request.lineage)
    incumbent = context.record.of_version(request.lineage, state.version) if state.version >= 0 else None
    rate = incumbent.bitrate_mbps if incumbent else None
    waiting = len(context.modifications.latest(MOST_COUNTED, PENDING_APPROVAL))
    return render(
        "overview.html.j2",
        context,
        request,
        state=state,
        incumbent=incumbent or Measured(),
        tiers=tiers(rate),
        loop=loop_words(state),
        prepared_s=_prepared_s(context, state),
        today=context.control.day(request.lineage, day_of(context.now())),
        budget=context.daily_budget_usd,
        waiting=f"{waiting}+" if waiting == MOST_COUNTED else str(waiting),
        uncommitted=state.version - state.committed_version,
    )


def _prepared_s(context: WidgetContext, state: LoopState) -> float:
    """Return the seconds for which the latest cycle measured a new incumbent on the training windows, or 0.

    Held-out reports are for operators: the function that draws widgets may not read them.
    """
    key = artifacts.report(state.lineage, f"{state.cycle_id}#{PREPARATION}")
    report = (context.objects.get_json(key) or {}) if state.cycle_id else {}
    return sum(report.get("timings_s", {}).values())


class Tier(TypedDict):
    """One tier: a share below 10 Mbps that an incumbent may reach."""

    text: str
    rate: str
    """The tier's rate."""
    reached: bool
    """Whether the incumbent's rate is at or below it."""
    way: float
    """Progress from the tier before (at first 10 Mbps), 0 to 100 per cent on a logarithmic scale."""
    needs: str
    """The change of the rate that is still needed, or empty."""


def tiers(rate_mbps: float | None) -> list[Tier]:
    """Return the tiers 50, 70 and 90 % below 10 Mbps.

    Parameters
    ----------
    rate_mbps
        The incumbent's rate; None before version 0 was measured.
    """
    found: list[Tier] = []
    before = HEVC_ANCHOR_MBPS
    for share in sorted(ACHIEVEMENT_PERCENT):
        line = HEVC_ANCHOR_MBPS * (100 - share) / 100
        way = 0.0 if rate_mbps is None else math.log(before / rate_mbps) / math.log(before / line)
        reached = rate_mbps is not None and rate_mbps <= line
        needed = "" if reached or rate_mbps is None else percent(100 * (line / rate_mbps - 1), 0)
        found.append(
            Tier(
                text=f"{share}\u202f% below {HEVC_ANCHOR_MBPS:.0f}\u202fMbps",
                rate=f"{mbps(line)}\u202fMbps",
                reached=reached,
                way=100 if reached else round(100 * min(1.0, max(0.0, way)), 1),
                needs=needed,
            )
        )
        before = line
    return found


def loop_words(state: LoopState) -> str:
    """Return the state of the loop in a few words."""
    running = bool(state.execution)
    if state.paused:
        since = f"paused since {moment(state.paused_at)} UTC" if state.paused_at else "paused"
        return f"{since}; the running cycle ends first" if running else since
    if running:
        return f"the cycle of {moment(state.cycle_id)} UTC is running"
    if state.cycle_id:
        return f"idle since the cycle of {moment(state.cycle_id)} UTC"
    return "no cycle has run yet"
