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


def attempt(office, life: Life):
    """Run one attempt as the state machine does, a dead call once again; return the desk and the ways of its rounds."""
    # The last turn again, for a call that has to be bought twice.
    desk = office(*TURNS, TURNS[-1])
    objects, control = desk.objects, desk.control
    desk.objects, desk.control = Mortal(objects, life), Mortal(control, life)
    ways = []
    for number, answer in enumerate(ANSWERS):
        try:
            planned = desk.plan(number, answer)
        except Died:
            planned = desk.plan(number, answer)
        ways.append(planned)
    desk.objects, desk.control = objects, control
    return desk, ways


def charged(desk) -> float:
    """Return what the provider has really charged for: every call that it has answered."""
    price = load_prices().model("claude-opus-5-5")
    return sum(price.cost(Usage(**used)) for used in desk.script.used)


def test_an_attempt_that_lives_buys_every_round_once(office):
    life = Life()
    desk, ways = attempt(office, life)
    assert [each.next for each in ways] == ENDING
    assert len(desk.script.calls) == len(TURNS)
    assert len(life.done) == MOMENTS, life.done
    assert desk.spent() == pytest.approx(charged(desk), abs=1e-5)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_death_buys_at_most_one_call_again_and_nothing_is_spent_unbooked(office, moment, before):
    life = Life(moment, before)
    desk, ways = attempt(office, life)
    assert ways[-1].next == "candidate" and ways[-1].envelope is not None
    calls, again = desk.transcript()["calls"], len(desk.script.calls) - len(TURNS)
    assert again in (0, 1)
    if again:
        unstored = (life.done[moment - 1], life.done[moment])
        assert unstored in (("put_text", "put_json"), ("put_json", "put_text")), (
            "only an answer not yet stored"
        )
    assert desk.spent() >= charged(desk) - 1e-6, "the day's budget knows all that was charged"
    assert sum(call["cost_usd"] for call in calls) <= desk.spent() + 1e-6
    kept = desk.objects.get_json(artifacts.model_usage(LINEAGE, ATTEMPT))
    assert kept["llm_cost_usd"] == pytest.approx(sum(call["cost_usd"] for call in calls), abs=1e-6)


def test_an_attempt_that_dies_for_good_is_recorded_with_what_is_booked(office):
    desk = office(submits())
    life = Life()
    desk.objects = Mortal(desk.objects, life)
    send = type(desk.planner().model).send

    def die(self, call):
        send(self, call)
        raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(desk.planner().model), "send", die)
        with pytest.raises(Died):
            desk.plan()
    kept = desk.objects.get_json(artifacts.model_usage(LINEAGE, ATTEMPT))
    # Reserving rounds up to a millionth of a dollar, the record to the nearest one.
    assert kept["llm_cost_usd"] == pytest.approx(desk.spent(), abs=2e-6) and desk.spent() > 0.5
