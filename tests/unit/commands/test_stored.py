"""Reading a stopped evolution from disk: DynamoDB's answers, and none where the tables may lack something."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Key
from boto3.dynamodb.types import TypeSerializer
from codec_evolution import artifacts
from codec_evolution.adapters.tables import EvolutionRecord

from infra.commands.stored import StoredBucket, StoredControl, StoredRecord, stored_evolution
from infra.local.stored_tables import StoredTable
from tests.support.stored import CONTROL, RECORD, Stores, stores_in_process
from tests.unit.widgets.contexts import NOW, adopted, attempt

ATTEMPTS = [
    *(attempt(number, source_key=f"s{number % 3}") for number in range(7)),
    *(adopted(10 + version, version) for version in range(3)),
    attempt(20, lineage="island"),
]
READS: dict[str, Callable[[Any], Any]] = {
    "one": lambda record: record.get("main", ATTEMPTS[2].attempt_id),
    "none": lambda record: record.get("main", "2026"),
    "latest": lambda record: record.latest("main", 4),
    "all": lambda record: record.latest("main", 100),
    "since": lambda record: record.since("main", ATTEMPTS[3].attempt_id, 100),
    "of a version": lambda record: record.of_version("main", 1),
    "of no version": lambda record: record.of_version("main", 9),
    "versions": lambda record: record.versions("main", 2),
    "every": lambda record: list(record.every("main")),
}


def saved(name: str) -> dict[str, Any]:
    """Return a table in memory as the emulator saves it."""
    client = boto3.client("dynamodb")
    table = client.describe_table(TableName=name)["Table"]
    partition, sort = (each["AttributeName"] for each in table["KeySchema"])
    items: dict[str, dict[str, Any]] = {}
    for item in client.scan(TableName=name)["Items"]:
        items.setdefault(item[partition]["S"], {})[item[sort]["S"]] = item
    indexes = table.get("GlobalSecondaryIndexes", [])
    return {
        "TableName": name,
        "KeySchema": table["KeySchema"],
        "GlobalSecondaryIndexes": indexes,
        "items": items,
    }


@pytest.fixture(scope="module")
def stores() -> Iterator[Stores]:
    with stores_in_process() as made:
        for each in ATTEMPTS:
            made.record.put_once(each)
        made.control.count("main", "2026-11-21", "attempts", 3, 100)
        made.control.count("main", "2026-11-22", "attempts", 4, 100)
        made.control.set_paused("main", True, at="now", reason="why", expected_at=None)
        yield made


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_the_record_on_disk_answers_as_dynamodb_does(stores, read):
    assert read(StoredRecord(StoredTable(saved(RECORD)))) == read(stores.record)


@pytest.mark.parametrize("page", [1, 3, 10])
def test_pages_on_disk_end_where_dynamodbs_do(stores, monkeypatch, page):
    monkeypatch.setattr("codec_evolution.adapters.tables.EXPORT_PAGE", page)
    stored = StoredRecord(StoredTable(saved(RECORD)))
    assert list(stored.every("main")) == list(stores.record.every("main"))
    assert len(list(stored.every("main"))) == 10


def test_an_index_has_the_items_with_its_keys_and_its_own_attributes_alone(stores):
    """The deployed table's index `by_status` has two partition keys, which DynamoDB in memory does not know."""
    status = [
        {"AttributeName": "lineage", "KeyType": "HASH"},
        {"AttributeName": "status", "KeyType": "HASH"},
        {"AttributeName": "attempt_id", "KeyType": "RANGE"},
    ]
    projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["adopted_version"]}
    by_status = {"IndexName": "by_status", "KeySchema": status, "Projection": projection}
    table = StoredTable({**saved(RECORD), "GlobalSecondaryIndexes": [by_status]})
    condition = Key("lineage").eq("main") & Key("status").eq("adopted")
    found = table.query(
        IndexName="by_status", KeyConditionExpression=condition, ScanIndexForward=False, Limit=2
    )
    assert [each["adopted_version"] for each in found["Items"]] == [2, 1]
    assert set(found["Items"][0]) == {"lineage", "status", "attempt_id", "adopted_version"}
    assert set(found["LastEvaluatedKey"]) == {"lineage", "status", "attempt_id"}


def test_the_loops_state_and_counters_are_read_from_disk(stores):
    control = StoredControl(StoredTable(saved(CONTROL)))
    assert control.state("main") == stores.control.state("main")
    assert control.state("other") == stores.control.state("other")
    assert control.days("main", 5) == stores.control.days("main", 5) != []


def test_a_read_that_is_not_known_is_an_error_and_no_wrong_answer(stores):
    table = StoredTable(saved(RECORD))
    with pytest.raises(TypeError):
        table.query(KeyConditionExpression=None, FilterExpression="x")  # type: ignore[call-arg, arg-type]


# --- a state directory ------------------------------------------------------------------------------


def item(**values: Any) -> dict[str, Any]:
    return {name: TypeSerializer().serialize(value) for name, value in values.items()}


@pytest.fixture
def state_dir(tmp_path) -> Path:
    """A state directory as a run leaves it: one attempt, its report, and the tables saved after both."""
    root, key = tmp_path / "emulator", artifacts.report("main", "2026#00")
    report = root / "s3/000000000000/codec-evolution-local-artifacts1" / key
    report.parent.mkdir(parents=True)
    report.write_text('{"points": []}')
    report.with_name(f"{report.name}.meta.json").write_text("{}")
    (root / "format").write_text("1\n")
    (root / "lock").touch()
    keys = {
        "EvolutionRecord": ("lineage", "attempt_id"),
        "LoopControl": ("lineage", "item"),
        "FrameworkModifications": ("host", "modification_id"),
    }
    tables = {
        name: {
            "TableName": f"CodecEvolutionData-{name}1",
            "KeySchema": [
                {"AttributeName": attribute, "KeyType": kind}
                for attribute, kind in zip(keys[name], ("HASH", "RANGE"), strict=True)
            ],
            "GlobalSecondaryIndexes": [],
            "items": {},
        }
        for name in keys
    }
    stored = item(lineage="main", attempt_id="2026#00", status="rejected", cycle_id="2026", started_at=NOW)
    tables["EvolutionRecord"]["items"] = {"main": {"2026#00": stored}}
    (root / "state").mkdir()
    content = {"__ministack_format__": 2, "payload": {"tables": {"data": tables}}}
    (root / "state/dynamodb.json").write_text(json.dumps(content))
    return tmp_path


def test_a_stopped_evolution_is_read_without_a_stack(state_dir):
    found = stored_evolution(state_dir)
    assert found is not None
    assert [each.status for each in found.record.latest("main", 5)] == ["rejected"]
    assert found.control.state("main").version == -1
    assert found.modifications.latest(5) == []
    key = artifacts.report("main", "2026#00")
    assert found.bucket.get_json(key) == {"points": []}
    assert (found.bucket.exists(key), found.bucket.exists("nothing")) == (True, False)
    assert list(found.bucket.keys("attempts/main/")) == [key]
    assert found.bucket.get_text("attempts/none.json") is None


def locked(root: Path) -> Any:
    lock = (root / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def later_object(root: Path) -> None:
    report = next(root.rglob("report.json"))
    saved_at = (root / "state/dynamodb.json").stat().st_mtime
    os.utime(report, (saved_at + 1, saved_at + 1))


def another_format(root: Path) -> None:
    path = root / "state/dynamodb.json"
    path.write_text(path.read_text().replace('"__ministack_format__": 2', '"__ministack_format__": 3'))


@pytest.mark.parametrize(
    "happens",
    [
        locked,
        later_object,
        another_format,
        lambda root: (root / "state/dynamodb.json").unlink(),
        lambda root: (root / "state/dynamodb.json").write_text("{"),
        lambda root: (root / "format").write_text("2\n"),
        lambda root: (root / "s3/000000000000/codec-evolution-local-artifacts2").mkdir(),
    ],
    ids=[
        "it runs",
        "it was killed",
        "another format",
        "never saved",
        "cut short",
        "another state",
        "two buckets",
    ],
)
def test_where_the_tables_may_lack_something_the_stack_has_to_tell(state_dir, happens):
    kept = happens(state_dir / "emulator")
    assert stored_evolution(state_dir) is None
    del kept


def test_a_directory_without_an_evolution_has_none(tmp_path):
    assert stored_evolution(tmp_path) is None


def test_nothing_can_be_written_to_what_is_on_disk(stores, state_dir):
    record = StoredRecord(StoredTable(saved(RECORD)))
    assert isinstance(record, EvolutionRecord)
    with pytest.raises(AttributeError):
        record.put_once(ATTEMPTS[0])
    with pytest.raises(AttributeError):
        StoredBucket(state_dir).put_text("key", "text")
