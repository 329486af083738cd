"""How many items each call reads, by what DynamoDB says that it looked at: the same however long the history is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from moto.backends import get_backend

from tests.support.stored import CONTROL, RECORD, Stores, stores_in_process

FEW, MANY = 1_000, 30_000
LIMIT = 50
DAY = "2026-11-21"

CALLS: dict[str, Callable[[Stores, str], Any]] = {
    "record.get": lambda stores, lineage: stores.record.get(lineage, attempt_id(7)),
    "record.latest": lambda stores, lineage: stores.record.latest(lineage, LIMIT),
    "record.since": lambda stores, lineage: stores.record.since(lineage, attempt_id(7), LIMIT),
    "record.of_version": lambda stores, lineage: stores.record.of_version(lineage, 3),
    "record.versions": lambda stores, lineage: stores.record.versions(lineage, LIMIT),
    "control.state": lambda stores, lineage: stores.control.state(lineage),
    "control.day": lambda stores, lineage: stores.control.day(lineage, DAY),
    "control.days": lambda stores, lineage: stores.control.days(lineage, LIMIT),
    "control.elites": lambda stores, lineage: stores.control.elites(lineage, LIMIT),
}
"""Every reader with a limit; `test_no_other_reader_is_without_a_limit` names those that have none."""


def attempt_id(number: int) -> str:
    return f"2026-11-20T00:00:00.000Z#{number:06d}"


def fill(lineage: str, attempts: int) -> None:
    """Put items straight into the table in memory; thirty thousand requests would take minutes."""
    tables = get_backend("dynamodb")["123456789012"]["us-east-1"].tables
    for number in range(attempts):
        item = {
            "lineage": {"S": lineage},
            "attempt_id": {"S": attempt_id(number)},
            "status": {"S": "adopted"},
        }
        tables[RECORD].put_item({**item, "adopted_version": {"N": str(number)}})
    for number in range(attempts // 10):
        for name in (f"spend#{number:06d}", f"elite#{number:06d}"):
            family = {part: {"S": "x"} for part in ("attempt_id", "prediction", "transform", "decode")}
            elite = {**family, "fitness": {"N": "1.5"}}
            tables[CONTROL].put_item({"lineage": {"S": lineage}, "item": {"S": name}, **elite})


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[Stores, list[int]]]:
    """The stores with a short and a long lineage, and the items that each call looked at."""
    with stores_in_process() as stores:
        for lineage, attempts in (("few", FEW), ("many", MANY)):
            fill(lineage, attempts)
        seen: list[int] = []

        def count(parsed: dict[str, Any], model: Any, **_: Any) -> None:
            seen.append(parsed.get("ScannedCount", 1))

        for store in (stores.record, stores.control):
            store._table.meta.client.meta.events.register("after-call.dynamodb", count)
        yield stores, seen


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_a_call_looks_at_as_many_items_of_thirty_thousand_as_of_a_thousand(filled, name, record_property):
    stores, seen = filled
    read = {}
    for lineage in ("few", "many"):
        del seen[:]
        CALLS[name](stores, lineage)
        read[lineage] = sum(seen)
    record_property(
        "summary", ["measured", f"items read by {name}: {read['few']} at {FEW}, {read['many']} at {MANY}"]
    )
    assert 0 < read["few"] == read["many"] <= LIMIT + 1


def test_no_other_reader_is_without_a_limit():
    """`every` is an export's, `tested` and `latest` with a status read an index with a limit of their own."""
    readers = {*_readers("record", EvolutionRecord), *_readers("control", LoopControl)}
    assert readers - set(CALLS) == {"record.every", "record.tested"}
    assert readers >= set(CALLS)


def _readers(store: str, kind: type) -> Iterator[str]:
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        source = inspect.getsource(method)
        if not name.startswith("_") and (".query(" in source or "get_item(" in source):
            yield f"{store}.{name}"
