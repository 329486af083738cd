"""What a dead execution left open: concluded once, with what it cost, and journalled as it is recorded."""

import dataclasses
from typing import Any

from codec_evolution import artifacts
from codec_evolution.contracts import Concluded, ConcludeRequest
from codec_evolution.loop.conclusion import Concluder
from codec_evolution.loop.lost_attempts import conclude_lost
from codec_evolution.ports import LoopState
from codec_evolution.record import Attempt

from tests.support.memory_bucket import MemoryBucket

ATTEMPT = "2026-11-21T22:00:00.000Z#00"
STATE = LoopState("main", version=3, execution="dead", cycle_id=ATTEMPT[:24], due=(ATTEMPT,))
JOURNAL = artifacts.journal("main", ATTEMPT)


@dataclasses.dataclass
class _Table:
    """A record in memory; `meanwhile` is what another writer puts just before us."""

    items: dict[str, Attempt] = dataclasses.field(default_factory=dict)
    meanwhile: Attempt | None = None

    def get(self, lineage: str, attempt_id: str) -> Attempt | None:
        return self.items.get(attempt_id)

    def put_once(self, attempt: Attempt) -> bool:
        if self.meanwhile is not None:
            self.items[attempt.attempt_id] = self.meanwhile
        if attempt.attempt_id in self.items:
            return False
        self.items[attempt.attempt_id] = attempt
        return True


def Control() -> Any:  # noqa: N802 - nothing of it is used
    return None


def Table(*items: Any, **fields: Any) -> Any:  # noqa: N802 - stands for the class
    return _Table(*items, **fields)


def test_a_lost_attempt_is_recorded_with_the_dollars_and_the_model_that_were_used():
    bucket = MemoryBucket({artifacts.model_usage("main", ATTEMPT): {"llm_cost_usd": 1.25, "model": "claude"}})
    table = Table()
    assert conclude_lost(table, bucket, STATE) == [ATTEMPT]
    record = table.items[ATTEMPT]
    assert (record.status, record.llm_cost_usd, record.model) == ("skipped", 1.25, "claude")


def test_a_lost_attempt_is_journalled_so_that_a_replay_does_not_adopt_it():
    bucket = MemoryBucket({JOURNAL: {"status": "adopted", "adopted_version": 4}})
    table = Table()
    conclude_lost(table, bucket, STATE)
    assert bucket[JOURNAL] == table.items[ATTEMPT].to_item()


def test_an_attempt_that_is_recorded_keeps_its_journal():
    table = Table({ATTEMPT: Attempt(lineage="main", attempt_id=ATTEMPT, status="rejected")})
    bucket = MemoryBucket({JOURNAL: "as it was"})
    assert conclude_lost(table, bucket, STATE) == []
    assert bucket[JOURNAL] == "as it was"


def test_a_function_that_outlived_its_execution_has_the_last_word_in_the_journal_too():
    late = Attempt(lineage="main", attempt_id=ATTEMPT, status="rejected")
    bucket = MemoryBucket()
    assert conclude_lost(Table(meanwhile=late), bucket, STATE) == []
    assert bucket[JOURNAL]["status"] == "rejected"


def test_a_repeated_conclusion_leaves_the_journal_as_the_record():
    known = Attempt(lineage="main", attempt_id=ATTEMPT, status="adopted", adopted_version=4)
    bucket = MemoryBucket({JOURNAL: {"status": "skipped"}})
    concluder = Concluder(Table({ATTEMPT: known}), Control(), bucket, lambda: "", 1)
    item = {"lineage": "main", "attempt_id": ATTEMPT, "cycle_id": ATTEMPT[:24], "version": 3, "release": "r"}
    item |= {"seed": "s", "slot": 0, "kind": "candidate", "tools": False, "budget_usd": 1.0}
    concluded = concluder.conclude(ConcludeRequest.model_validate({"item": item}))
    assert concluded == Concluded(next="done", status="adopted", version=4)
    assert bucket[JOURNAL] == known.to_item()
