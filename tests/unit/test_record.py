"""The evolution record: what an attempt leaves behind."""

import pytest
from codec_evolution.contracts import ConcludeRequest, Failure
from codec_evolution.loop.recording import build_record, summarise
from codec_evolution.loop.ruling import Ruling
from codec_evolution.pricing import load_prices
from codec_evolution.record import (
    LISTED,
    PUBLIC,
    TEXT_LIMIT,
    Attempt,
    Figures,
    MalformedRecord,
    Measured,
    ProposalFacts,
    attempt_id,
    clip_text,
    exposures,
)

CYCLE = "2026-11-21T22:00:00.000Z"
ITEM = {
    "attempt_id": f"{CYCLE}#03",
    "lineage": "main",
    "cycle_id": CYCLE,
    "slot": 3,
    "kind": "candidate",
    "version": 4,
    "release": "abc",
    "seed": "0f",
    "tools": False,
    "budget_usd": 2.0,
}
PROPOSAL = ProposalFacts(planner="search", hypothesis="Skip what does not move.", source_sha256="ab" * 32)


def build(ruling: Ruling, **fields):
    request = ConcludeRequest.model_validate({"item": ITEM, **fields})
    return build_record(
        request, ruling, PROPOSAL, finished_at="2026-11-21T22:01:00.000Z", prefix="attempts/x"
    )


def passed(timings_s: dict[str, float]) -> dict:
    return {"outcome": "passed", "source_sha256": "ab" * 32, "clip_set": "c", "timings_s": timings_s}


def test_attempt_ids_sort_by_time_then_slot():
    ids = [attempt_id(cycle, slot) for cycle in (CYCLE, "2026-11-21T22:01:00.000Z") for slot in (0, 1, 9, 10)]
    assert sorted(ids) == ids


def test_an_adopted_attempt_says_so_in_the_seeds_words():
    figures = Figures(bitrate_mbps=1.85, improvement="15.3% bitrate reduction")
    record = build(Ruling("adopted", "held_out", figures=figures, confirmed=True, adopted_version=5))
    assert record.summary == "Search evolved codec to v5 - 15.3% bitrate reduction, 1.85 Mbps"
    assert (record.code_changed, record.version, record.adopted_version) == (True, 5, 5)
    assert (record.parent_version, record.deployment_status) == (4, "not_deployed")
    assert record.github_committed is False


def test_an_attempt_that_was_not_adopted_has_no_adopted_version_and_keeps_the_incumbents():
    record = build(Ruling("rejected", "not_better"))
    assert "adopted_version" not in record.to_item()
    assert (record.version, record.code_changed, record.confirmed) == (4, False, False)


def test_a_failure_keeps_its_stage_kind_and_message():
    failure = Failure(stage="smoke", kind="runtime", message="ZeroDivisionError", line=7)
    record = build(Ruling("test_failed", "runtime: ZeroDivisionError", failure=failure))
    assert (record.failure_stage, record.failure_kind, record.failure_line) == (
        "smoke",
        "runtime",
        7,
    )


def test_stage_seconds_come_from_the_reports_and_the_plan():
    measure = passed({"validate": 0.5, "measure": 2.0})
    record = build(Ruling("rejected", "x"), measure=measure, plan={"reason": None, "elapsed_s": 1.25})
    assert (record.plan_s, record.measure_s) == (1.25, 2.5)
    assert "confirm_s" not in record.to_item()


def test_the_seconds_of_an_attempt_are_priced_as_lambda_bills_them():
    measure, confirm = passed({"validate": 0.5, "measure": 19.5}), passed({"measure": 10.0})
    aws = load_prices().aws
    record = build(
        Ruling("rejected", "x"), measure=measure, confirm=confirm, plan={"reason": None, "elapsed_s": 60.0}
    )
    billed = 30.0 * 3538 / 1024 * aws["lambda_x86_gb_second"] + 60.0 * 1.0 * aws["lambda_arm64_gb_second"]
    assert record.compute_cost_usd == pytest.approx(billed, abs=1e-6)
    assert build(Ruling("skipped", "no_credential")).compute_cost_usd == 0.0


def test_windows_that_ran_at_the_same_time_are_billed_each_and_awaited_once():
    measure = passed({"validate": 0.5, "measure": 19.5}) | {"billed_s": 60.5}
    together = build(Ruling("rejected", "x"), measure=measure)
    assert (together.measure_s, together.benchmark_s) == (20.0, 60.5)
    alone = build(Ruling("rejected", "x"), measure=passed({"measure": 60.5}))
    assert together.compute_cost_usd == alone.compute_cost_usd


@pytest.mark.parametrize("text", ["é" * 3000, "x" * 5000])
def test_long_text_is_cut_to_whole_characters_below_the_limit(text):
    cut = clip_text(text)
    assert len(cut.encode()) <= TEXT_LIMIT
    assert cut.endswith("...")


def test_a_record_is_flat_and_has_no_empty_attribute():
    record = build(
        Ruling("rejected", "x", figures=Figures(achievement="", psnr_db=None, bitrate_mbps=1.0))
    ).to_item()
    assert all(isinstance(value, str | int | float | bool) for value in record.values())
    assert "achievement" not in record and "psnr_db" not in record


def test_a_skipped_attempt_is_summarised_by_its_reason():
    assert (
        summarise(Attempt(lineage="main", attempt_id="a#00", status="skipped", reason="no_credential"))
        == "Attempt skipped - no_credential"
    )


OLD_ITEM = {
    "lineage": "main",
    "attempt_id": f"{CYCLE}#00",
    "status": "rejected",
    "reason": "not better",
    "bitrate_mbps": 2,
    "started_at": CYCLE,
    "an_attribute_of_another_version": "kept",
}


def test_an_item_is_read_and_stored_again_as_it_was():
    assert Attempt.from_item(OLD_ITEM).to_item() == OLD_ITEM


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "won"),
        ("version", "3"),
        ("bitrate_mbps", True),
        ("started_at", "today"),
        ("lineage", "a b"),
    ],
)
def test_an_item_that_is_no_record_is_refused_by_the_name_of_its_attribute(name, value):
    with pytest.raises(MalformedRecord, match=f"^{name}: "):
        Attempt.from_item(OLD_ITEM | {name: value})


def test_the_indexes_project_the_twenty_attributes_that_dynamodb_allows_in_their_deployed_order():
    places = [each.listed for _, each in exposures(Attempt) if each.listed is not None]
    assert sorted(places) == list(range(1, 21))
    assert LISTED[:5] == ("status", "reason", "version", "adopted_version", "parent_version")
    assert LISTED[-3:] == ("deployment_status", "github_commit_hash", "source_sha256")


def test_nothing_that_costs_money_or_names_the_account_is_public():
    private = {
        "reason",
        "execution",
        "artifacts",
        "llm_cost_usd",
        "compute_cost_usd",
        "failure_message",
        "release",
    }
    assert not private & set(PUBLIC)


def test_every_measured_figure_is_public():
    found = dict(exposures(Measured))
    assert set(found) == set(Measured.model_fields)
    assert all(each.public for each in found.values())
