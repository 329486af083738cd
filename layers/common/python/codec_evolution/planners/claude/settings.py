"""The operator's settings of the planner `claude`, and the model that each attempt draws."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from codec_evolution.planners.bandit import Draw, draw_order, floor_of, payoffs
from codec_evolution.planners.prompts import Limits
from codec_evolution.record import Attempt


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
    fixed
        Whether the weights are drawn by; otherwise models that have gained more for a dollar are drawn more often.
    """

    models: tuple[tuple[str, float], ...]
    effort: str
    max_tokens: int
    daily_budget_usd: float
    limits: Limits
    seed: int = 0
    probes: int = 0
    fixed: bool = True

    def draw(self, attempt_id: str, without: Sequence[str] = (), recent: Sequence[Attempt] = ()) -> str:
        """Return the model of an attempt, "" if none is left; the same arguments give the same model.

        Parameters
        ----------
        without
            Models that have declined to answer.
        recent
            Earlier attempts, whose gains for a dollar count unless the weights are fixed.
        """
        return next(iter(self.draw_models(attempt_id, without, recent).order), "")

    def draw_models(
        self, attempt_id: str, without: Sequence[str] = (), recent: Sequence[Attempt] = ()
    ) -> Draw:
        """Return the models that are left, the drawn one first; see `draw`."""
        left = {name: weight for name, weight in self.models if name not in without}
        seed = f"{self.seed}/{attempt_id}"
        if not left or not self.fixed:
            paid = payoffs(recent, lambda attempt: attempt.model)
            return draw_order(list(left), paid, f"{seed}/models", floor_of(recent))
        drawn = random.Random(seed).choices(list(left), list(left.values()))[0]
        return Draw((drawn, *(name for name in left if name != drawn)), left)
