"""One round of Plan: what needs no planner, and which of a planner's proposals are worth a benchmark."""

from __future__ import annotations

from typing import Any

import pytest
from codec_evolution import artifacts
from codec_evolution.candidate import Candidate, sha256_hex, source_key
from codec_evolution.contracts import Item, Planned, PlanRequest
from codec_evolution.framework import release
from codec_evolution.judging.adoption import RULE
from codec_evolution.loop.planning import PlanStage
from codec_evolution.planners.base import ContinueRound, Draft, NoProposal, Proposal, Step, ToolRequest
from codec_evolution.ports import LoopState
from codec_evolution.record import Attempt

from tests.support.memory_bucket import WrittenBucket

NOW = "2026-11-28T14:00:00.000Z"
POLICY = "[imports]\n"
BASELINE, INCUMBENT, OTHER = (Candidate(f"version = {number}\n") for number in (0, 1, 2))


class History:
    """The record of attempts: at most one with the key of a source."""

    def __init__(self, known: Attempt | None = None) -> None:
        self.known, self.asked = known, 0

    def latest(self, lineage: str, limit: int) -> list[Attempt]:
        return []

    def tested(self, key: str, lineage: str) -> Attempt | None:
        self.asked += 1
        return self.known if self.known is not None and self.known.source_key == key else None


class Control:
    """The state of a lineage whose incumbent is version 1."""

    def __init__(self, **state: Any) -> None:
        self.now = LoopState(
            "main", **{"version": 1, "incumbent": INCUMBENT.sha256, "clip_set": "clips"} | state
        )

    def state(self, lineage: str) -> LoopState:
        return self.now


class Says:
    """A planner that has made up its mind."""

    def __init__(self, outcome: Any, cost_usd: float = 0.25) -> None:
        self.outcome, self.cost_usd, self.refusals = outcome, cost_usd, []

    def step(self, context: Any) -> Step:
        if isinstance(self.outcome, Proposal):
            self.refusals = [context.refusal(self.outcome.candidate)]
        return Step(self.outcome, self.cost_usd)


def proposal(candidate: Candidate) -> Proposal:
    return Proposal(candidate, "hypothesis", "summary", planner="search")


@pytest.fixture
def bucket() -> WrittenBucket:
    made = WrittenBucket()
    for each in (INCUMBENT, OTHER):
        made.put_text(artifacts.source(each.sha256), each.source)
    return made


def plan(
    bucket: WrittenBucket, planner: Any, history: History | None = None, state: Any = None, **changes: Any
) -> Planned:
    fields = {
        "lineage": "main", "cycle_id": NOW, "version": 1, "release": release.publish(bucket, {release.POLICY: POLICY}),
        "seed": "s", "attempt_id": f"{NOW}#00", "slot": 0, "kind": "candidate", "tools": False, "budget_usd": 1.0,
    }  # fmt: skip
    stage = PlanStage(
        record=history or History(),  # type: ignore[arg-type]
        control=Control(**(state or {})),  # type: ignore[arg-type]
        objects=bucket,
        planner=planner,
        baseline=BASELINE.source,
        search_seed=0,
        now=lambda: NOW,
    )
    return stage.plan(PlanRequest(item=Item(**fields | changes), round=0))


@pytest.mark.parametrize(("kind", "expected"), [("baseline", BASELINE), ("incumbent", INCUMBENT)])
def test_baseline_and_incumbent_need_no_planner_and_cost_nothing(bucket, kind, expected):
    planned = plan(bucket, NoProposal("no_credential"), kind=kind)
    assert (planned.next, planned.cost_usd) == ("candidate", 0.0)
    assert planned.envelope.source() == expected.source
    facts = artifacts.load_facts(bucket, "main", f"{NOW}#00")
    assert (facts.planner, facts.source_sha256) == ("baseline", expected.sha256)


def test_a_new_candidate_is_stored_with_what_it_changes_before_it_is_returned(bucket):
    planned = plan(bucket, Says(proposal(OTHER)))
    assert (planned.next, planned.cost_usd) == ("candidate", 0.25)
    assert bucket.get_text(artifacts.source(OTHER.sha256)) == OTHER.source
    assert artifacts.load_facts(bucket, "main", f"{NOW}#00").planner == "search"
    again = plan(bucket, Says(AssertionError("the planner is not asked again")))
    assert again.model_copy(update={"elapsed_s": 0.0}) == planned.model_copy(update={"elapsed_s": 0.0})


def test_a_candidate_that_means_the_same_as_the_incumbent_is_not_tested(bucket):
    planned = plan(bucket, Says(proposal(Candidate("version  =  1  # the same\n"))))
    assert (planned.next, planned.cost_usd) == ("nothing", 0.25)
    assert planned.reason == "unchanged: the source means the same as that of version 1"


def test_a_candidate_is_compared_with_the_incumbent_that_another_slot_has_adopted_meanwhile(bucket):
    bucket.put_text(artifacts.source(BASELINE.sha256), BASELINE.source)
    states = iter([INCUMBENT.sha256, OTHER.sha256])

    class Moved(Control):
        def state(self, lineage: str) -> LoopState:
            return LoopState("main", version=2, incumbent=next(states, OTHER.sha256), clip_set="clips")

    item = {"release": release.publish(bucket, {release.POLICY: POLICY}), "attempt_id": f"{NOW}#00"}
    stage = PlanStage(History(), Moved(), bucket, Says(proposal(OTHER)), "", 0, lambda: NOW)  # type: ignore[arg-type]
    fields = {"lineage": "main", "cycle_id": NOW, "version": 1, "seed": "s", "slot": 0, "kind": "candidate"}
    planned = stage.plan(PlanRequest(item=Item(**fields, **item, tools=False, budget_usd=1.0), round=0))
    assert planned.reason == "unchanged: the source means the same as that of version 2"


@pytest.mark.parametrize(("status", "tested"), [("rejected", True), ("skipped", False)])
def test_a_source_is_tested_once_unless_it_was_skipped(bucket, status, tested):
    key = source_key(OTHER.normalised_sha256, sha256_hex(POLICY), "clips", RULE.version)
    history = History(Attempt(lineage="main", attempt_id="earlier", status=status, source_key=key))
    planner = Says(proposal(OTHER))
    planned = plan(bucket, planner, history)
    assert planned.reason == ("already_tested: by attempt earlier" if tested else "")
    assert planner.refusals == [planned.reason]
    assert history.asked == 1, "what the planner asked is not looked up again"


def test_before_the_incumbent_is_measured_nothing_is_refused(bucket):
    assert plan(bucket, Says(proposal(INCUMBENT)), state={"clip_set": ""}).next == "candidate"


class Unreadable:
    """A planner that proposes what is no source."""

    def step(self, context: Any) -> Step:
        return Step(proposal(Candidate("\0")))


def test_what_is_no_source_is_a_reason_and_no_crash(bucket):
    planned = plan(bucket, Unreadable())
    assert (planned.next, planned.reason) == ("nothing", "bad_source: the source holds a null byte")


@pytest.mark.parametrize(
    ("outcome", "following", "asked"),
    [
        (ToolRequest({"tool": "run_shell_command"}), "tool", {"tool": "run_shell_command"}),
        (ContinueRound(), "again", None),
        (NoProposal("budget_spent"), "nothing", None),
    ],
)
def test_what_is_no_proposal_is_handed_on_with_its_cost(bucket, outcome, following, asked):
    planned = plan(bucket, Says(outcome))
    assert (planned.next, planned.request, planned.cost_usd) == (following, asked, 0.25)


@pytest.mark.parametrize(
    ("more", "stages"),
    [
        ({}, ["validate", "smoke"]),
        ({"probe": True}, ["validate", "smoke", "probe"]),
        ({"probe": True, "trainer": "train"}, ["validate", "smoke", "train", "probe"]),
        ({"trainer": "train"}, ["validate", "smoke"]),
    ],
)
def test_a_draft_is_trained_only_where_it_is_probed(bucket, more, stages):
    planned = plan(bucket, Says(Draft(OTHER, **more)))
    assert (planned.next, planned.request["stages"]) == ("draft", stages)
    assert ("trainer" in planned.request) == ("train" in stages)


def test_without_a_planner_its_reason_is_recorded_and_dollars_already_recorded_stay(bucket):
    assert plan(bucket, NoProposal("no_credential", planner="claude")).reason == "no_credential"
    usage = artifacts.model_usage("main", f"{NOW}#00")
    assert bucket.get_json(usage) == {"planner": "claude"}
    bucket.put_json(usage, {"planner": "claude", "cost_usd": 1.0})
    plan(bucket, NoProposal("no_credential", planner="claude"))
    assert bucket.get_json(usage) == {"planner": "claude", "cost_usd": 1.0}
