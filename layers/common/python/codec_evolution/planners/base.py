"""The planner's seam: a briefing goes in, a proposal comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from codec_evolution.contracts import Item


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
    """The planner has nothing to propose; the attempt is skipped with this reason.

    Attributes
    ----------
    planner
        Name of a planner that could not even begin, for the record.
    """

    reason: str
    planner: str = ""


class Planner(Protocol):
    """Anything that can propose a candidate."""

    name: str

    def propose(self, briefing: Briefing) -> Proposal | Nothing:
        """Return the next candidate, or say why there is none."""


@dataclass(frozen=True)
class ToolRequest:
    """The planner asks for a framework tool before it goes on."""

    request: Mapping[str, Any]


@dataclass(frozen=True)
class Draft:
    """The planner asks for the sandbox's verdict on a source before it goes on.

    Attributes
    ----------
    submission
        ``hypothesis`` and ``summary`` when the source was handed in: it becomes the proposal if it passes.
    """

    source: str
    submission: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Again:
    """The planner has been answered without leaving this function and goes on in the next round."""


Outcome = Proposal | Nothing | ToolRequest | Draft | Again


@dataclass(frozen=True)
class Step:
    """What one round of planning led to, and the dollars that it cost."""

    outcome: Outcome
    cost_usd: float = 0.0


@dataclass(frozen=True)
class Desk:
    """What a planner finds on its desk in one round.

    Attributes
    ----------
    round
        0 to `contracts.MAX_ROUNDS`; the last one must end with a proposal or with nothing.
    answer
        What the tool or the sandbox answered to the round before, None when there was none.
    policy_toml
        The language policy of the release that this cycle runs with.
    briefing
        Returns the briefing; reading the record is only paid for when it is called.
    refusal
        Tells why a source would not be tested (unchanged, tested before, too large), or "".
    """

    item: Item
    round: int
    answer: Mapping[str, Any] | None
    incumbent_source: str
    policy_toml: str
    briefing: Callable[[], Briefing]
    refusal: Callable[[str], str]


@runtime_checkable
class RoundPlanner(Protocol):
    """A planner that may take several rounds, with tools and drafts between them."""

    name: str

    def step(self, desk: Desk) -> Step:
        """Take one round; a repeated call of the same round returns what the first one did."""


@dataclass(frozen=True)
class OneRound:
    """A planner that proposes at once, as a `RoundPlanner`."""

    planner: Planner

    @property
    def name(self) -> str:
        """The planner's own name."""
        return self.planner.name

    def step(self, desk: Desk) -> Step:
        """Propose; such a planner has no second round."""
        return Step(self.planner.propose(desk.briefing()))
