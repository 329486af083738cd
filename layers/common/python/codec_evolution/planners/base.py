"""What a planner implements: it is given the context of one round and returns what the round led to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from codec_evolution.candidate import Candidate
from codec_evolution.contracts import Item
from codec_evolution.record import Attempt


@dataclass(frozen=True)
class PastAttempt:
    """An earlier attempt as a planner may see it: training figures only.

    Attributes
    ----------
    bitrate_mbps
        Rate at the reference quality, in Mbps at 1080p30.
    bd_rate_vs_incumbent
        In percent; negative is better.
    planner
        Name of the planner that proposed it.
    parent_version
        The version that it was judged against; None if it was not.
    role
        What the attempt was to do, "" if it had no role.
    """

    attempt_id: str
    status: str
    reason: str
    hypothesis: str
    bitrate_mbps: float | None
    bd_rate_vs_incumbent: float | None
    planner: str
    parent_version: int | None = None
    role: str = ""

    @classmethod
    def of(cls, attempt: Attempt) -> PastAttempt:
        """Return what a planner may see of a whole record."""
        return cls(
            attempt_id=attempt.attempt_id,
            status=attempt.status,
            reason=attempt.reason,
            hypothesis=attempt.hypothesis,
            bitrate_mbps=attempt.training_figure("bitrate_mbps"),
            bd_rate_vs_incumbent=attempt.training_figure("bd_rate_vs_incumbent"),
            planner=attempt.planner,
            parent_version=attempt.parent_version,
            role=attempt.role,
        )


@dataclass(frozen=True)
class Briefing:
    """The history that a planner may consult before it proposes a candidate.

    Attributes
    ----------
    version
        The incumbent's version.
    seed
        Seeds every random draw, so that the same briefing gives the same proposal.
    tried
        `Candidate.normalised_sha256` of every source that was tested before.
    outcomes
        Earlier attempts, newest first.
    """

    attempt_id: str
    lineage: str
    version: int
    incumbent: Candidate
    seed: int
    tried: frozenset[str] = frozenset()
    outcomes: tuple[PastAttempt, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """A candidate, with the reason for testing it.

    Attributes
    ----------
    planner
        Name of the planner, for the record.
    model
        The language model that wrote it; "" for a planner without one.
    origin_lineage, origin_version
        The version of another island that it is; "" and None for a candidate of this one's own.
    """

    candidate: Candidate
    hypothesis: str
    summary: str
    planner: str
    model: str = ""
    origin_lineage: str = ""
    origin_version: int | None = None


@dataclass(frozen=True)
class NoProposal:
    """There is no candidate; the attempt is skipped.

    Attributes
    ----------
    reason
        A short machine word, then optionally a sentence after a colon.
    planner
        Name of a planner that could not start, for the record; "" otherwise.
    """

    reason: str
    planner: str = ""


@dataclass(frozen=True)
class ToolRequest:
    """The planner calls a framework tool and continues in the next round with the answer.

    Attributes
    ----------
    request
        ``tool``, ``arguments``, ``reason`` and ``planner``.
    """

    request: Mapping[str, Any]


@dataclass(frozen=True)
class Draft:
    """The planner wants a candidate validated and run on smoke frames before it continues.

    The answer is the sandbox's report; `codec_evolution.judging.probe` holds a probe's points against the incumbent.

    Attributes
    ----------
    probe
        Whether it is also measured on a few training windows.
    no_probe
        Why it is not, although the planner would have it measured.
    configs
        Settings of the candidate's own with which the probe measures it; empty for its defaults alone.
    trainer
        Source that trains the candidate's constants before the probe, which then measures it with them; "" for none.
    submission
        ``hypothesis`` and ``summary`` of a candidate that was submitted: if it passes, it becomes the proposal.
    """

    candidate: Candidate
    submission: Mapping[str, str] | None = None
    probe: bool = False
    no_probe: str = ""
    configs: tuple[Mapping[str, float], ...] = ()
    trainer: str = ""


@dataclass(frozen=True)
class ContinueRound:
    """The planner has its answer already and takes the next round at once."""


Outcome = Proposal | NoProposal | ToolRequest | Draft | ContinueRound


@dataclass(frozen=True)
class Step:
    """The outcome of one round, and the dollars that it cost."""

    outcome: Outcome
    cost_usd: float = 0.0


@dataclass(frozen=True)
class RoundContext:
    """What a planner is given for one round.

    Attributes
    ----------
    round
        0 to `contracts.MAX_ROUNDS`. The last one must end with a `Proposal` or with `NoProposal`.
    answer
        What the tool or the sandbox answered in the previous round; None if nothing was asked.
    policy_toml
        The language policy of this cycle's release.
    briefing
        Returns the briefing. The record is read only when this is called.
    refusal
        Returns why a candidate would not be tested (unchanged, tested before), or "".
    """

    item: Item
    round: int
    answer: Mapping[str, Any] | None
    incumbent: Candidate
    policy_toml: str
    briefing: Callable[[], Briefing]
    refusal: Callable[[Candidate], str]


class RoundPlanner(Protocol):
    """A planner. It may take several rounds, with tools and drafts in between."""

    def step(self, context: RoundContext) -> Step:
        """Take one round.

        A repeated call of the same round returns the same outcome and buys nothing again.

        Raises
        ------
        codec_evolution.candidate.SourceError
            The planner wrote a source that cannot be a candidate.
        """
        ...
