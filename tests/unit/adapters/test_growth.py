"""A call reads as many items of a long history as of a short one; `python -m tests.bench growth` has a million."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

import pytest
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl

from tests.support.growth import CALLS, LIMIT, filled

FEW, MANY = 1_000, 30_000


@pytest.fixture(scope="module")
def items_read() -> Iterator[Callable[[str, str], int]]:
    with filled(FEW, MANY) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_a_call_looks_at_as_many_items_of_thirty_thousand_as_of_a_thousand(items_read, name, record_property):
    few, many = items_read(name, "few"), items_read(name, "many")
    record_property("summary", ["measured", f"items read by {name}: {few} at {FEW}, {many} at {MANY}"])
    assert 0 < few == many <= LIMIT + 1


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
