"""The counters of a day: exactly once, whatever the network does, and never past the limit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, ConnectionClosedError
from codec_evolution.adapters.dynamodb import UPDATE_TRIES
from codec_evolution.adapters.tables import LoopControl

from tests.support.stored import CONTROL, Stores, stores_in_process

DAY = "2026-11-21"


@pytest.fixture
def stores() -> Iterator[Stores]:
    with stores_in_process() as made:
        yield made


def control(stores: Stores, **options) -> LoopControl:
    """Return a client of its own, whose events a test may hook."""
    return LoopControl(CONTROL, **options)


def test_every_addition_names_a_token_that_its_repeats_share(stores):
    made, tokens = control(stores), []
    made._client.meta.events.register(
        "before-call.dynamodb.TransactWriteItems", lambda params, **_: tokens.append(params["body"])
    )
    assert made.reserve("main", DAY, 1.0, 2.0)
    made.settle("main", DAY, 1.0, 0.25)
    assert all(b"ClientRequestToken" in bytes(body) for body in tokens) and len(tokens) == 2
    assert made.day("main", DAY).spent_usd == 0.25


class Cancelled:
    """Answers the first calls with a cancelled transaction, and lets the others through."""

    def __init__(self, times: int, code: str) -> None:
        self.left, self.code = times, code

    def __call__(self, **event) -> tuple[AWSResponse, dict] | None:
        if not self.left:
            return None
        self.left -= 1
        error = {"Code": "TransactionCanceledException", "Message": "cancelled"}
        return AWSResponse("", 400, {}, None), {"Error": error, "CancellationReasons": [{"Code": self.code}]}


def test_additions_of_other_slots_are_waited_for_a_bounded_number_of_times(stores):
    waits: list[float] = []
    made = control(stores, sleep=waits.append)
    made._client.meta.events.register(
        "before-call.dynamodb", Cancelled(UPDATE_TRIES - 1, "TransactionConflict")
    )
    assert made.count("main", DAY, "attempts", 1, 5)
    assert len(waits) == UPDATE_TRIES - 1
    assert made.day("main", DAY).attempts == 1
    made._client.meta.events.register("before-call.dynamodb", Cancelled(UPDATE_TRIES, "TransactionConflict"))
    with pytest.raises(ClientError):
        made.count("main", DAY, "attempts", 1, 5)


def test_a_limit_is_an_answer_and_not_a_conflict(stores):
    waits: list[float] = []
    made = control(stores, sleep=waits.append)
    assert [made.count("main", DAY, "looks", 1, 2) for _ in range(3)] == [True, True, False]
    assert waits == []


def test_a_lease_that_was_taken_and_whose_answer_was_lost_is_taken_by_the_repeat(stores):
    made = control(stores)
    lost = []

    def lose_once(**event) -> None:
        if not lost:
            lost.append(event)
            raise ConnectionClosedError(endpoint_url="dynamodb")

    events = made._table.meta.client.meta.events
    events.register("after-call.dynamodb.UpdateItem", lose_once)
    taken = {"execution": "a", "cycle_id": "c", "due": ["x"]}
    with pytest.raises(ConnectionClosedError):
        made.take_lease("main", holder="", **taken)
    made.take_lease("main", holder="", **taken)
    assert (made.state("main").execution, made.state("main").due) == ("a", ("x",))
