"""The operator's settings of the planner `claude`, and the model that each attempt draws."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from codec_evolution.planners.prompts import Limits


@dataclass(frozen=True)
class ClaudeSettings:
    """The operator's settings of this planner.

    Attributes
    ----------
    models
        Names with their weights; each attempt draws one.
    effort
        ``low`` to ``max``.
    max_tokens
        Most output tokens of one call, thinking included.
    daily_budget_usd
        Dollars a day for all attempts of the lineage.
    limits
        What the sandbox enforces; the prompt states it.
    seed
        Seeds the draw, so that it can be repeated.
    probes
        Drafts that one attempt may have measured.
    """

    models: tuple[tuple[str, float], ...]
    effort: str
    max_tokens: int
    daily_budget_usd: float
    limits: Limits
    seed: int = 0
    probes: int = 0

    def draw(self, attempt_id: str, without: Sequence[str] = ()) -> str:
        """Return the model of an attempt, "" if none is left; always the same one for the same attempt.

        Parameters
        ----------
        without
            Models that have declined to answer.
        """
        left = [each for each in self.models if each[0] not in without]
        if not left:
            return ""
        names, weights = zip(*left, strict=True)
        return str(random.Random(f"{self.seed}/{attempt_id}").choices(names, weights)[0])
