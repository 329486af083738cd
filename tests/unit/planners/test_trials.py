"""The search's trials: bundles that an attempt probes, each built on the best before it, before it proposes one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from codec_evolution import artifacts
from codec_evolution.candidate import Candidate
from codec_evolution.contracts import Item
from codec_evolution.planners.base import Briefing, Draft, Outcome, Proposal, RoundContext
from codec_evolution.planners.grammar.genome import Genome
from codec_evolution.planners.grammar.writer import write_codec, write_trainer
from codec_evolution.planners.parts import strongest
from codec_evolution.planners.search import MOST_BLAMED, SearchPlanner, titles_of
from codec_evolution.planners.training import MARK, trained_constants
from codec_sandbox.trained_source import edits, with_edits

from tests.support.memory_bucket import MemoryBucket

INCUMBENT = Candidate(write_codec(Genome(prediction="motion")))
ITEM = Item(
    attempt_id="2026-01-01T00:00:00.000Z#00",
    lineage="main",
    cycle_id="2026-01-01T00:00:00.000Z",
    slot=0,
    kind="candidate",
    version=1,
    release="release",
    seed="seed",
    tools=False,
    budget_usd=0.0,
)
LEVELS = ((10, 2.0, 32.0), (30, 4.0, 35.0), (50, 8.0, 38.0), (70, 16.0, 41.0), (90, 32.0, 44.0))
BROKEN = {"outcome": "failed", "failure": {"stage": "smoke", "kind": "crash", "message": "the sandbox died"}}


def report(rate: float, stage: str, cpu_s: float = 2.0) -> dict[str, Any]:
    """Return a report whose points need `rate` percent more bits than the incumbent's."""
    points = [
        {
            "clip": "bunny",
            "role": "train",
            "window": 0,
            "quality": quality,
            "bitrate_mbps": mbps * (1 + rate / 100),
            "psnr_db": psnr_db,
            "ms_ssim": 0.98,
            "frames": 24,
            "encode_cpu_s": cpu_s,
            "decode_cpu_s": cpu_s,
        }
        for quality, mbps, psnr_db in (LEVELS if stage == "measure" else LEVELS[1:4:2])
    ]
    common = {"outcome": "passed", "failure": None, "source_sha256": "s", "clip_set": "clips"}
    return common | {"points": points, "timings_s": {"validate": 0.5, stage: 4.5}}


def bucket(incumbent: Candidate = INCUMBENT) -> MemoryBucket:
    """Return a bucket with the incumbent's curve on the contest's windows."""
    made = MemoryBucket()
    made.put_json(artifacts.training_curve(incumbent.sha256, ITEM.seed), report(0.0, "measure"))
    return made


def context(
    number: int,
    answer: dict[str, Any] | None = None,
    incumbent: Candidate = INCUMBENT,
    tried: frozenset[str] = frozenset(),
) -> RoundContext:
    briefing = Briefing(ITEM.attempt_id, "main", 1, incumbent, 7, tried)
    return RoundContext(ITEM, number, answer, incumbent, "", lambda: briefing, lambda candidate: "")


def attempt(
    objects: MemoryBucket, answers: list[dict[str, Any]], trials: int = 5, incumbent: Candidate = INCUMBENT
) -> list[Outcome]:
    """Run a whole attempt; the sandbox gives the answers one after the other."""
    planner = SearchPlanner(objects, trials, 300.0)
    outcomes = [planner.step(context(0, None, incumbent)).outcome]
    for number, answer in enumerate(answers, start=1):
        outcomes.append(planner.step(context(number, answer, incumbent)).outcome)
    return outcomes


def sources(outcomes: list[Outcome]) -> list[str]:
    return [each.candidate.sha256 for each in outcomes if isinstance(each, Draft | Proposal)]


def test_a_quick_search_proposes_at_once_and_stores_nothing() -> None:
    objects = MemoryBucket()
    assert isinstance(SearchPlanner(objects).step(context(0)).outcome, Proposal)
    assert objects == MemoryBucket()


def test_the_best_of_the_trials_is_proposed() -> None:
    outcomes = attempt(bucket(), [report(-6.0, "probe"), report(-12.0, "probe"), report(-9.0, "probe")], 3)
    assert [type(each) for each in outcomes] == [Draft, Draft, Draft, Proposal]
    assert all(each.probe for each in outcomes[:3] if isinstance(each, Draft))
    assert len(set(sources(outcomes[:3]))) == 3
    assert sources(outcomes)[3] == sources(outcomes)[1]


def titles_tried(objects: MemoryBucket) -> list[list[str]]:
    stored = objects[artifacts.trials("main", ITEM.attempt_id)]
    return [trial["titles"] for trial in stored["trials"]]


def blamed(titles: list[str], kept: list[str]) -> set[str]:
    """Return what a trial that was no better loses: its changes, of many only those that promised least."""
    new = [title for title in titles if title not in kept]
    return set(new if len(new) <= MOST_BLAMED else new[len(new) // 2 :])


def test_a_trial_extends_the_best_one_and_leaves_out_what_made_one_worse() -> None:
    objects = bucket()
    attempt(objects, [report(-6.0, "probe"), report(-4.0, "probe"), report(-9.0, "probe")])
    first, second, third, fourth = titles_tried(objects)
    assert second[: len(first)] == first
    assert third[: len(first)] == first
    assert not set(third) & blamed(second, first)
    assert fourth[: len(third)] == third


@pytest.mark.slow
def test_settings_are_tried_one_at_a_time_on_top_of_those_that_gained() -> None:
    tuned = Candidate(write_codec(strongest()))
    objects = bucket(tuned)
    answers = [report(rate, "probe") for rate in (-0.3, 2.1, -0.7, -0.2)]
    outcomes = attempt(objects, answers, 4, tuned)
    first, second, third, fourth = titles_tried(objects)
    assert len(first) == 1
    assert second[:1] == third[:1] == first and len(second) == len(third) == 2
    assert third != second  # what cost rate is left out
    assert fourth[:2] == third and len(fourth) == 3
    assert sources(outcomes)[4] == sources(outcomes)[2]  # the best of them, not the longest


def test_a_trial_that_failed_is_neither_extended_nor_proposed() -> None:
    objects = bucket()
    outcomes = attempt(objects, [BROKEN, report(-3.0, "probe")], 2)
    assert sources(outcomes)[2] == sources(outcomes)[1]
    first, second = titles_tried(objects)
    assert blamed(first, [])
    assert not blamed(first, []) & set(second)


def test_a_codec_that_would_take_too_long_is_not_proposed() -> None:
    outcomes = attempt(bucket(), [report(-30.0, "probe", cpu_s=60.0), report(-11.0, "probe")], 2)
    assert sources(outcomes)[2] == sources(outcomes)[1]


def test_without_a_trial_that_worked_another_codec_is_proposed() -> None:
    outcomes = attempt(bucket(), [BROKEN, BROKEN], 2)
    assert isinstance(outcomes[2], Proposal)
    assert outcomes[2].candidate.sha256 not in sources(outcomes[:2])


def test_a_repeated_round_gives_the_same_outcome_and_counts_nothing_twice() -> None:
    objects = bucket()
    planner = SearchPlanner(objects, 2, 300.0)
    first = [planner.step(context(0)) for _ in range(2)]
    second = [planner.step(context(1, report(-6.0, "probe"))) for _ in range(2)]
    third = [planner.step(context(2, report(-7.0, "probe"))) for _ in range(2)]
    assert first[0] == first[1]
    assert second[0] == second[1]
    assert third[0] == third[1]
    used = objects[artifacts.model_usage("main", ITEM.attempt_id)]
    assert used["probes"] == 2
    assert used["probe_cost_usd"] > 0


def test_what_is_proposed_says_which_changes_it_makes() -> None:
    objects = bucket()
    outcomes = attempt(objects, [report(-6.0, "probe"), report(-12.0, "probe")], 2)
    proposal = outcomes[2]
    assert isinstance(proposal, Proposal)
    assert titles_of(proposal.hypothesis) == titles_tried(objects)[1]


def test_slots_try_different_bundles() -> None:
    planner = SearchPlanner(bucket(), 1, 300.0)
    first = planner.step(context(0)).outcome
    briefing = Briefing("2026-01-01T00:00:00.000Z#01", "main", 1, INCUMBENT, 7)
    item = ITEM.model_copy(update={"attempt_id": briefing.attempt_id, "slot": 1})
    other = planner.step(replace(context(0), item=item, briefing=lambda: briefing)).outcome
    assert sources([first]) != sources([other])


# -- training

TEXTS = {"FILTER": "f" * 300, "CHROMA_FILTER": "c" * 300}


def trained(source: str, rate: float) -> dict[str, Any]:
    """Return the sandbox's report on a draft whose filters were trained."""
    made = edits(source.encode(), TEXTS, "bunny/1 (12 frames each), seed 1, by the trainer x.")
    found = {
        "source_sha256": Candidate(with_edits(source.encode(), made).decode()).sha256,
        "edits": [list(each) for each in made],
        "arrays": {name: {"dtype": "int8", "shape": [9], "text_bytes": 300} for name in TEXTS},
        "windows": ["bunny/1"],
        "cpu_s": 9.0,
    }
    return report(rate, "probe") | {"trained": found, "timings_s": {"train": 9.0, "probe": 4.5}}


def training(
    objects: MemoryBucket, rate: float, tried: frozenset[str] = frozenset(), **changes: Any
) -> tuple[list[Outcome], Candidate]:
    """Run an attempt of one trial and a training; return its outcomes and the source that was trained."""
    tuned = Candidate(write_codec(strongest()))
    planner = SearchPlanner(objects, 1, 300.0, trains=True)
    first = planner.step(context(0, None, tuned)).outcome
    second = planner.step(context(1, report(-3.0, "probe"), tuned)).outcome
    assert isinstance(first, Draft) and isinstance(second, Draft)
    answer = trained(second.candidate.source, rate)
    answer["trained"] |= changes
    third = [planner.step(context(2, answer, tuned, tried)).outcome for _ in range(2)]
    assert third[0] == third[1]
    return [first, second, third[0]], first.candidate


def test_the_best_trial_is_trained_and_proposed_if_that_is_better() -> None:
    objects = bucket(Candidate(write_codec(strongest())))
    (_, second, third), source = training(objects, -3.4)
    assert isinstance(second, Draft) and second.probe and "def train(videos, config):" in second.trainer
    assert second.candidate == source
    assert isinstance(third, Proposal)
    assert set(trained_constants(third.candidate.source)) == set(TEXTS)
    assert third.summary.endswith("Trained in this attempt: FILTER, CHROMA_FILTER.")
    used = objects[artifacts.model_usage("main", ITEM.attempt_id)]
    assert used["probes"] == 2, "a training is one of the attempt's experiments"


def test_the_untrained_source_is_proposed_if_training_costs_rate() -> None:
    (_, _, third), source = training(bucket(Candidate(write_codec(strongest()))), -2.9)
    assert isinstance(third, Proposal) and third.candidate == source


def test_the_untrained_source_is_proposed_if_training_leads_to_one_that_was_tested() -> None:
    (*_, best), source = training(bucket(Candidate(write_codec(strongest()))), -3.4)
    assert isinstance(best, Proposal) and best.candidate != source
    tested = frozenset({best.candidate.normalised_sha256})
    (*_, other), _ = training(bucket(Candidate(write_codec(strongest()))), -3.4, tested)
    assert isinstance(other, Proposal) and other.candidate == source


def test_edits_that_lead_to_another_source_than_the_measured_one_are_not_taken() -> None:
    objects = bucket(Candidate(write_codec(strongest())))
    (_, _, third), source = training(objects, -9.0, source_sha256="0" * 64)
    assert isinstance(third, Proposal) and third.candidate == source
    stored = objects[artifacts.trials("main", ITEM.attempt_id)]["trials"]
    assert "do not lead to the source that was measured" in stored[1]["failure"]


def test_only_a_codec_with_a_loop_filter_has_a_trainer() -> None:
    assert write_trainer(strongest())
    assert not write_trainer(strongest().with_genes(loop_filter="none"))
    assert "CHROMA" not in write_trainer(strongest().with_genes(chroma_filter="none"))


def test_codecs_of_a_trained_lineage_begin_with_its_constants() -> None:
    source = write_codec(strongest())
    parent = Candidate(with_edits(source.encode(), edits(source.encode(), TEXTS, "bunny/1.")).decode())
    proposal = SearchPlanner().propose(Briefing(ITEM.attempt_id, "main", 2, parent, 7))
    assert isinstance(proposal, Proposal)
    child = proposal.candidate.source
    assert trained_constants(child) == trained_constants(parent.source)
    assert child.count(MARK) == 2 and child.count("\nFILTER = ") == 1
