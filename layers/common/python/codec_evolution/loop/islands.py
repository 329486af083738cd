"""Islands: lineages that one deployment evolves side by side, and when a version of one is tried on another.

All islands share the first one's budgets, pause and release. Whatever else a lineage has is its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

MAIN_LINEAGE = "main"
"""The lineage whose versions are on the repository's own branch."""

MAX_ISLANDS = 8
"""Islands of one deployment. Each has a schedule, alarms and a git branch of its own."""


def island_names(lineage: str, islands: int) -> tuple[str, ...]:
    """Return the lineages of a deployment: ``main``, ``main-2``, ``main-3`` and so on."""
    return (lineage, *(f"{lineage}-{number}" for number in range(2, islands + 1)))


def home_of(lineage: str, home: str) -> str:
    """Return the lineage whose budgets, pause and release hold for another.

    Parameters
    ----------
    home
        The first island of the deployment; "" if there is none.

    Returns
    -------
    The first island for each of its islands; any other lineage has its own.
    """
    return home if home and lineage in island_names(home, MAX_ISLANDS) else lineage


def branch_of(lineage: str) -> str | None:
    """Return the branch of a lineage's versions; None for the repository's own branch, which lineage ``main`` has."""
    return None if lineage == MAIN_LINEAGE else f"lineage-{lineage}"


def origin_of(lineages: Sequence[str], lineage: str, *, cycle: int, every: int) -> str:
    """Return the island whose incumbent is a candidate in this cycle, or "" if none is.

    The others take turns, each island beginning with the one after it.

    Parameters
    ----------
    lineages
        All islands.
    cycle
        The cycle's number in its lineage, from 1.
    every
        Cycles from one migration to the next.
    """
    place = lineages.index(lineage)
    others = [*lineages[place + 1 :], *lineages[:place]]
    if not others or cycle % every:
        return ""
    return others[(cycle // every - 1) % len(others)]


def island_seed(seed: int, lineage: str, home: str) -> int:
    """Return the seed of a lineage's search: islands with one seed would take the same steps."""
    if home_of(lineage, home) == lineage:
        return seed
    digest = hashlib.sha256(f"{seed}/{lineage}".encode()).digest()
    return int.from_bytes(digest[:4]) % 2**31
