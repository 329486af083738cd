"""An attempt whose function dies at any moment: what it buys again, what stays booked, how it ends."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from codec_evolution import artifacts
from codec_evolution.pricing import Usage, load_prices

from tests.unit.planners.claude.conftest import ATTEMPT, LINEAGE
from tests.unit.planners.claude.test_rounds import FAILED, PASSED, submits

pytestmark = pytest.mark.slow

TURNS = (submits("import os\n"), submits())
ANSWERS = (None, FAILED, PASSED)
ENDING = ["draft", "draft", "candidate"]
MOMENTS = 20
"""Writes of such an attempt."""


class Died(Exception):
    """The function environment is gone."""


@dataclass
class Mortal:
    """Stands before a store and dies at the n-th write of the whole attempt, before it or after it."""

    store: Any
    life: "Life"

    def __getattr__(self, name: str) -> Any:
        act = getattr(self.store, name)
        if name not in ("put_json", "put_text", "reserve", "settle"):
            return act
        return lambda *given: self.life.do(name, act, *given)


@dataclass
class Life:
    """Counts writes."""

    dies_at: int = -1
    before: bool = True
    done: list[str] = field(default_factory=list)

    def do(self, name: str, act: Any, *given: Any) -> Any:
        """Do one write, or die."""
        number = len(self.done)
        self.done.append(name)
        if number == self.dies_at and self.before:
            raise Died
        answer = act(*given)
        if number == self.dies_at:
            raise Died
        return answer


def attempt(harness, life: Life):
    """Run one attempt as the state machine does, repeating a dead call once; return the run and each round's answer."""
    # The last turn again, for a call that has to be bought twice.
    run = harness(*TURNS, TURNS[-1])
    objects, control = run.objects, run.control
    run.objects, run.control = Mortal(objects, life), Mortal(control, life)
    ways = []
    for number, answer in enumerate(ANSWERS):
        try:
            planned = run.plan(number, answer)
        except Died:
            planned = run.plan(number, answer)
        ways.append(planned)
    run.objects, run.control = objects, control
    return run, ways


def charged(run) -> float:
    """Return what the provider has really charged for: every call that it has answered."""
    price = load_prices().model("claude-opus-5-5")
    return sum(price.cost(Usage(**used)) for used in run.script.used)


def test_an_attempt_that_lives_buys_every_round_once(harness):
    life = Life()
    run, ways = attempt(harness, life)
    assert [each.next for each in ways] == ENDING
    assert len(run.script.calls) == len(TURNS)
    assert len(life.done) == MOMENTS, life.done
    assert run.spent() == pytest.approx(charged(run), abs=1e-5)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_death_buys_at_most_one_call_again_and_nothing_is_spent_unbooked(harness, moment, before):
    life = Life(moment, before)
    run, ways = attempt(harness, life)
    assert ways[-1].next == "candidate" and ways[-1].envelope is not None
    calls, again = run.transcript()["calls"], len(run.script.calls) - len(TURNS)
    assert again in (0, 1)
    if again:
        unstored = (life.done[moment - 1], life.done[moment])
        assert unstored in (("put_text", "put_json"), ("put_json", "put_text")), (
            "only an answer not yet stored"
        )
    assert run.spent() >= charged(run) - 1e-6, "the day's budget knows all that was charged"
    assert sum(call["cost_usd"] for call in calls) <= run.spent() + 1e-6
    kept = run.objects.get_json(artifacts.model_usage(LINEAGE, ATTEMPT))
    assert kept["llm_cost_usd"] == pytest.approx(sum(call["cost_usd"] for call in calls), abs=1e-6)


def test_an_attempt_that_dies_for_good_is_recorded_with_what_is_booked(harness):
    run = harness(submits())
    life = Life()
    run.objects = Mortal(run.objects, life)
    send = type(run.planner().model).send

    def die(self, call):
        send(self, call)
        raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(run.planner().model), "send", die)
        with pytest.raises(Died):
            run.plan()
    kept = run.objects.get_json(artifacts.model_usage(LINEAGE, ATTEMPT))
    # Reserving rounds up to a millionth of a dollar, the record to the nearest one.
    assert kept["llm_cost_usd"] == pytest.approx(run.spent(), abs=2e-6) and run.spent() > 0.5
