"""The role of a slot: what its attempt is to do. Roles that have paid lately are drawn more often, none is left out."""

from __future__ import annotations

from collections.abc import Sequence

from codec_evolution.planners.bandit import Draw, draw_order, floor_of, payoffs
from codec_evolution.record import TEST_FAILED, Attempt

IMPROVE, TUNE, COMBINE, STRUCTURE, REPAIR = "improve", "tune", "combine", "structure", "repair"
ROLES = (IMPROVE, TUNE, COMBINE, STRUCTURE, REPAIR)
"""All roles, in the order in which they are explained; the cycle's prompt has a text for each."""


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


def draw_roles(roles: Sequence[str], recent: Sequence[Attempt], *, cycle_id: str, seed: int) -> Draw:
    """Return the roles of a cycle in the order of its slots, drawn by what they have gained for a dollar."""
    paid = payoffs(recent, lambda attempt: attempt.role)
    return draw_order(roles, paid, f"{seed}/{cycle_id}/roles", floor_of(recent))


def role_of(drawn: Draw, slot: int) -> str:
    """Return the role of a slot; the slots of a cycle take different ones as far as there are any."""
    return drawn.order[slot % len(drawn.order)]
