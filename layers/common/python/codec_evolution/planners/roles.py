"""The role of a slot: what its attempt is to do. Roles that have paid lately are drawn more often, none is left out."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from codec_evolution.record import ADOPTED, REJECTED, TEST_FAILED, Attempt

IMPROVE, TUNE, COMBINE, STRUCTURE, REPAIR = "improve", "tune", "combine", "structure", "repair"
ROLES = (IMPROVE, TUNE, COMBINE, STRUCTURE, REPAIR)
"""All roles, in the order in which they are explained; the cycle's prompt has a text for each."""

FLOOR = 0.25
"""Share of the draws in which the roles are equally likely, whatever they have paid."""
UNIT_PERCENT = 10.0
"""BD-rate in percent that counts as one success: what an adoption takes."""
NEAR_SHARE = 0.25
"""What a gain counts that was not adopted, as a share of one that was."""
PRIOR_SUCCESSES, PRIOR_USD = 1.0, 1.0
"""What is assumed of a role before it was tried: one success for a dollar."""
LEAST_USD = 0.01
"""What an attempt counts at least, so that a free one does not divide by nothing."""


def open_roles(recent: Sequence[Attempt], version: int, partners: int) -> tuple[str, ...]:
    """Return the roles for which there is something to work on.

    Parameters
    ----------
    recent
        Newest first.
    version
        The incumbent's.
    partners
        Codecs besides the incumbent that could be combined with it.
    """
    against = [each for each in recent if each.parent_version == version]
    missing = {COMBINE} if not partners else set[str]()
    if not any(each.status == TEST_FAILED and each.source_sha256 for each in against):
        missing.add(REPAIR)
    return tuple(role for role in ROLES if role not in missing)


def draw_role(roles: Sequence[str], recent: Sequence[Attempt], *, cycle_id: str, slot: int, seed: int) -> str:
    """Return the role of a slot; the slots of a cycle take different ones as far as there are any.

    Thompson sampling: each role's improvement for a dollar is drawn from what its attempts gained and cost (a Gamma
    distribution), and the roles are taken in the order of these draws.
    """
    draw = random.Random(f"{seed}/{cycle_id}/roles")
    paid = payoffs(recent)
    if draw.random() < FLOOR:
        order = draw.sample(list(roles), len(roles))
    else:
        drawn = {role: _sample(draw, *paid.get(role, (0.0, 0.0))) for role in roles}
        order = sorted(roles, key=lambda role: -drawn[role])
    return order[slot % len(order)]


def payoffs(recent: Sequence[Attempt]) -> Mapping[str, tuple[float, float]]:
    """Return the successes and the dollars of each role's attempts."""
    found: dict[str, tuple[float, float]] = {}
    for attempt in recent:
        if attempt.role and attempt.status in (ADOPTED, REJECTED, TEST_FAILED):
            successes, dollars = found.get(attempt.role, (0.0, 0.0))
            cost = (attempt.llm_cost_usd or 0.0) + (attempt.compute_cost_usd or 0.0)
            found[attempt.role] = (successes + success(attempt), dollars + max(LEAST_USD, cost))
    return found


def success(attempt: Attempt) -> float:
    """Return what an attempt gained, in units of `UNIT_PERCENT`; less if it was not adopted, 0 for a loss."""
    gain = max(0.0, -(attempt.training_figure("bd_rate_vs_incumbent") or 0.0)) / UNIT_PERCENT
    return max(1.0, gain) if attempt.status == ADOPTED else NEAR_SHARE * min(1.0, gain)


def _sample(draw: random.Random, successes: float, dollars: float) -> float:
    return draw.gammavariate(PRIOR_SUCCESSES + successes, 1 / (PRIOR_USD + dollars))
