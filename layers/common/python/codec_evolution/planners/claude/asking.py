"""Calls the model once a round: dollars reserved before, settled after, a bounded number of retries."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from codec_evolution.planners.claude.budget import AttemptBudget
from codec_evolution.planners.claude.language_model import (
    Block,
    LanguageModel,
    ModelAnswer,
    ModelCall,
    ModelFault,
)
from codec_evolution.planners.claude.transcript import LOST, RELEASED, RESERVED, SETTLED, Call, Transcript
from codec_evolution.pricing import ModelPrice

CALLS_A_ROUND = 3
"""Calls that one round may make, including those of an earlier run of the same round that crashed."""
FIRST_WAIT_S = 2.0
MAX_WAIT_S = 20.0
"""Bounds of the wait before a retry, in seconds: exponential with full jitter."""
LEAST_CALL_S = 120.0
"""Seconds that must remain for a repeated call: one that is abandoned half-way is paid for in full."""
LONGEST_WAIT_S = 60.0
"""Longest wait in seconds that a provider may ask for. Beyond it the attempt ends, and a later cycle tries again."""


@dataclass
class Asker:
    """Makes the calls of one round.

    Attributes
    ----------
    save
        Stores the transcript. Called before each call, with its reservation, and after it.
    deadline
        Returns the monotonic time by which the last answer must have arrived.
    """

    model: LanguageModel
    price: ModelPrice
    budget: AttemptBudget
    save: Callable[[], None]
    deadline: Callable[[], float]
    sleep: Callable[[float], None] = time.sleep

    def ask(self, talk: Transcript, number: int, call: ModelCall) -> ModelAnswer:
        """Return the model's answer.

        Raises
        ------
        ModelFault
            No call within the bound returned an answer, or none can.
        codec_evolution.planners.claude.budget.BudgetSpent
            The worst case of the call exceeds a budget; the call was not made.
        """
        for tries in range(1, CALLS_A_ROUND + 1):
            if sum(each.round == number for each in talk.calls) >= CALLS_A_ROUND:
                break
            try:
                return self.buy(call, talk.calls, number, talk.hear)
            except ModelFault as fault:
                wait = max(fault.wait_s, min(MAX_WAIT_S, FIRST_WAIT_S * 2**tries * random.random()))
                late = wait > LONGEST_WAIT_S or time.monotonic() + wait + LEAST_CALL_S > self.deadline()
                if not fault.retry or tries == CALLS_A_ROUND or late:
                    raise
            self.sleep(wait)
        raise ModelFault("model_away", f"round {number} had no usable answer in {CALLS_A_ROUND} calls")

    def buy(
        self, call: ModelCall, entries: list[Call], number: int, hear: Callable[[list[Block]], None]
    ) -> ModelAnswer:
        """Make one call, reserved before and settled after it.

        Parameters
        ----------
        entries
            Where the call is kept; part of what `save` stores.
        number
            The round that pays for it.
        hear
            Keeps the answer before it is stored.

        Raises
        ------
        ModelFault
            There is no answer.
        codec_evolution.planners.claude.budget.BudgetSpent
            The worst case of the call exceeds a budget; the call was not made.
        """
        worst = self.price.worst_case(self.model.count(call), call.max_tokens)
        self.budget.reserve(worst)
        entry = Call(number, worst, model=call.model)
        entries.append(entry)
        self.save()
        try:
            answer = self.model.send(call)
        except ModelFault as fault:
            entry.fault, entry.request_id = str(fault)[:300], fault.request_id
            entry.end(LOST if fault.billed else RELEASED, worst if fault.billed else 0.0)
            self.save()
            if not fault.billed:
                self.budget.settle(worst, 0.0)
            raise
        entry.usage, entry.stop_reason = answer.usage, answer.stop_reason
        entry.request_id, entry.detail = answer.request_id, answer.detail
        cost = self.price.cost(answer.usage)
        entry.end(SETTLED, cost)
        hear(answer.content)
        # Stored before it is settled: after a crash in between, too much is booked, but the answer is not lost.
        self.save()
        self.budget.settle(worst, cost)
        return answer


def write_off(calls: Sequence[Call]) -> None:
    """Book the calls that a crashed process left in flight: their worst case stays spent."""
    for call in calls:
        if call.state == RESERVED:
            call.end(LOST, call.reserved_usd)
