"""Records of today's format and of older ones are brought to the newest, once, and read as before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from codec_evolution.adapters import migration as migration_module
from codec_evolution.adapters.dynamodb import stored
from codec_evolution.adapters.migration import Migrated, RecordMigration
from codec_evolution.adapters.record_format import ATTRIBUTE, FORMAT, upgraded
from codec_evolution.record import Attempt, MalformedRecord

from tests.support.stored import RECORD, Stores, stores_in_process

TODAY = {
    "lineage": "main", "attempt_id": "2026-11-28T09:32:50.967Z#00", "cycle_id": "2026-11-28T09:32:50.967Z",
    "started_at": "2026-11-28T09:32:51.500Z", "finished_at": "2026-11-28T09:32:54.123Z", "status": "adopted",
    "reason": "better, and confirmed on the held-out clips", "code_changed": True, "version": 3, "adopted_version": 3,
    "parent_version": 2, "deployment_status": "deployed", "github_committed": True, "github_commit_hash": "f" * 40,
    "confirmed": True, "clip_set": "clips", "release": "c185f8e292065021163a6cb366c53db1", "contest_seed": "0123",
    "artifacts": "attempts/main/2026-11-28T09:32:50.967Z_00", "execution": "arn:aws:states:::execution:x",
    "llm_cost_usd": 0.014, "plan_s": 0.913, "measure_s": 1.0, "confirm_s": 1.0, "compute_cost_usd": 0.000153,
    "source_sha256": "a" * 64, "normalised_sha256": "b" * 64, "source_key": "k", "bitrate_mbps": 3.164063,
    "psnr_db": 36.0, "ms_ssim": 0.984375, "bd_rate_vs_incumbent": -25.0, "improvement": "25.0% bitrate reduction",
    "rule_version": "3", "planner": "claude", "summary": "LLM evolved codec to v3", "an_attribute_of_tomorrow": "kept",
}  # fmt: skip
"""A record as it was stored on 28 November 2026, before there was a format."""


@pytest.fixture
def stores() -> Iterator[Stores]:
    with stores_in_process() as made:
        yield made


def put(stores: Stores, **changes) -> None:
    stores.record._table.put_item(Item=stored({**TODAY, **changes}))


def raw(stores: Stores, attempt_id: str = TODAY["attempt_id"]) -> dict:
    return stores.record._table.get_item(Key={"lineage": "main", "attempt_id": attempt_id})["Item"]


def last(steps: Iterator[Migrated]) -> Migrated:
    return list(steps)[-1]


def test_a_record_of_todays_format_is_read_and_migrated_without_loss(stores):
    put(stores)
    before = stores.record.get("main", TODAY["attempt_id"])
    assert before.to_item() == TODAY
    assert last(RecordMigration(RECORD).run("main")) == Migrated(1, 1)
    assert raw(stores)[ATTRIBUTE] == FORMAT == 1
    assert stores.record.get("main", TODAY["attempt_id"]) == before
    assert last(RecordMigration(RECORD).run("main")) == Migrated(1, 0)


def test_a_new_record_has_the_format_in_the_table_and_not_in_itself(stores):
    attempt = Attempt(lineage="main", attempt_id="a", status="rejected")
    stores.record.put_once(attempt)
    assert raw(stores, "a")[ATTRIBUTE] == FORMAT
    assert ATTRIBUTE not in stores.record.get("main", "a").to_item()


def test_every_page_is_migrated_and_told(stores, monkeypatch):
    monkeypatch.setattr(migration_module, "PAGE", 4)
    for number in range(10):
        put(stores, attempt_id=f"2026-11-28T09:32:50.967Z#{number:03d}")
    told = list(RecordMigration(RECORD).run("main"))
    assert [each.read for each in told] == [4, 8, 10]
    assert told[-1].changed == 10


def rename_psnr(item: dict) -> dict:
    return {("psnr" if name == "psnr_db" else name): value for name, value in item.items()}


def test_a_later_step_changes_only_what_differs_and_leaves_a_commit_noted_meanwhile(stores):
    put(stores)
    migration = RecordMigration(RECORD, (lambda item: item, rename_psnr))
    migrate = migration._migrate

    def commit_first(item):
        stores.record.set_deployment("main", TODAY["attempt_id"], "deployed", "e" * 40)
        return migrate(item)

    migration._migrate = commit_first
    assert last(migration.run("main")) == Migrated(1, 1)
    item = raw(stores)
    assert (item[ATTRIBUTE], item["psnr"], item["github_commit_hash"]) == (2, 36, "e" * 40)
    assert "psnr_db" not in item


def test_two_migrations_at_once_change_a_record_once(stores):
    put(stores)
    first, second = RecordMigration(RECORD), RecordMigration(RECORD)
    assert first._migrate(TODAY) is True
    assert second._migrate(TODAY) is False


def test_a_record_of_a_newer_version_is_refused_with_what_to_do(stores):
    put(stores, record_format=FORMAT + 1)
    with pytest.raises(
        MalformedRecord, match=f"formats up to {FORMAT}, not {FORMAT + 1}; update the software"
    ):
        stores.record.get("main", TODAY["attempt_id"])
    with pytest.raises(MalformedRecord):
        last(RecordMigration(RECORD).run("main"))
    for wrong in ("1", -1, 1.5):
        with pytest.raises(MalformedRecord):
            upgraded({ATTRIBUTE: wrong})
