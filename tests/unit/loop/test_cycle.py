"""Opening a cycle: the lease, what a dead run left behind, and which slots are handed out."""

import itertools
from collections.abc import Iterator

import pytest
from codec_evolution import artifacts
from codec_evolution.contracts import to_payload
from codec_evolution.loop.cycle import CycleOpener, CycleSettings, CycleStart, contest_seed, stage_of
from codec_evolution.ports import Conflict
from codec_evolution.record import Attempt

from tests.integration.support import adopted_record
from tests.support.memory_bucket import MemoryBucket
from tests.support.stored import Stores, stores_in_process

CYCLE = "2026-11-21T22:00:00.000Z"
NEXT = "2026-11-21T22:01:00.000Z"
SHIPPED = {"language_policy.toml": "[imports]\n"}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def session() -> Iterator[Stores]:
    with stores_in_process() as made:
        yield made


@pytest.fixture
def lineage() -> str:
    """A lineage that no other test uses."""
    return f"test-{next(_numbers)}"


class Running:
    """Executions that are told which of them run."""

    def __init__(self, *running: str) -> None:
        self.running = set(running)

    def is_running(self, execution: str) -> bool:
        return execution in self.running


@pytest.fixture
def opener(session, lineage):
    def build(executions: Running | None = None, **changes) -> CycleOpener:
        settings = {
            "lineage": lineage,
            "slots": 2,
            "daily_budget_usd": 20.0,
            "max_attempts_per_day": 100,
            "tools": True,
        }
        on_recorded = changes.pop("on_recorded", lambda attempt: None)
        settings |= changes
        return CycleOpener(
            session.record,
            session.control,
            session.bucket,
            executions or Running(),
            CycleSettings(**settings),
            on_recorded,
        )

    return build


@pytest.fixture
def evolved(session, lineage):
    """A lineage whose version 0 is measured."""
    session.control.adopt(adopted_record(lineage, 0), session.control.state(lineage))
    session.control.set_prepared(lineage, 0, "clips")


def kinds(opened) -> list[str]:
    return [slot.kind for slot in opened.slots]


def test_a_new_lineage_measures_version_0_first_and_opens_again(opener, session, lineage):
    opened = opener().open(CycleStart("a", CYCLE, 0), SHIPPED)
    assert (opened.go, opened.again, kinds(opened)) == (True, True, ["baseline"])
    assert session.control.state(lineage).release == opened.release
    assert opened.items()[0].release == opened.release


def test_the_slots_of_the_same_cycle_follow_with_other_ids(opener, session, lineage):
    opener().open(CycleStart("a", CYCLE, 0), SHIPPED)
    session.control.adopt(adopted_record(lineage, 0, f"{CYCLE}#00"), session.control.state(lineage))
    session.control.set_prepared(lineage, 0, "clips")
    opened = opener().open(CycleStart("a", CYCLE, 1), SHIPPED)
    assert (opened.again, kinds(opened)) == (False, ["candidate", "candidate"])
    assert [slot.attempt_id for slot in opened.slots] == [f"{CYCLE}#01", f"{CYCLE}#02"]


def test_version_0_is_not_measured_twice_in_one_cycle(opener):
    opener().open(CycleStart("a", CYCLE, 0), SHIPPED)
    opened = opener().open(CycleStart("a", CYCLE, 1), SHIPPED)
    assert (opened.go, opened.reason) == (False, "incumbent_not_measured")


@pytest.mark.usefixtures("evolved")
def test_a_new_incumbent_is_measured_on_the_next_contests_windows_first(opener, session, lineage):
    session.control.adopt(adopted_record(lineage, 1), session.control.state(lineage))
    opened = opener().open(CycleStart("a", CYCLE, 0), SHIPPED)
    assert (opened.again, kinds(opened)) == (True, ["incumbent"])
    assert opened.items()[0].seed == contest_seed(lineage, 1) != contest_seed(lineage, 0)
    assert session.control.state(lineage).due == ()


@pytest.mark.usefixtures("evolved")
def test_only_the_first_slot_may_use_framework_tools_and_the_budget_is_shared(opener):
    opened = opener().open(CycleStart("a", CYCLE, 0), SHIPPED)
    assert [slot.tools for slot in opened.slots] == [True, False]
    assert [slot.budget_usd for slot in opened.slots] == [10.0, 10.0]


@pytest.mark.usefixtures("evolved")
def test_a_running_holder_keeps_the_lease(opener, session, lineage):
    opener().open(CycleStart("a", CYCLE, 0), SHIPPED)
    opened = opener(Running("a")).open(CycleStart("b", NEXT, 0), SHIPPED)
    assert (opened.go, opened.reason) == (False, "busy")
    assert session.control.state(lineage).execution == "a"


@pytest.mark.usefixtures("evolved")
def test_an_execution_that_was_started_for_another_lineage_is_refused_by_name(opener, session, lineage):
    opened = opener().open(CycleStart("a", CYCLE, 0, "another"), SHIPPED)
    assert opened.go is False
    assert opened.reason == (
        f"another_lineage: lineage 'another' is not the one that this deployment evolves ('{lineage}')"
    )
    assert session.control.state(lineage).execution == ""
    assert opener().open(CycleStart("a", CYCLE, 0, lineage), SHIPPED).go is True


@pytest.mark.usefixtures("evolved")
def test_a_dead_holders_attempts_are_concluded_as_infrastructure(opener, session, lineage):
    first = opener().open(CycleStart("a", CYCLE, 0), SHIPPED)
    session.record.put_once(Attempt(lineage=lineage, attempt_id=first.slots[0].attempt_id, status="rejected"))
    told = []
    opened = opener(on_recorded=told.append).open(CycleStart("b", NEXT, 0), SHIPPED)
    assert opened.go is True
    lost = session.record.get(lineage, first.slots[1].attempt_id)
    assert (lost.status, lost.reason.split(":")[0]) == ("skipped", "infrastructure")
    assert [each.attempt_id for each in told] == [lost.attempt_id], "the metrics hear of it, once"
    assert session.record.get(lineage, first.slots[0].attempt_id).status == "rejected"


@pytest.mark.usefixtures("evolved")
def test_opening_twice_gives_the_same_slots_and_counts_them_once(opener, session, lineage):
    start = CycleStart("a", CYCLE, 0)
    assert opener().open(start, SHIPPED) == opener().open(start, SHIPPED)
    assert session.control.day(lineage, CYCLE[:10]).attempts == 2


def test_forty_slots_of_the_longest_lineage_fit_on_the_edge(session):
    lineage = "l" * 32
    session.control.adopt(adopted_record(lineage, 0), session.control.state(lineage))
    session.control.set_prepared(lineage, 0, "clips")
    settings = CycleSettings(
        lineage=lineage, slots=40, daily_budget_usd=20.0, max_attempts_per_day=100, tools=True
    )
    opener = CycleOpener(session.record, session.control, session.bucket, Running(), settings)
    opened = opener.open(CycleStart("a", CYCLE, 0), SHIPPED)
    assert len(opened.items()) == 40
    assert to_payload(opened, "open_cycle")["shared"]["lineage"] == lineage


@pytest.mark.usefixtures("evolved")
def test_a_spent_budget_refuses_the_cycle(opener, session, lineage):
    session.control.count(lineage, CYCLE[:10], "spent_usd", 20.0, 1000)
    assert opener().open(CycleStart("a", CYCLE, 0), SHIPPED).reason == "daily_budget_spent"


@pytest.mark.usefixtures("evolved")
def test_the_days_attempts_are_limited(opener, session, lineage):
    for minute in range(2):
        start = CycleStart(f"x{minute}", f"2026-11-21T22:0{minute}:00.000Z", 0)
        assert opener(max_attempts_per_day=4).open(start, SHIPPED).go is True
    start = CycleStart("late", "2026-11-21T22:09:00.000Z", 0)
    assert opener(max_attempts_per_day=4).open(start, SHIPPED).reason == "daily_attempts_used"


@pytest.mark.usefixtures("evolved")
def test_a_share_too_small_for_one_call_of_the_model_refuses_the_cycle(opener, session, lineage):
    start = CycleStart("a", CYCLE, 0)
    assert opener(least_attempt_usd=10.01).open(start, SHIPPED).reason == "daily_budget_below_one_call"
    session.control.count(lineage, CYCLE[:10], "spent_usd", 1.0, 1000)
    assert opener(least_attempt_usd=9.51).open(start, SHIPPED).reason == "daily_budget_spent"
    assert opener(least_attempt_usd=9.5).open(start, SHIPPED).go is True


@pytest.mark.usefixtures("evolved")
def test_whoever_loses_the_race_for_the_lease_opens_no_cycle(opener, session, lineage, monkeypatch):
    def taken(*arguments, **fields):
        raise Conflict

    monkeypatch.setattr(session.control, "take_lease", taken)
    opened = opener().open(CycleStart("a", CYCLE, 0), SHIPPED)
    assert (opened.go, opened.reason) == (False, "lease_taken")
    assert session.control.day(lineage, CYCLE[:10]).attempts == 0


@pytest.mark.usefixtures("evolved")
def test_an_incumbent_that_could_not_be_measured_is_not_tried_twice_in_one_cycle(opener, session, lineage):
    session.control.adopt(adopted_record(lineage, 1), session.control.state(lineage))
    opener().open(CycleStart("a", CYCLE, 0), SHIPPED)
    opened = opener().open(CycleStart("a", CYCLE, 1), SHIPPED)
    assert (opened.go, opened.reason) == (False, "incumbent_not_measured")


def test_a_running_attempts_stage_is_told_by_what_it_has_stored():
    bucket, attempt = MemoryBucket(), f"{CYCLE}#00"
    assert stage_of(bucket, "main", attempt) == "planning"
    bucket.put_json(artifacts.proposal("main", attempt), {})
    assert stage_of(bucket, "main", attempt) == "measuring"
    bucket.put_json(artifacts.report("main", attempt), {})
    assert stage_of(bucket, "main", attempt) == "confirming"
