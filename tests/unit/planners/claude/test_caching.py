"""What the provider's cache saves: the stable part from cycle to cycle, the conversation from round to round."""

import itertools
import json

import pytest
from codec_evolution.pricing import Usage, load_prices
from codec_evolution.record import Attempt

from tests.support.messages_rules import count_tokens
from tests.unit.planners.claude.conftest import LINEAGE
from tests.unit.planners.claude.test_rounds import FAILED, GIVES_UP, NOTHING_CALLED, submits

MINUTES = (0, 1, 7, 52)
"""When the cycles of a test begin; the third comes too late for a cache of five minutes."""


def stable(body: dict) -> bytes:
    """Return the bytes that the provider's cache goes by, up to the first breakpoint."""
    return json.dumps({"tools": body["tools"], "system": body["system"]}, ensure_ascii=False).encode()


def read(run, number: int) -> Usage:
    """Return what the first call of an attempt used."""
    return Usage(**run.transcript()["calls"][number]["usage"])


@pytest.fixture
def cycles(harness):
    """Four cycles of one lineage whose history, money and time move on."""
    run = harness(GIVES_UP, repeat=True)
    used, now = [], 0
    for minute in MINUTES:
        run.script.cache.later += (minute - now) * 60
        now = minute
        run.attempt_id = f"2026-11-21T22:{minute:02d}:00.000Z#00"
        run.plan()
        used.append(read(run, 0))
        failed = {"status": "test_failed", "reason": "runtime: x", "failure_kind": "runtime"}
        run.record.put_once(Attempt(lineage=LINEAGE, attempt_id=run.attempt_id, **failed))
        run.budget_usd -= 1.0
    return run, used


@pytest.mark.slow
def test_the_stable_part_is_byte_for_byte_the_same_in_every_cycle(cycles):
    run, _ = cycles
    assert len({stable(body) for body in run.script.calls}) == 1
    assert len({json.dumps(body["messages"]) for body in run.script.calls}) == len(MINUTES)


@pytest.mark.slow
def test_the_stable_part_is_written_once_and_read_by_every_later_cycle(cycles):
    run, (first, *later) = cycles
    body = run.script.calls[0]
    part = count_tokens({**body, "messages": [{"role": "user", "content": []}]}) - 10
    assert first.cache_read == 0 and first.cache_write_1h == part > 1000
    assert [each.cache_read for each in later] == [part] * 3
    assert all(each.cache_write_1h == 0 for each in later)


def test_a_round_reads_everything_that_was_said_before(harness):
    run = harness(submits("import os\n"), NOTHING_CALLED, submits())
    run.plan()
    run.plan(1, FAILED)
    run.plan(2)
    calls = [read(run, number) for number in range(3)]
    for earlier, later in itertools.pairwise(calls):
        assert later.cache_read == earlier.cache_read + earlier.cache_write
        assert later.input + later.cache_write < 0.1 * later.cache_read


def test_what_was_used_is_booked_at_the_price_of_its_kind(harness):
    run = harness(submits("import os\n"), submits())
    run.plan()
    run.plan(1, FAILED)
    price = load_prices().model("claude-opus-5-5")
    for call in run.transcript()["calls"]:
        used = Usage(**call["usage"])
        by_hand = (
            used.input * 4
            + used.output * 20
            + (used.cache_write - used.cache_write_1h) * 5
            + used.cache_write_1h * 8
            + used.cache_read * 0.2
        ) / 1e6
        assert call["cost_usd"] == pytest.approx(by_hand) == pytest.approx(price.cost(used))
        assert call["cost_usd"] < call["reserved_usd"]
