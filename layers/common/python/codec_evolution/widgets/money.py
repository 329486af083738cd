"""Dollars: by day, for each adoption, and what is left today."""

from __future__ import annotations

from codec_evolution.clock import day_of
from codec_evolution.widgets.html import render
from codec_evolution.widgets.request import Room, WidgetRequest

DAYS = 14
VERSIONS = 100


def money(room: Room, request: WidgetRequest) -> str:
    """Return the dollars of the latest two weeks."""
    days = room.control.days(request.lineage, DAYS)
    spent = {each["day"]: float(each.get("spent_usd", 0.0)) for each in days}
    total, first = sum(spent.values()), min(spent, default="")
    versions = room.record.versions(request.lineage, VERSIONS)
    adoptions = sum(
        1 for each in versions if first and each["adopted_version"] > 0 and each["attempt_id"] >= first
    )
    today = spent.get(day_of(room.now()), 0.0)
    return render(
        "money.html.j2",
        room,
        request,
        days=[
            {
                "day": each["day"],
                "spent": spent[each["day"]],
                "attempts": int(each.get("attempts", 0)),
                "looks": int(each.get("looks", 0)),
            }
            for each in days
        ],
        most=max(spent.values(), default=0.0),
        today=today,
        left=max(0.0, room.daily_budget_usd - today),
        budget=room.daily_budget_usd,
        total=total,
        adoptions=adoptions,
        per_adoption=total / adoptions if adoptions else None,
    )
