"""What the Plan function gives a planner to work with; a planner takes what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from codec_evolution.framework.ports import Modifications
from codec_evolution.planners.claude.language_model import LanguageModel
from codec_evolution.ports import Control, Objects, Record


@dataclass(frozen=True)
class Connections:
    """Settings, stores and outside connections of one call of Plan.

    Attributes
    ----------
    settings
        The function's environment.
    now
        UTC time in ISO 8601.
    deadline
        Returns the monotonic time by which the planner must have finished.
    observe
        Called with what a planner noticed in the history, for metrics and alarms.
    read_secret
        Returns the text of a secret by its ARN, "" if none was stored.
    language_model
        Connects to the provider that the settings name, with a key ("" if the provider needs none).
    """

    settings: Mapping[str, str]
    record: Record
    control: Control
    objects: Objects
    modifications: Modifications
    now: Callable[[], str]
    deadline: Callable[[], float]
    observe: Callable[[Mapping[str, Any]], None]
    read_secret: Callable[[str], str]
    language_model: Callable[[str], LanguageModel]
