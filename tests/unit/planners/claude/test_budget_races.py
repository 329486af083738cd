"""The budget under any interleaving: slots that ask at the same time, answers that get lost, functions that die.

One slot moves at a time, and chance decides which; so a seed is one interleaving and can be repeated.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from codec_evolution.loop.cycle import slot_share
from codec_evolution.planners.claude.asking import CALLS_A_ROUND, Asker, write_off
from codec_evolution.planners.claude.budget import AttemptBudget, BudgetSpent
from codec_evolution.planners.claude.language_model import ModelAnswer, ModelCall, ModelFault
from codec_evolution.planners.claude.transcript import Transcript
from codec_evolution.pricing import Usage, load_prices

DAY = "2026-11-21"
LIMIT_USD = 4.0
SLOTS, CYCLES, ROUNDS, LIVES = 3, 3, 3, 3
MAX_TOKENS = 8_000
PRICE = load_prices().model("claude-opus-5-5")
CALL = ModelCall("m", "s", [], [], MAX_TOKENS, "high")
ROUNDING_USD = 1e-6


class Died(Exception):
    """The function environment is gone."""


class Turns:
    """Lets one of several threads go on at a time, as chance has it."""

    def __init__(self, chance: random.Random, after_each: Callable[[], None]) -> None:
        self.chance, self.after_each = chance, after_each
        self.alive: set[int] = set()
        self.waiting: set[int] = set()
        self.turn = -1
        self.change = threading.Condition()

    def gate(self, who: int) -> None:
        """Wait for the turn."""
        with self.change:
            self.waiting.add(who)
            self.change.notify_all()
            self.change.wait_for(lambda: self.turn == who)
            self.turn = -1
            self.waiting.discard(who)

    def run(self, acts: list[Callable[[], None]]) -> None:
        """Run everything to its end."""
        self.alive = set(range(len(acts)))
        threads = [threading.Thread(target=self._live, args=(n, act)) for n, act in enumerate(acts)]
        for thread in threads:
            thread.start()
        while True:
            with self.change:
                self.change.wait_for(lambda: self.turn == -1 and self.waiting == self.alive)
                self.after_each()
                if not self.alive:
                    break
                self.turn = self.chance.choice(sorted(self.waiting))
                self.change.notify_all()
        for thread in threads:
            thread.join()

    def _live(self, who: int, act: Callable[[], None]) -> None:
        try:
            act()
        finally:
            with self.change:
                self.alive.discard(who)
                self.change.notify_all()


@dataclass
class World:
    """The provider's bill, and the day's book beside it."""

    control: Any
    lineage: str
    chance: random.Random
    charged_usd: float = 0.0
    calls: int = 0
    faults: list[str] = field(default_factory=list)

    def spent(self) -> float:
        """Return what the day's book says."""
        return self.control.day(self.lineage, DAY).spent_usd

    def check(self) -> None:
        """Note where the limit is passed, or where something is charged that is not in the book."""
        spent, roundings = self.spent(), ROUNDING_USD * (self.calls + 1)
        if spent > LIMIT_USD + ROUNDING_USD:
            self.faults.append(f"{spent} USD are booked, {LIMIT_USD} are allowed")
        if self.charged_usd > spent + roundings:
            self.faults.append(f"{self.charged_usd} USD are charged, {spent} booked")


@dataclass
class SlotAtWork:
    """One attempt: asks in rounds, and begins a round anew from what is stored when it dies."""

    world: World
    turns: Turns
    who: int
    share_usd: float
    stored: dict[str, Any] | None = None
    provider: str = "anthropic"

    def run(self) -> None:
        """Take all rounds, or as many as the money allows."""
        for number in range(ROUNDS):
            for _ in range(LIVES):
                try:
                    if not self._round(number):
                        return
                    break
                except Died:
                    continue

    def _round(self, number: int) -> bool:
        talk = Transcript.from_json(self.stored) if self.stored else fresh()
        write_off(talk.calls)
        me: Any = self
        budget = AttemptBudget(
            me, self.world.lineage, DAY, LIMIT_USD, self.share_usd, spent_usd=talk.cost_usd
        )
        asker = Asker(me, PRICE, budget, lambda: self._save(talk), lambda: 1e12, lambda seconds: None)
        try:
            if talk.answered(number) is None:
                asker.ask(talk, number, CALL)
        except (ModelFault, BudgetSpent):
            self._save(talk)
            return False
        talk.outcomes[str(number)] = {"kind": "again"}
        self._save(talk)
        return True

    def _moment(self) -> None:
        self.turns.gate(self.who)
        if self.world.chance.random() < 0.08:
            raise Died

    def _save(self, talk: Transcript) -> None:
        self._moment()
        self.stored = talk.to_json()
        self._moment()

    def reserve(self, *given: Any) -> bool:
        """Stand before the day's book."""
        self._moment()
        answer = self.world.control.reserve(*given)
        self._moment()
        return answer

    def settle(self, *given: Any) -> None:
        """Stand before the day's book."""
        self._moment()
        self.world.control.settle(*given)
        self._moment()

    def count(self, call: ModelCall) -> int:
        """Count as the provider does: close to what it will bill."""
        return 20_000

    def send(self, call: ModelCall) -> ModelAnswer:
        """Answer, or charge without an answer, or do neither."""
        self._moment()
        chance, self.world.calls = self.world.chance, self.world.calls + 1
        read = int(20_000 * chance.uniform(0.97, 1.05))
        cached = chance.choice([0, read // 2])
        written = chance.choice([0, read - cached])
        long = chance.choice([0, written])
        used = Usage(read - cached - written, chance.randint(1, MAX_TOKENS), written, cached, long)
        kind = chance.random()
        if kind < 0.15:
            raise ModelFault("overloaded", "busy", retry=True)
        self.world.charged_usd += PRICE.cost(used)
        if kind < 0.3:
            raise ModelFault("connection_lost", "gone", retry=chance.random() < 0.5, billed=True)
        self._moment()
        return ModelAnswer([{"type": "text", "text": "x"}], "end_turn", used)


def fresh() -> Transcript:
    talk = Transcript("m", "high", False, "s", [], {}, [])
    talk.say("Go on.")
    return talk


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False], ids=["shares bind", "the day binds"])
@pytest.mark.parametrize("seed", range(8))
def test_no_interleaving_and_no_death_passes_the_limit_or_hides_a_charge(harness, seed, shared):
    chance = random.Random(seed)
    world = World(harness().control, f"race-{seed}", chance)
    slots: list[SlotAtWork] = []
    for _ in range(CYCLES):
        turns = Turns(chance, world.check)
        share = slot_share(LIMIT_USD, world.spent(), SLOTS) if shared else LIMIT_USD
        cycle = [SlotAtWork(world, turns, who, share) for who in range(SLOTS)]
        turns.run([slot.run for slot in cycle])
        slots += cycle
    assert world.faults == []
    assert world.calls > SLOTS
    if not shared:
        assert world.spent() > LIMIT_USD / 2, "the limit was in reach"
    talks = [Transcript.from_json(slot.stored) for slot in slots if slot.stored]
    assert sum(talk.cost_usd for talk in talks) <= world.spent() + ROUNDING_USD * world.calls
    for slot, talk in ((s, Transcript.from_json(s.stored)) for s in slots if s.stored):
        assert talk.cost_usd <= slot.share_usd + 1e-9
        assert all(sum(c.round == n for c in talk.calls) <= CALLS_A_ROUND for n in range(ROUNDS))
