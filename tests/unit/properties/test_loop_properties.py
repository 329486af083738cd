"""Adoption, lease and budget against the simplest model of each, in sequences that Hypothesis draws."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator

import pytest
from codec_evolution.ports import Conflict, LoopState
from codec_evolution.record import Attempt
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.support.stored import Stores, stores_in_process

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "12"))
"""Sequences of each machine; more by hand."""
DAY, LIMIT_USD = "2026-11-21", 10.0
SLOTS = st.integers(0, 2)
EXECUTIONS = st.sampled_from("abc")
_lineages = itertools.count()


@pytest.fixture(scope="module")
def stores() -> Iterator[Stores]:
    with stores_in_process() as made:
        yield made


class Loop(RuleBasedStateMachine):
    """Three slots that read the state, and act on what they have read whenever they come to it."""

    stores: Stores

    @initialize()
    def begin(self) -> None:
        self.lineage = f"l{next(_lineages)}"
        self.seen: dict[int, LoopState] = {slot: LoopState(self.lineage) for slot in range(3)}
        self.version, self.incumbent, self.number = -1, "", 0
        self.adopted: Counter[int] = Counter()
        self.holder, self.paused = "", False
        self.spent, self.reserved = 0.0, []

    @rule(slot=SLOTS)
    def read(self, slot: int) -> None:
        self.seen[slot] = self.stores.control.state(self.lineage)

    @rule(slot=SLOTS)
    def adopt(self, slot: int) -> None:
        seen = self.seen[slot]
        self.number += 1
        attempt = Attempt.from_item(
            {
                "lineage": self.lineage,
                "attempt_id": f"2026-11-21T22:00:00.000Z#{self.number:02d}",
                "status": "adopted",
                "adopted_version": seen.version + 1,
                "source_sha256": f"{self.number:064x}",
                "clip_set": "clips",
            }
        )
        try:
            self.stores.control.adopt(attempt, seen)
        except Conflict:
            assert seen.version != self.version, "the incumbent had not moved"
            assert self.stores.record.get(self.lineage, attempt.attempt_id) is None
            return
        assert seen.version == self.version, "an incumbent that had moved was replaced"
        self.version, self.incumbent = seen.version + 1, attempt.source_sha256
        self.adopted[self.version] += 1

    @rule(slot=SLOTS, execution=EXECUTIONS)
    def take_lease(self, slot: int, execution: str) -> None:
        seen = self.seen[slot].execution
        may = not self.paused and self.holder in (seen, execution)
        try:
            self.stores.control.take_lease(
                self.lineage, holder=seen, execution=execution, cycle_id="c", due=[execution]
            )
        except Conflict:
            assert not may
            return
        assert may
        self.holder = execution

    @rule(execution=EXECUTIONS)
    def release_lease(self, execution: str) -> None:
        released = self.stores.control.release_lease(self.lineage, execution)
        assert released == (execution == self.holder)
        self.holder = "" if released else self.holder

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        changed = self.stores.control.set_paused(
            self.lineage, paused, at=f"{DAY}T00:00:00.000Z", reason="r", expected_at=None
        )
        assert changed == (paused != self.paused)
        self.paused = paused

    @rule(cents=st.integers(1, 700))
    def reserve(self, cents: int) -> None:
        dollars = cents / 100
        taken = self.stores.control.reserve(self.lineage, DAY, dollars, LIMIT_USD)
        assert taken == (self.spent + dollars <= LIMIT_USD + 1e-9)
        if taken:
            self.spent += dollars
            self.reserved.append(dollars)

    @rule(share=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    def settle(self, share: float) -> None:
        if self.reserved:
            dollars = self.reserved.pop()
            self.stores.control.settle(self.lineage, DAY, dollars, dollars * share)
            self.spent -= dollars * (1 - share)

    @invariant()
    def stored_is_what_was_done(self) -> None:
        state = self.stores.control.state(self.lineage)
        assert (state.version, state.incumbent) == (self.version, self.incumbent)
        assert (state.execution, state.paused) == (self.holder, self.paused)
        assert state.due == ((self.holder,) if self.holder else ())
        spent = self.stores.control.day(self.lineage, DAY).spent_usd
        assert spent == pytest.approx(self.spent, abs=1e-4)
        assert spent <= LIMIT_USD

    def teardown(self) -> None:
        assert all(count == 1 for count in self.adopted.values())
        assert sorted(self.adopted) == list(range(self.version + 1))


@pytest.mark.slow
def test_one_adoption_a_version_one_holder_of_the_lease_and_no_dollar_twice(stores):
    machine = type("Bound", (Loop,), {"stores": stores})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=20, derandomize=True, deadline=None, database=None
        ),
    )
