"""Islands: which version migrates where and when, and what all islands share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from codec_evolution import artifacts
from codec_evolution.adapters.tables import LoopControl
from codec_evolution.candidate import Candidate, source_key
from codec_evolution.contracts import Item, PlanRequest, to_payload
from codec_evolution.framework import release
from codec_evolution.judging.adoption import RULE
from codec_evolution.loop.cycle import CycleOpener, CycleSettings, CycleStart
from codec_evolution.loop.islands import (
    MAX_ISLANDS,
    home_of,
    island_names,
    island_seed,
    origin_of,
)
from codec_evolution.loop.planning import PlanStage
from codec_evolution.loop.shared_state import state_of
from codec_evolution.loop.steering import Operator, OperatorRefusal
from codec_evolution.planners.base import NoProposal
from codec_evolution.record import Attempt

from tests.support.stored import CONTROL, RECORD, Stores, stores_in_process

NAMES = ("main", "main-2", "main-3")
SHIPPED = {"language_policy.toml": "[imports]\n"}
NOW = "2026-11-28T14:00:00.000Z"


def test_islands_are_numbered_after_the_first_one():
    assert island_names("main", 1) == ("main",)
    assert island_names("main", 3) == NAMES


@pytest.mark.parametrize(
    ("lineage", "home", "counted"),
    [
        ("main", "main", "main"),
        ("main-2", "main", "main"),
        (f"main-{MAX_ISLANDS}", "main", "main"),
        (f"main-{MAX_ISLANDS + 1}", "main", f"main-{MAX_ISLANDS + 1}"),
        ("test-1", "main", "test-1"),
        ("main-2", "", "main-2"),
    ],
)
def test_only_islands_of_the_deployment_share_what_the_first_one_has(lineage, home, counted):
    assert home_of(lineage, home) == counted


def test_the_others_take_turns_as_origin_and_each_island_begins_with_the_next_one():
    def season(lineage: str, number: int) -> str:
        return origin_of(NAMES, lineage, cycle=10 * number, every=10)

    assert [season("main", number) for number in (1, 2, 3)] == ["main-2", "main-3", "main-2"]
    assert [season(each, 1) for each in NAMES] == ["main-2", "main-3", "main"]


@pytest.mark.parametrize("cycle", [1, 9, 11, 19])
def test_between_two_migrations_every_slot_is_the_planners(cycle):
    assert origin_of(NAMES, "main", cycle=cycle, every=10) == ""


def test_a_lineage_without_other_islands_receives_nothing():
    assert origin_of(("main",), "main", cycle=10, every=10) == ""


def test_islands_with_one_seed_search_differently_and_the_first_one_as_without_islands():
    seeds = [island_seed(7, each, "main") for each in NAMES]
    assert seeds[0] == 7
    assert len(set(seeds)) == 3 and all(0 <= each < 2**31 for each in seeds)
    assert seeds == [island_seed(7, each, "main") for each in NAMES]


@pytest.fixture
def stores() -> Iterator[Stores]:
    with stores_in_process() as made:
        yield made


@pytest.fixture
def control(stores: Stores) -> LoopControl:
    return LoopControl(CONTROL, RECORD, home="main")


class NothingRuns:
    def is_running(self, execution: str) -> bool:
        return False


def adopted(stores: Stores, lineage: str, version: int, source: str) -> None:
    """Make a source a lineage's incumbent, with its curves measured."""
    candidate = Candidate(source)
    stores.bucket.put_text(artifacts.source(candidate.sha256), source)
    attempt = Attempt(
        lineage=lineage,
        attempt_id=f"{NOW}#{version:02d}-{lineage}",
        status="adopted",
        adopted_version=version,
        source_sha256=candidate.sha256,
        clip_set="clips",
    )
    stores.control.adopt(attempt, stores.control.state(lineage))
    stores.control.set_prepared(lineage, version, "clips")


def opener(stores: Stores, control: LoopControl, **changes) -> CycleOpener:
    settings = {"slots": 2, "daily_budget_usd": 12.0, "max_attempts_per_day": 6, "tools": True} | changes
    made = CycleSettings("main", islands=3, migration_cycles=2, **settings)
    return CycleOpener(stores.record, control, stores.bucket, NothingRuns(), made)


def started(lineage: str, minute: int = 0) -> CycleStart:
    return CycleStart(f"execution-{lineage}-{minute}", f"2026-11-28T14:{minute:02d}:00.000Z", 0, lineage)


@pytest.fixture
def evolved(stores: Stores) -> None:
    for lineage in NAMES:
        adopted(stores, lineage, 0, "version = 0\n")


@pytest.mark.usefixtures("evolved")
def test_every_second_cycle_its_last_slot_tries_another_islands_incumbent(stores, control):
    opened = [
        opener(stores, control, max_attempts_per_day=99).open(started("main", n), SHIPPED) for n in range(4)
    ]
    origins = [[slot.origin for slot in each.slots] for each in opened]
    assert origins == [[None, None], [None, "main-2"], [None, None], [None, "main-3"]]
    # What a cycle of an earlier version of the functions reads has no field that it does not know.
    assert "origin" not in to_payload(opened[0], "open_cycle")["slots"][1]


@pytest.mark.usefixtures("evolved")
def test_a_repeated_pass_of_a_cycle_hands_out_the_same_origin(stores, control):
    for minute in (0, 1, 1):
        opened = opener(stores, control).open(started("main", minute), SHIPPED)
    assert (opened.slots[-1].origin, control.state("main").cycles) == ("main-2", 2)


@pytest.mark.usefixtures("evolved")
def test_islands_share_the_release_and_only_the_first_one_may_change_it(stores, control):
    first = opener(stores, control).open(started("main-2"), SHIPPED)
    assert control.state("main").release == first.release
    control.set_release("main", "r" * 64, expected=first.release)
    opened = {name: opener(stores, control).open(started(name, 1), SHIPPED) for name in NAMES[:2]}
    assert {each.release for each in opened.values()} == {"r" * 64}
    assert [opened[name].slots[0].tools for name in NAMES[:2]] == [True, False]


@pytest.mark.usefixtures("evolved")
def test_the_attempts_and_the_dollars_of_a_day_are_those_of_all_islands(stores, control):
    shares = [opener(stores, control).open(started(name), SHIPPED).slots[0].budget_usd for name in NAMES]
    assert shares == [2.0, 2.0, 2.0], "12 dollars over two slots of three islands"
    assert control.day("main-3", "2026-11-28") == control.day("main", "2026-11-28")
    assert control.day("main", "2026-11-28").attempts == 6
    refused = opener(stores, control).open(started("main-2", 1), SHIPPED)
    assert refused.reason == "daily_attempts_used"
    assert control.reserve("main-2", "2026-11-28", 12.0, 12.0)
    assert not control.reserve("main-3", "2026-11-28", 0.01, 12.0)


@pytest.mark.usefixtures("evolved")
def test_a_lineage_that_is_no_island_is_refused_and_told_which_there_are(stores, control):
    opened = opener(stores, control).open(started("main-4"), SHIPPED)
    assert opened.reason == (
        "another_lineage: lineage 'main-4' is none of those that this deployment evolves "
        "('main', 'main-2', 'main-3')"
    )


class Cycles:
    def start(self, name: str, lineage: str) -> bool:
        return True


@pytest.fixture
def operator(control: LoopControl) -> Operator:
    return Operator(control, Cycles(), None, lambda: NOW, home="main")


@pytest.mark.usefixtures("evolved")
def test_a_pause_of_one_island_holds_for_all_until_any_is_resumed(stores, control, operator):
    assert operator.pause("main-2", "dinner") == "Lineage main is paused."
    for name in NAMES:
        assert opener(stores, control).open(started(name), SHIPPED).reason == "paused"
        assert state_of(control, name, "main").paused_reason == "dinner"
    with pytest.raises(OperatorRefusal, match="main-3 is paused"):
        operator.run_cycle("main-3", cycle_id="", nonce="n")
    assert operator.resume("main-3", NOW).startswith("Lineage main-3 is resumed")
    assert opener(stores, control).open(started("main"), SHIPPED).go


@pytest.mark.usefixtures("evolved")
def test_an_island_that_paused_itself_stops_alone_and_is_resumed_by_its_name(stores, control, operator):
    control.set_paused("main-2", True, at=NOW, reason="incumbent_failed: x", expected_at=None)
    assert opener(stores, control).open(started("main-2"), SHIPPED).reason == "paused"
    assert opener(stores, control).open(started("main-3"), SHIPPED).go
    operator.resume("main")
    assert control.state("main-2").paused
    operator.resume("main-2", NOW)
    assert opener(stores, control).open(started("main-2"), SHIPPED).go


class Planner:
    """Says that it was asked."""

    def step(self, context):
        raise AssertionError(f"the planner is asked in round {context.round}")


def plan(stores: Stores, control: LoopControl, planner: object, **changes):
    name = release.publish(stores.bucket, SHIPPED)
    fields = {
        "lineage": "main", "cycle_id": NOW, "version": 0, "release": name, "seed": "s", "attempt_id": f"{NOW}#00",
        "slot": 0, "kind": "candidate", "tools": False, "budget_usd": 1.0, "origin": "main-2",
    }  # fmt: skip
    stage = PlanStage(
        record=stores.record,
        control=control,
        objects=stores.bucket,
        planner=planner,
        baseline="version = 0\n",
        search_seed=0,
        now=lambda: NOW,
        home="main",
    )
    return stage.plan(PlanRequest(item=Item(**fields | changes), round=0))


@pytest.mark.usefixtures("evolved")
def test_a_migrant_is_a_candidate_with_its_origin_and_a_repeat_proposes_the_same(stores, control):
    adopted(stores, "main-2", 1, "version = 1\n")
    planned = plan(stores, control, Planner())
    assert (planned.next, planned.cost_usd) == ("candidate", 0.0)
    assert planned.envelope.source() == "version = 1\n"
    facts = artifacts.load_facts(stores.bucket, "main", f"{NOW}#00")
    assert (facts.origin_lineage, facts.origin_version, facts.planner) == ("main-2", 1, "migration")
    adopted(stores, "main-2", 2, "version = 2\n")
    assert plan(stores, control, Planner()).envelope == planned.envelope


@pytest.mark.usefixtures("evolved")
def test_an_origin_that_has_only_version_0_leaves_the_slot_to_the_planner(stores, control):
    with pytest.raises(AssertionError, match="asked in round 0"):
        plan(stores, control, Planner())


@pytest.mark.usefixtures("evolved")
def test_a_migrant_that_is_the_incumbent_already_leaves_the_slot_to_the_planner(stores, control):
    for lineage in NAMES[:2]:
        adopted(stores, lineage, 1, "version = 1\n")
    planned = plan(stores, control, NoProposal("no_credential"))
    assert (planned.next, planned.reason) == ("nothing", "no_credential")


@pytest.mark.usefixtures("evolved")
def test_what_was_tested_on_its_own_island_is_new_to_another_one(stores, control):
    adopted(stores, "main-2", 1, "version = 1\n")
    planned = plan(stores, control, Planner())
    facts = artifacts.load_facts(stores.bucket, "main", f"{NOW}#00")
    key = source_key(facts.normalised_sha256, facts.policy_sha256, "clips", RULE.version)
    for lineage, status in (("main-2", "adopted"), ("main-3", "rejected")):
        tested = {"attempt_id": f"{NOW}#07", "status": status, "source_key": key}
        stores.record.put_once(Attempt(lineage=lineage, **tested))
    again = plan(stores, control, Planner(), attempt_id=f"{NOW}#01")
    assert again.envelope == planned.envelope
    stores.record.put_once(Attempt(lineage="main", attempt_id=f"{NOW}#00", status="rejected", source_key=key))
    with pytest.raises(AssertionError, match="asked in round 0"):
        plan(stores, control, Planner(), attempt_id=f"{NOW}#02")
