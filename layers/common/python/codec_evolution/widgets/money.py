"""Cost in dollars: by day, per adoption, and what is left of today's budget."""

from __future__ import annotations

from codec_evolution.clock import day_of
from codec_evolution.widgets.html import render
from codec_evolution.widgets.request import WidgetContext, WidgetRequest

DAYS = 14
VERSIONS = 100
BARS_FROM_PX = 420
"""A narrower table has no space for bars."""


def money(context: WidgetContext, request: WidgetRequest) -> str:
    """Return the cost of the last `DAYS` days."""
    days = context.control.days(request.lineage, DAYS)
    spent = {each.day: each.spent_usd for each in days}
    total, first = sum(spent.values()), min(spent, default="")
    versions = context.record.versions(request.lineage, VERSIONS)
    adoptions = sum(1 for each in versions if first and each.adopted_version and each.attempt_id >= first)
    most = max(spent.values(), default=0.0)
    today = spent.get(day_of(context.now()), 0.0)
    return render(
        "money.html.j2",
        context,
        request,
        days=[
            {
                "day": each.day,
                "spent": each.spent_usd,
                "attempts": each.attempts,
                "looks": each.looks,
            }
            for each in days
        ],
        most=most,
        bars=most > 0 and request.width >= BARS_FROM_PX,
        today=today,
        left=max(0.0, context.daily_budget_usd - today),
        budget=context.daily_budget_usd,
        total=total,
        adoptions=adoptions,
        per_adoption=total / adoptions if adoptions else None,
    )
