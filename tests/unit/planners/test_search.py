"""The search planner: deterministic, never the same codec twice, honest when there is nothing left."""

from __future__ import annotations

import pytest
from codec_evolution.candidate import Candidate
from codec_evolution.planners.base import Briefing, NoProposal, PastAttempt, Proposal
from codec_evolution.planners.grammar.genome import Genome, read_genome
from codec_evolution.planners.grammar.writer import write_codec
from codec_evolution.planners.search import SearchPlanner

FOREIGN = "def compress_video_frame(frame, frame_index, config):\n    return b''\n"


class Everything(frozenset):
    """A set that holds every source."""

    def __contains__(self, item: object) -> bool:
        return True


def briefing(
    source: str = FOREIGN,
    seed: int = 7,
    tried: frozenset[str] = frozenset(),
    outcomes: tuple[PastAttempt, ...] = (),
    slot: int = 0,
    version: int = 0,
) -> Briefing:
    return Briefing(f"2026-01-01T00:00:00Z#{slot}", "main", version, Candidate(source), seed, tried, outcomes)


def outcome(hypothesis: str, rate: float | None, status: str = "rejected") -> PastAttempt:
    return PastAttempt("2026-01-01T00:00:00Z#0", status, "", hypothesis, None, rate, "search")


def proposals(count: int, source: str = FOREIGN, seed: int = 7) -> list[Proposal]:
    tried: frozenset[str] = frozenset()
    found = []
    for _ in range(count):
        proposal = SearchPlanner().propose(briefing(source, seed, tried))
        assert isinstance(proposal, Proposal)
        found.append(proposal)
        tried |= {proposal.candidate.normalised_sha256}
    return found


def test_the_same_briefing_gives_the_same_proposal() -> None:
    assert SearchPlanner().propose(briefing()) == SearchPlanner().propose(briefing())


def test_seeds_and_slots_give_different_searches() -> None:
    incumbent = write_codec(Genome(prediction="motion", entropy="adaptive"))
    by_seed = {SearchPlanner().propose(briefing(incumbent, seed)).candidate.source for seed in range(12)}
    by_slot = {SearchPlanner().propose(briefing(incumbent, slot=slot)).candidate.source for slot in range(4)}
    assert len(by_seed) > 1
    assert len(by_slot) == 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_no_codec_is_proposed_twice(seed: int) -> None:
    hashes = [p.candidate.normalised_sha256 for p in proposals(15, seed=seed)]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.slow
def test_with_everything_tried_there_is_nothing_to_propose() -> None:
    answer = SearchPlanner().propose(briefing(tried=Everything()))
    assert isinstance(answer, NoProposal)
    assert "tried" in answer.reason


@pytest.mark.parametrize("seed", range(8))
def test_one_of_the_first_two_proposals_has_motion_and_arithmetic_coding(seed: int) -> None:
    genomes = [read_genome(p.candidate.source) for p in proposals(2, seed=seed)]
    assert any(g is not None and g.prediction == "motion" and g.arithmetic for g in genomes)


def test_every_proposal_says_what_it_expects_and_what_it_changes() -> None:
    for proposal in proposals(10):
        assert proposal.planner == "search"
        assert proposal.model == ""
        assert "expect" in proposal.hypothesis
        assert "\n" not in proposal.hypothesis
        assert "Changed from" in proposal.summary
        assert len(proposal.summary) < 2000


def test_a_proposal_differs_from_an_incumbent_of_the_grammar() -> None:
    incumbent = proposals(1)[0].candidate.source
    for seed in range(10):
        answer = SearchPlanner().propose(briefing(incumbent, seed, version=1))
        assert read_genome(answer.candidate.source) != read_genome(incumbent)


def test_a_change_that_hurt_is_not_the_first_to_be_tried_again() -> None:
    incumbent = write_codec(Genome(prediction="motion", entropy="adaptive"))
    title = "Quarter-sample motion with long filters"
    past = (outcome(f"{title}: why; expect much.", +4.0),)
    for seed in range(10):
        answer = SearchPlanner().propose(briefing(incumbent, seed, outcomes=past))
        assert title not in answer.hypothesis.split(":")[0]


def test_changes_that_almost_sufficed_come_back_in_bundles() -> None:
    incumbent = write_codec(Genome(prediction="motion", entropy="mixed", intra="angular", motion_precision=4))
    past = (outcome("inter rounding 0.25 + deblocking 0.2: why; expect much.", -6.0),)
    titles = [
        SearchPlanner().propose(briefing(incumbent, seed, outcomes=past)).hypothesis.split(":")[0]
        for seed in range(12)
    ]
    assert sum("inter rounding 0.25" in title for title in titles) >= 6


def test_lessons_end_with_an_adoption() -> None:
    incumbent = write_codec(Genome(prediction="motion", entropy="adaptive"))
    old = outcome("Two transform sizes: why; expect much.", +9.0)
    fresh = SearchPlanner().propose(briefing(incumbent))
    after = SearchPlanner().propose(briefing(incumbent, outcomes=(outcome("x: y", -20.0, "adopted"), old)))
    assert after == fresh
