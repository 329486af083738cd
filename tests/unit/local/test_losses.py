"""What a killed emulator has lost is restored from journals, conversations, notes and commits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from codec_evolution import artifacts
from codec_evolution.adapters.tables import LoopControl
from codec_evolution.record import Attempt

from infra.local.bare_repository import Commit, Person
from infra.local.losses import Losses, note_pause
from tests.support.stored import CONTROL, RECORD, Stores, stores_in_process

CYCLE = "2026-11-21T22:00:00.000Z"
DAY = CYCLE[:10]
PERSON = Person("a", "a@b.invalid")


@dataclass
class Repository:
    """A branch whose commits name these attempts, oldest first."""

    attempts: list[str] = field(default_factory=list)

    def resolve(self, name: str, kind: str) -> str:
        return "head"

    def history(self, commit: str, skip: int, limit: int) -> list[Commit]:
        commits = [
            Commit(f"{number:040x}", "t", (), PERSON, PERSON, f"v{number}\n\nAttempt: {attempt}\n")
            for number, attempt in enumerate(self.attempts)
        ]
        return commits[::-1][:limit]


@pytest.fixture
def stores() -> Iterator[Stores]:
    with stores_in_process() as made:
        yield made


def attempt(slot: int, **fields) -> Attempt:
    known = {"lineage": "main", "attempt_id": f"{CYCLE}#{slot:02d}", "status": "rejected", **fields}
    return Attempt.from_item(known)


def adopted(slot: int, version: int, finished_at: str = CYCLE) -> Attempt:
    facts = {"source_sha256": f"{slot:064x}", "clip_set": "clips", "finished_at": finished_at}
    return attempt(slot, status="adopted", adopted_version=version, **facts)


def journal(stores: Stores, *attempts: Attempt) -> None:
    for each in attempts:
        stores.bucket.put_json(artifacts.journal("main", each.attempt_id), each.to_item())


def restore(stores: Stores, *committed: str) -> int:
    git: Any = Repository(list(committed))
    losses = Losses(stores.record, stores.control, stores.bucket, git, "main")
    return losses.restore(stores.bucket.keys("attempts/main/"))


def test_versions_are_adopted_in_their_own_order_whatever_the_slots_were(stores):
    journal(stores, adopted(0, 0), adopted(1, 2), adopted(2, 1))
    assert restore(stores) == 3
    assert stores.control.state("main").version == 2
    assert stores.record.of_version("main", 2).attempt_id == f"{CYCLE}#01"


def test_of_two_claims_to_a_version_the_committed_one_holds_and_the_other_is_skipped(stores):
    journal(stores, adopted(0, 0), adopted(1, 1), adopted(2, 1, "2026-11-21T22:00:09.000Z"))
    restore(stores, f"{CYCLE}#00", f"{CYCLE}#02")
    assert stores.record.of_version("main", 1).attempt_id == f"{CYCLE}#02"
    lost = stores.record.get("main", f"{CYCLE}#01")
    assert (lost.status, lost.adopted_version) == ("skipped", None)
    assert stores.bucket.get_json(artifacts.journal("main", lost.attempt_id))["status"] == "skipped"


def test_an_attempt_that_had_only_begun_is_concluded_with_its_dollars(stores):
    usage = {"llm_cost_usd": 1.5, "probe_cost_usd": 0.25}
    stores.bucket.put_json(artifacts.model_usage("main", f"{CYCLE}#01"), usage)
    assert restore(stores) == 1
    found = stores.record.get("main", f"{CYCLE}#01")
    assert (found.status, found.llm_cost_usd) == ("skipped", 1.5)
    assert found.reason.startswith("infrastructure: ")
    assert stores.control.day("main", DAY).spent_usd == 1.75


def test_dollars_that_the_counter_still_has_are_not_booked_again(stores):
    stores.control.count("main", DAY, "spent_usd", 5.0, 100.0)
    stores.bucket.put_json(artifacts.model_usage("main", f"{CYCLE}#01"), {"llm_cost_usd": 1.5})
    restore(stores)
    assert stores.control.day("main", DAY).spent_usd == 5.0


def test_the_dollars_of_all_islands_are_restored_to_the_counter_that_they_share(stores):
    control = LoopControl(CONTROL, RECORD, home="main")
    names = ("main", "main-2")
    for lineage, dollars in zip(names, (1.5, 0.25), strict=True):
        stores.bucket.put_json(artifacts.model_usage(lineage, f"{CYCLE}#01"), {"llm_cost_usd": dollars})
    keys = {each: list(stores.bucket.keys(f"attempts/{each}/")) for each in names}
    git: Any = Repository()
    for lineage, other in (names, names[::-1]):
        losses = Losses(stores.record, control, stores.bucket, git, lineage)
        assert losses.restore(keys[lineage], keys[other]) == 1
    assert control.day("main", DAY).spent_usd == control.day("main-2", DAY).spent_usd == 1.75


def test_a_new_incumbents_measurement_is_no_attempt(stores):
    stores.bucket.put_json(artifacts.report("main", f"{CYCLE}#prep"), {})
    assert restore(stores) == 0


@pytest.mark.slow
def test_versions_that_are_in_the_repository_are_noted_however_far_back(stores):
    journal(stores, *(adopted(slot, slot) for slot in range(40)))
    restore(stores, *(f"{CYCLE}#{slot:02d}" for slot in range(39)))
    assert stores.control.state("main").committed_version == 38
    assert stores.record.get("main", f"{CYCLE}#03").github_commit_hash == f"{3:040x}"
    assert stores.record.get("main", f"{CYCLE}#39").github_committed is False


def test_a_pause_is_kept_and_so_is_the_end_of_one(stores):
    control = stores.control
    control.set_paused("main", True, at=CYCLE, reason="night", expected_at=None)
    note_pause(control, stores.bucket, "main")
    control.set_paused("main", False, at="", reason="", expected_at=None)
    restore(stores)
    state = control.state("main")
    assert (state.paused, state.paused_reason, state.paused_at) == (True, "night", CYCLE)
    control.set_paused("main", False, at="", reason="", expected_at=None)
    note_pause(control, stores.bucket, "main")
    control.set_paused("main", True, at=CYCLE, reason="old", expected_at=None)
    restore(stores)
    assert control.state("main").paused is False
