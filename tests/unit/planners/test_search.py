"""The search planner: deterministic, never the same codec twice, honest when there is nothing left."""

from __future__ import annotations

import pytest
from codec_evolution.candidate import Candidate
from codec_evolution.planners.base import Briefing, NoProposal, PastAttempt, Proposal
from codec_evolution.planners.grammar.genome import Genome, read_genome
from codec_evolution.planners.grammar.moves import TOOLS, setting_moves
from codec_evolution.planners.grammar.writer import write_codec
from codec_evolution.planners.parts import strongest
from codec_evolution.planners.search import SearchPlanner, read_lessons

FOREIGN = "def compress_video_frame(frame, frame_index, config):\n    return b''\n"


class Everything(frozenset):
    """A set that holds every source."""

    def __contains__(self, item: object) -> bool:
        return True


class EverythingElse(Everything):
    """A set that holds every source but those that it was made of."""

    def __contains__(self, item: object) -> bool:
        return item not in frozenset(self)


def briefing(
    source: str = FOREIGN,
    seed: int = 7,
    tried: frozenset[str] = frozenset(),
    outcomes: tuple[PastAttempt, ...] = (),
    slot: int = 0,
    version: int = 0,
) -> Briefing:
    return Briefing(f"2026-01-01T00:00:00Z#{slot}", "main", version, Candidate(source), seed, tried, outcomes)


def outcome(
    hypothesis: str, rate: float | None, status: str = "rejected", parent: int | None = None
) -> PastAttempt:
    return PastAttempt("2026-01-01T00:00:00Z#0", status, "", hypothesis, None, rate, "search", parent)


def proposed(on: Briefing) -> Proposal:
    answer = SearchPlanner().propose(on)
    assert isinstance(answer, Proposal)
    return answer


def proposals(count: int, source: str = FOREIGN, seed: int = 7) -> list[Proposal]:
    tried: frozenset[str] = frozenset()
    found = []
    for _ in range(count):
        proposal = proposed(briefing(source, seed, tried))
        found.append(proposal)
        tried |= {proposal.candidate.normalised_sha256}
    return found


def test_the_same_briefing_gives_the_same_proposal() -> None:
    assert proposed(briefing()) == proposed(briefing())


@pytest.mark.slow
def test_seeds_and_slots_give_different_searches() -> None:
    incumbent = write_codec(Genome(prediction="motion", interpolation="long"))
    by_seed = {proposed(briefing(incumbent, seed)).candidate.source for seed in range(12)}
    by_slot = {proposed(briefing(incumbent, slot=slot)).candidate.source for slot in range(4)}
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
    assert any(g is not None and g.moves for g in genomes)


@pytest.mark.slow
def test_every_proposal_says_what_it_expects_and_what_it_changes() -> None:
    for proposal in proposals(10):
        assert proposal.planner == "search"
        assert proposal.model == ""
        assert "expect" in proposal.hypothesis
        assert "\n" not in proposal.hypothesis
        assert "Changed from" in proposal.summary
        assert len(proposal.summary) < 2000


@pytest.mark.slow
def test_a_proposal_differs_from_an_incumbent_of_the_grammar() -> None:
    incumbent = proposals(1)[0].candidate.source
    for seed in range(10):
        answer = proposed(briefing(incumbent, seed, version=1))
        assert read_genome(answer.candidate.source) != read_genome(incumbent)


def titles_of(proposal: Proposal) -> list[str]:
    return proposal.hypothesis.split(":")[0].split(" + ")


@pytest.mark.slow
def test_a_bundle_is_expected_to_pass_the_margin_while_there_are_tools() -> None:
    incumbent = write_codec(Genome(prediction="motion"))
    gains = {move.title: move.gain for move in TOOLS}
    for seed in range(10):
        titles = titles_of(proposed(briefing(incumbent, seed)))
        assert sum(gains[title] for title in titles) >= 10


@pytest.mark.slow
def test_a_change_that_hurt_is_not_tried_again_against_the_same_incumbent() -> None:
    incumbent = write_codec(Genome(prediction="motion"))
    title = "Long interpolation filters"
    past = (outcome(f"{title}: why; expect much.", +4.0),)
    for seed in range(10):
        assert title not in titles_of(proposed(briefing(incumbent, seed, outcomes=past)))


@pytest.mark.slow
def test_a_bundle_that_was_judged_with_trained_constants_is_not_proposed_without_them() -> None:
    genome = strongest()
    move = next(move for move in setting_moves() if move.applies(genome))
    untrained = Candidate(write_codec(genome.with_genes(**move.genes))).normalised_sha256
    left = EverythingElse({untrained})
    past = (outcome(f"{move.title}: why; expect little.", 0.3, parent=1),)
    answers = [
        SearchPlanner(trials=1).propose(
            briefing(write_codec(genome), tried=left, outcomes=past, version=version)
        )
        for version in (1, 2)
    ]
    assert answers[0] == NoProposal("every codec within reach of the incumbent was tried")
    assert isinstance(answers[1], Proposal), "it was judged against another incumbent"
    assert answers[1].candidate.normalised_sha256 == untrained


@pytest.mark.slow
def test_a_near_miss_is_carried_on_and_extended() -> None:
    incumbent = write_codec(Genome(prediction="motion"))
    near = ["Long interpolation filters", "Large transforms"]
    past = (outcome(f"{' + '.join(near)}: why; expect much.", -8.5),)
    for seed in range(10):
        titles = titles_of(proposed(briefing(incumbent, seed, outcomes=past)))
        assert titles[:2] == near
        assert len(titles) > 2


@pytest.mark.slow
def test_what_made_a_near_miss_worse_is_dropped_and_the_near_miss_stays() -> None:
    incumbent = write_codec(Genome(prediction="motion"))
    past = (
        outcome("Long interpolation filters + Deblocking: why; expect more.", -6.0),
        outcome("Long interpolation filters: why; expect much.", -8.0),
    )
    for seed in range(10):
        titles = titles_of(proposed(briefing(incumbent, seed, outcomes=past)))
        assert titles[0] == "Long interpolation filters"
        assert "Deblocking" not in titles


def test_a_bundle_that_could_not_be_measured_is_refused() -> None:
    lessons = read_lessons((outcome("Large transforms: why; expect much.", None, "failed"),))
    assert lessons.near_miss == []
    assert lessons.refused == {"Large transforms"}


def test_a_large_bundle_that_could_not_be_measured_loses_its_second_half() -> None:
    titles = [move.title for move in TOOLS[:10]]
    lessons = read_lessons((outcome(f"{' + '.join(titles)}: why; expect much.", None, "failed"),))
    assert lessons.refused == set(titles[5:])


def test_a_second_bundle_takes_most_of_the_tools_that_are_left() -> None:
    incumbent = write_codec(Genome(prediction="motion", interpolation="long"))
    for seed in range(3):
        assert len(titles_of(proposed(briefing(incumbent, seed)))) >= 10


def test_expectations_follow_what_tools_saved_on_earlier_incumbents() -> None:
    move = next(move for move in TOOLS if move.title == "Deblocking")
    better = read_lessons((outcome("Deblocking: why; expect.", -2 * move.gain, "adopted"),))
    worse = read_lessons((outcome("Deblocking: why; expect.", +5.0, "rejected"),))
    assert worse.gain(move) < move.gain < better.gain(move)


@pytest.mark.slow
def test_settings_are_varied_when_no_tool_is_left() -> None:
    genome = Genome()
    for _ in range(3):
        for move in TOOLS:
            if move.applies(genome):
                genome = genome.with_genes(**move.genes)
    names = {move.title for move in setting_moves()}
    for seed in range(5):
        titles = titles_of(proposed(briefing(write_codec(genome), seed)))
        assert titles
        assert set(titles) <= names


def test_an_incumbent_of_an_older_grammar_is_named_and_the_search_starts_from_the_plain_codec() -> None:
    older = f'# genome: {{"prediction": "replenish"}}\n{FOREIGN}'
    proposal = proposed(briefing(older))
    assert "older grammar" in proposal.summary
    genome = read_genome(proposal.candidate.source)
    assert genome is not None
    assert genome.moves


def test_lessons_end_with_an_adoption() -> None:
    old = outcome("Large transforms: why; expect much.", +9.0)
    lessons = read_lessons((outcome("x: y", -20.0, "adopted"), old))
    assert lessons.refused == set()
    assert lessons.near_miss == []
    assert read_lessons((old,)).refused == {"Large transforms"}
