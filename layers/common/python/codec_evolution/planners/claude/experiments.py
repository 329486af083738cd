"""The probes of one attempt: how many are left, and the dollars of their compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from codec_evolution.planners.claude.budget import AttemptBudget, BudgetSpent
from codec_evolution.planners.claude.transcript import RESERVED, SETTLED, Experiment, Transcript
from codec_evolution.pricing import compute_cost, load_prices

LONGEST_S = 900.0
"""Seconds that the benchmark function may take for one draft; a test holds it to the function's own limit."""
STAGES = ("train", "probe")
"""The sandbox's stages that count against the attempt's number of probes."""


@dataclass(frozen=True)
class Laboratory:
    """Books the probes of an attempt, each in both budgets before it runs and at its cost afterwards.

    Attributes
    ----------
    limit
        Probes that one attempt may run.
    save
        Stores the transcript.
    """

    talk: Transcript
    budget: AttemptBudget
    limit: int
    save: Callable[[], None]

    @property
    def left(self) -> int:
        """How many probes may still run; a draft that failed before its probe has used none."""
        return self.limit - sum(each.used for each in self.talk.experiments.values())

    def reserve(self, number: int) -> str:
        """Reserve the probe of a round; return why it may not run, or "". A repeated round reserves nothing."""
        if str(number) in self.talk.experiments:
            return ""
        if self.left < 1:
            return f"no_probe_left: this attempt has used its {self.limit}"
        worst = compute_cost(load_prices(), plan_s=0.0, benchmark_s=LONGEST_S)
        try:
            self.budget.reserve(worst)
        except BudgetSpent as spent:
            return str(spent)
        self.talk.experiments[str(number)] = Experiment(worst)
        self.save()
        return ""

    def settle(self, number: int, answer: Mapping[str, Any]) -> None:
        """Book what the probe of a round took; without a report its reservation stays spent."""
        entry = self.talk.experiments.get(str(number))
        if entry is None or entry.state != RESERVED:
            return
        timings: Mapping[str, float] = answer.get("timings_s") or {}
        if timings:
            entry.seconds = sum(timings.values())
            entry.cost_usd = compute_cost(load_prices(), plan_s=0.0, benchmark_s=entry.seconds)
            entry.used = any(stage in timings for stage in STAGES)
        entry.state = SETTLED
        # Stored before it is settled: after a crash in between, too much is booked, and nothing twice.
        self.save()
        self.budget.settle(entry.reserved_usd, entry.cost_usd)
