"""Dollars are reserved before a call of the language model and settled after it; a limit really stops the loop."""

from __future__ import annotations

from dataclasses import dataclass

from codec_evolution.ports import Control


class BudgetSpent(Exception):
    """A call may not be made: its worst case would pass a limit. The message names the limit and the figures."""


@dataclass
class AttemptBudget:
    """What one attempt may spend: its slot's share, and never more than is left of the day.

    Attributes
    ----------
    spent_usd
        Dollars that the attempt has spent or reserved so far, those of earlier rounds included.
    """

    control: Control
    lineage: str
    day: str
    daily_budget_usd: float
    attempt_budget_usd: float
    spent_usd: float = 0.0

    def reserve(self, worst_case_usd: float) -> None:
        """Take the worst case of a call from both budgets; raises `BudgetSpent` and takes nothing."""
        left = self.attempt_budget_usd - self.spent_usd
        if worst_case_usd > left:
            raise BudgetSpent(
                f"attempt_budget: the next call may cost {worst_case_usd:.4f} USD, {max(0.0, left):.4f} of this "
                f"attempt's {self.attempt_budget_usd:.4f} are left"
            )
        if not self.control.reserve(self.lineage, self.day, worst_case_usd, self.daily_budget_usd):
            raise BudgetSpent(
                f"daily_budget: the next call may cost {worst_case_usd:.4f} USD, which is more than is left of the "
                f"day's {self.daily_budget_usd:.2f}"
            )
        self.spent_usd += worst_case_usd

    def settle(self, reserved_usd: float, spent_usd: float) -> None:
        """Book what a call has really cost."""
        self.control.settle(self.lineage, self.day, reserved_usd, spent_usd)
        self.spent_usd += spent_usd - reserved_usd
