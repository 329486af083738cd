"""The planner's seam: a briefing goes in, a proposal comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class PastAttempt:
    """One earlier attempt, as a planner may see it: training figures only."""

    attempt_id: str
    status: str
    reason: str
    hypothesis: str
    bitrate_mbps: float | None
    bd_rate_vs_incumbent: float | None
    planner: str


@dataclass(frozen=True)
class Briefing:
    """What a planner knows when it proposes the next candidate.

    Attributes
    ----------
    version
        The incumbent's version.
    incumbent_source
        Python source of the incumbent.
    seed
        Seeds every draw of the planner; the same briefing gives the same proposal.
    tried
        `candidate.normalised_sha256` of sources that were tested before.
    outcomes
        Earlier attempts, newest first.
    """

    attempt_id: str
    lineage: str
    version: int
    incumbent_source: str
    seed: int
    tried: frozenset[str] = frozenset()
    outcomes: tuple[PastAttempt, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """A complete candidate with the reason for trying it."""

    source: str
    hypothesis: str
    summary: str
    planner: str
    model: str = ""


@dataclass(frozen=True)
class Nothing:
    """The planner has nothing to propose; the attempt is skipped with this reason."""

    reason: str


class Planner(Protocol):
    """Anything that can propose a candidate."""

    name: str

    def propose(self, briefing: Briefing) -> Proposal | Nothing:
        """Return the next candidate, or say why there is none."""
