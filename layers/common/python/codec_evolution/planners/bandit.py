"""A bandit over names: those that have gained most for a dollar lately are drawn more often, and none is left out.

Thompson sampling: the improvement for a dollar of each name is drawn from a Gamma distribution by what its attempts
gained and cost, and the names are taken in the order of these draws. In a share of the draws all are equally likely.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from codec_evolution.record import ADOPTED, REJECTED, TEST_FAILED, Attempt

FLOOR = 0.25
"""Share of the draws in which the names are equally likely, whatever they have paid."""
HIGHEST_FLOOR = 0.6
"""The same share once nothing has improved for long."""
UNIT_PERCENT = 10.0
"""BD-rate in percent that counts as one success: what an adoption takes."""
NEAR_SHARE = 0.25
"""What a gain counts that was not adopted, as a share of one that was."""
PRIOR_SUCCESSES, PRIOR_USD = 1.0, 1.0
"""What is assumed of a name before it was tried: one success for a dollar."""
LEAST_USD = 0.01
"""What an attempt counts at least, so that a free one does not divide by nothing."""
FADING = 0.8
"""Weight of an attempt in the signal of improvement, as a share of that of the next newer one."""
LEAST_JUDGED = 5
"""Judged attempts without which there is no signal yet."""
STALLED = 0.1
"""Signal of improvement below which the approach must change: one success in ten attempts, the newest counting most."""
JUDGED = (ADOPTED, REJECTED, TEST_FAILED)


@dataclass(frozen=True)
class Draw:
    """An order of names, and how it came about.

    Attributes
    ----------
    order
        All names, the drawn one first.
    values
        What was drawn for each; empty if all were equally likely.
    """

    order: tuple[str, ...]
    values: Mapping[str, float]

    def __str__(self) -> str:
        """Say for the record how the order was drawn."""
        if not self.values:
            return "at random"
        return ", ".join(f"{name} {self.values[name]:.3g}" for name in self.order)


def draw_order(
    names: Sequence[str], paid: Mapping[str, tuple[float, float]], seed: str, floor: float = FLOOR
) -> Draw:
    """Draw an order of names; the same arguments give the same order.

    Parameters
    ----------
    paid
        Successes and dollars by name, as `payoffs` returns them.
    floor
        Share of the draws in which all names are equally likely.
    """
    draw = random.Random(seed)
    if draw.random() < floor:
        return Draw(tuple(draw.sample(list(names), len(names))), {})
    values = {name: _sample(draw, *paid.get(name, (0.0, 0.0))) for name in names}
    return Draw(tuple(sorted(names, key=lambda name: -values[name])), values)


def payoffs(
    recent: Sequence[Attempt], name_of: Callable[[Attempt], str]
) -> Mapping[str, tuple[float, float]]:
    """Return the successes and the dollars of the judged attempts by a name of theirs; "" counts for nothing."""
    found: dict[str, tuple[float, float]] = {}
    for attempt in recent:
        name = name_of(attempt)
        if name and attempt.status in JUDGED:
            successes, dollars = found.get(name, (0.0, 0.0))
            cost = (attempt.llm_cost_usd or 0.0) + (attempt.compute_cost_usd or 0.0)
            found[name] = (successes + success(attempt), dollars + max(LEAST_USD, cost))
    return found


def success(attempt: Attempt) -> float:
    """Return what an attempt gained, in units of `UNIT_PERCENT`; less if it was not adopted, 0 for a loss."""
    gain = max(0.0, -(attempt.training_figure("bd_rate_vs_incumbent") or 0.0)) / UNIT_PERCENT
    return max(1.0, gain) if attempt.status == ADOPTED else NEAR_SHARE * min(1.0, gain)


def improvement(recent: Sequence[Attempt]) -> float | None:
    """Return the signal of improvement: the mean success of the judged attempts, the newest counting most.

    Parameters
    ----------
    recent
        Newest first.

    Returns
    -------
    0 where nothing gains, about 1 where every attempt is adopted; None below `LEAST_JUDGED` judged attempts.
    """
    gained = [success(each) for each in recent if each.status in JUDGED]
    if len(gained) < LEAST_JUDGED:
        return None
    weights = [FADING**age for age in range(len(gained))]
    return sum(weight * gain for weight, gain in zip(weights, gained, strict=True)) / sum(weights)


def floor_of(recent: Sequence[Attempt]) -> float:
    """Return the share of draws that explore: the less has improved lately, the more of them."""
    signal = improvement(recent)
    if signal is None or signal >= STALLED:
        return FLOOR
    return HIGHEST_FLOOR - (HIGHEST_FLOOR - FLOOR) * signal / STALLED


def _sample(draw: random.Random, successes: float, dollars: float) -> float:
    return draw.gammavariate(PRIOR_SUCCESSES + successes, 1 / (PRIOR_USD + dollars))
