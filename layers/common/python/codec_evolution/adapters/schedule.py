"""EventBridge Scheduler: the schedule that starts a cycle once a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from codec_evolution.adapters.clients import client_config
from codec_evolution.loop.steering import Schedule

KEPT = (
    "Name",
    "GroupName",
    "Description",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "FlexibleTimeWindow",
    "Target",
)
"""An update replaces the whole schedule, so what is not changed is sent back."""


class MinuteSchedule:
    """One schedule; implements `steering.Schedule`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._client = boto3.client("scheduler", config=client_config())

    def set_enabled(self, enabled: bool) -> bool:
        """Switch the schedule on or off; returns whether that changed anything."""
        found = self._client.get_schedule(Name=self._name)
        wanted = "ENABLED" if enabled else "DISABLED"
        if found["State"] == wanted:
            return False
        self._client.update_schedule(**{name: found[name] for name in KEPT if name in found}, State=wanted)
        return True


if TYPE_CHECKING:
    _schedule: type[Schedule] = MinuteSchedule
