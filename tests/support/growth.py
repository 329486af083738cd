"""How many items each call to the tables looks at, by what DynamoDB says, in lineages of different length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.backends import get_backend

from tests.support.stored import CONTROL, RECORD, Stores, stores_in_process

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
    """Return the id of one attempt; they sort by number."""
    return f"2026-11-20T00:00:00.000Z#{number:07d}"


def fill(lineage: str, attempts: int) -> None:
    """Put items straight into the tables in memory; a request for each would take minutes."""
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


@contextmanager
def filled(few: int, many: int) -> Iterator[Callable[[str, str], int]]:
    """Give a function that says how many items a call looks at in the lineage ``few`` or ``many``."""
    with stores_in_process() as stores:
        for lineage, attempts in (("few", few), ("many", many)):
            fill(lineage, attempts)
        seen: list[int] = []

        def count(parsed: dict[str, Any], model: Any, **_: Any) -> None:
            seen.append(parsed.get("ScannedCount", 1))

        def items_read(call: str, lineage: str) -> int:
            del seen[:]
            CALLS[call](stores, lineage)
            return sum(seen)

        for store in (stores.record, stores.control):
            store._table.meta.client.meta.events.register("after-call.dynamodb", count)
        yield items_read
