"""Money: what is reserved, what is settled, and that the loop really stops."""

import threading
from typing import Any

import pytest
from codec_evolution.loop.cycle import CycleOpener, CycleSettings, CycleStart, slot_share
from codec_evolution.planners.claude.budget import AttemptBudget, BudgetSpent
from codec_evolution.pricing import Usage, load_prices

from tests.unit.planners.claude.conftest import CYCLE, LINEAGE
from tests.unit.planners.claude.test_rounds import GIVES_UP, submits

DAY = CYCLE[:10]
FULL = {"reply": {**GIVES_UP["reply"], "usage": {"output_tokens": 8_000}}}
"""An answer that uses every token it may."""


@pytest.mark.slow
def test_the_loop_stops_at_the_days_budget_and_never_passes_it(harness):
    run = harness(FULL, repeat=True, budget_usd=1.0, attempt_budget_usd=1.0, max_tokens=8_000)
    ended, spent = [], []
    for minute in range(20):
        run.attempt_id = f"2026-11-21T22:{minute:02d}:00.000Z#00"
        run.attempt_budget_usd = slot_share(1.0, run.spent(), 1)
        ended.append(run.plan().reason.partition(":")[0])
        spent.append(run.spent())
        assert spent[-1] <= 1.0
    assert ended[0] == "gave_up" and set(ended[-5:]) == {"attempt_budget"}
    made = len(run.script.calls)
    assert made == ended.count("gave_up") > 2
    assert spent[-1] == spent[made], "an attempt that may not spend books nothing"
    assert 1.0 - spent[-1] < worst_case_of(run), "it stops only when the next call might not fit"


def worst_case_of(run) -> float:
    calls = run.objects.get_json(f"attempts/{LINEAGE}/2026-11-21T22:00:00.000Z_00/transcript.json")["calls"]
    return calls[0]["reserved_usd"]


def test_a_budget_below_the_first_worst_case_makes_no_call(harness):
    run = harness(GIVES_UP, budget_usd=0.05, attempt_budget_usd=0.05)
    assert run.plan().reason.startswith("attempt_budget")
    assert run.script.calls == [] and run.spent() == 0.0


def test_the_share_of_a_slot_binds_even_when_the_day_has_more(harness):
    run = harness(GIVES_UP, budget_usd=20.0, attempt_budget_usd=0.05)
    assert run.plan().reason.startswith("attempt_budget")
    assert run.script.calls == []


def test_what_another_slot_took_is_not_there_any_more(harness):
    run = harness(GIVES_UP, budget_usd=1.0, attempt_budget_usd=1.0)
    run.control.reserve(LINEAGE, DAY, 0.9, 1.0)
    assert run.plan().reason.startswith("daily_budget")
    assert run.script.calls == [] and run.spent() == pytest.approx(0.9)


def test_after_an_answer_only_what_it_used_is_booked(harness):
    run = harness(submits(), max_tokens=64_000)
    planned = run.plan()
    assert run.spent() == pytest.approx(planned.cost_usd, abs=2e-6)
    call = run.transcript()["calls"][0]
    assert call["reserved_usd"] > 5 * call["cost_usd"] > 0
    assert call["state"] == "settled"


def test_a_call_that_broke_off_stays_spent(harness):
    run = harness({"fault": "drop"}, repeat=True)
    planned = run.plan()
    assert planned.reason.startswith("connection_lost")
    calls = run.transcript()["calls"]
    assert [call["state"] for call in calls] == ["lost"] * 3
    assert planned.cost_usd == pytest.approx(sum(call["reserved_usd"] for call in calls))
    assert run.spent() == pytest.approx(planned.cost_usd, abs=1e-5)


def test_a_lost_call_counts_against_the_attempt_that_made_it(harness):
    run = harness({"fault": "drop"}, repeat=True, max_tokens=20_000, attempt_budget_usd=0.6)
    planned = run.plan()
    assert planned.reason.startswith("attempt_budget")
    assert len(run.script.calls) == 1 and planned.cost_usd < 0.6


def test_slots_that_reserve_at_the_same_time_share_one_budget(harness):
    run = harness()
    limit, price, kept = 1.0, 0.13, []
    one_write = threading.Lock()  # DynamoDB's conditional update is atomic; the emulation is not over threads

    class Atomic:
        def __getattr__(self, name: str) -> Any:
            method = getattr(run.control, name)

            def call(*arguments: Any) -> Any:
                with one_write:
                    return method(*arguments)

            return call

    def take() -> None:
        budget = AttemptBudget(Atomic(), LINEAGE, DAY, limit, limit)
        try:
            budget.reserve(price)
        except BudgetSpent:
            return
        kept.append(price)

    threads = [threading.Thread(target=take) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == int(limit / price)
    assert run.spent() == pytest.approx(sum(kept))


def test_reserving_rounds_up_so_that_roundings_never_add_up_to_more(harness):
    run = harness()
    for _ in range(10):
        assert run.control.reserve(LINEAGE, DAY, 0.00000049, 1.0)
    assert run.spent() == pytest.approx(0.00001)
    for _ in range(10):
        run.control.settle(LINEAGE, DAY, 0.00000049, 0.0)
    assert run.spent() == pytest.approx(0.0)


def test_the_worst_case_is_never_below_the_cost():
    price = load_prices().model("claude-opus-5-5")
    for usage in (Usage(1000, 500), Usage(0, 500, cache_write=1000), Usage(0, 500, cache_read=1000)):
        assert price.cost(usage) <= price.worst_case(1000, 500)


def test_slots_share_what_is_left_of_the_day():
    assert slot_share(20.0, 5.0, 3) == 5.0
    assert slot_share(20.0, 25.0, 3) == 0.0


class NothingRuns:
    """Executions, none of which runs."""

    def is_running(self, execution: str) -> bool:
        return False


@pytest.mark.parametrize(
    ("spent", "budget", "reason"),
    [
        (0.0, 20.0, ""),
        (19.0, 20.0, ""),
        (19.5, 20.0, "daily_budget_spent"),
        (0.0, 0.5, "daily_budget_below_one_call"),
    ],
)
def test_no_cycle_is_opened_for_attempts_that_could_not_afford_a_call(harness, spent, budget, reason):
    run = harness()
    run.control.set_prepared(LINEAGE, 0, "clips")
    run.control.reserve(LINEAGE, DAY, spent, 20.0)
    settings = CycleSettings(LINEAGE, 1, budget, 100, False, least_attempt_usd=0.7)
    opener = CycleOpener(run.record, run.control, run.objects, NothingRuns(), settings)
    opened = opener.open(CycleStart("execution", CYCLE, 0), {"language_policy.toml": ""})
    assert (opened.go, opened.reason) == (not reason, reason)
    if opened.go:
        assert opened.slots[0].budget_usd == pytest.approx(budget - spent)
