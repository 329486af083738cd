"""EventBridge Scheduler: the schedules that start a cycle once a minute, one for each island."""

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
    """The schedules of one deployment; implements `steering.Schedule`.

    Parameters
    ----------
    names
        Their names, separated by commas.
    """

    def __init__(self, names: str) -> None:
        self._names = names.split(",")
        self._client = boto3.client("scheduler", config=client_config())

    def set_enabled(self, enabled: bool) -> bool:
        """Switch all schedules on or off; returns whether that changed anything."""
        changed = [self._switch(name, enabled) for name in self._names]
        return any(changed)

    def _switch(self, name: str, enabled: bool) -> bool:
        found = self._client.get_schedule(Name=name)
        wanted = "ENABLED" if enabled else "DISABLED"
        if found["State"] == wanted:
            return False
        self._client.update_schedule(**{name: found[name] for name in KEPT if name in found}, State=wanted)
        return True


if TYPE_CHECKING:
    _schedule: type[Schedule] = MinuteSchedule
