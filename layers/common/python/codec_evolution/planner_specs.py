"""The planners by name: what the settings, the command line, the records and the wiring need to know of each.

This is only data, so that everything may import it. `planners.wiring` builds a planner by its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codec_evolution.pricing import least_call_usd

PROMPT_TOKENS = 30_000
"""Tokens of a large first prompt; the real one is counted before it is sent. If this is too low, cycles open whose
attempts can only be skipped, one a minute for the rest of the day."""


PlannerName = Literal["search", "claude"]
SEARCH: PlannerName = "search"
CLAUDE: PlannerName = "claude"


@dataclass(frozen=True)
class PlannerSpec:
    """One planner.

    Attributes
    ----------
    name
        Its name in the settings and in the record.
    label
        Its name in summaries and commit messages.
    language_model
        Whether it calls a language model, and so needs a credential, heeds the settings of the models, and costs
        money.
    """

    name: PlannerName
    label: str
    language_model: bool

    def least_attempt_usd(self, models: str, provider: str, max_tokens: int) -> float:
        """Return the worst case in dollars of an attempt's first call, for the cheapest of the models.

        Parameters
        ----------
        models
            The setting of the models; see `pricing.parse_models`.
        provider
            ``anthropic`` or ``bedrock``.
        max_tokens
            Most output tokens of one call.

        Returns
        -------
        0 for a planner without a language model, and for a model without a price: Plan names that in the record.
        """
        return least_call_usd(models, provider, PROMPT_TOKENS, max_tokens) if self.language_model else 0.0


PLANNERS: dict[str, PlannerSpec] = {
    spec.name: spec
    for spec in (
        PlannerSpec(CLAUDE, label="LLM", language_model=True),
        PlannerSpec(SEARCH, label="Search", language_model=False),
    )
}
"""The planners by the name that the setting ``planner`` may have: one for each `PlannerName`."""

SEARCH_TRIALS = {"quick": 0, "normal": 2, "deep": 4}
"""Bundles that an attempt of the search probes, by the setting ``search_effort``; one round more trains the best. Five
rounds precede the last."""

BASELINE = "baseline"
OPERATOR = "operator"
MIGRATION = "migration"
_OTHER_AUTHORS = {BASELINE: "Baseline", OPERATOR: "Operator", MIGRATION: "Migration"}


def author_label(name: str) -> str:
    """Return how summaries and commit messages name the author of an attempt or of a framework change.

    An author that this version does not know is a language model's planner.
    """
    spec = PLANNERS.get(name)
    return spec.label if spec else _OTHER_AUTHORS.get(name, PLANNERS[CLAUDE].label)
