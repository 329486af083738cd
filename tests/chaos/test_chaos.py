"""A few faults of the matrix in each run of the suite; ``make chaos`` injects hundreds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from codec_evolution import artifacts

from tests.chaos.audits import AuditRunner, Kept, whole
from tests.chaos.doubles import SEGMENTS, Model
from tests.chaos.faults import DIES_AFTER, DIES_BEFORE, FORGETS, TWICE, Fault, Row, Site, matrix
from tests.chaos.injected import HOME, SITES, SLOTS
from tests.chaos.invariants import Bill, Stored, violations
from tests.chaos.rows import Runner
from tests.chaos.stack import open_stack, run_cycle

LOST_ANSWERS = (
    Fault(Site("conclude#01/2", "dynamodb.TransactWriteItems/1"), FORGETS),
    Fault(Site("commit/2", "github.PATCH git/refs/1"), FORGETS),
)
DEATHS = (
    Fault(Site("conclude#01/2", "dynamodb.TransactWriteItems/1"), DIES_AFTER),
    Fault(Site("commit/2", "github.PATCH git/refs/1"), DIES_AFTER),
)
REPEATS = (
    Fault(Site("plan#01/1", "dynamodb.TransactWriteItems/1"), TWICE),
    Fault(Site("conclude#01/2"), TWICE),
)


@pytest.fixture(scope="module")
def runner(tmp_path_factory) -> Iterator[Runner]:
    work = tmp_path_factory.mktemp("chaos")
    with Model() as model, open_stack(work / "state", work / "rows", model.url) as session:
        yield Runner(session, work / "rows", model)


@pytest.mark.parametrize("faults", [LOST_ANSWERS, DEATHS, REPEATS], ids=["answers", "deaths", "repeats"])
def test_no_fault_leaves_anything_wrong_behind_a_clean_cycle(runner, faults, request):
    number = ["answers", "deaths", "repeats"].index(request.node.callspec.id)
    done = runner.run(Row(number, 1, faults))
    assert sorted(done.happened) == sorted(map(str, faults)), "every fault was injected"
    assert done.violations == []


def test_eight_executions_at_once_are_one_cycle_after_another_and_leave_nothing_wrong(runner):
    row = Row(8, 1, ())
    lineage = runner.begin(row)
    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(lambda _: run_cycle(runner.session, lineage), range(8)))
    assert {each["status"] for each in ended} == {"SUCCEEDED"}
    outputs = [json.loads(each["output"]) for each in ended]
    assert {each.get("reason", "") for each in outputs if not each["go"]} <= {"busy", "lease_taken"}
    assert any(each["go"] for each in outputs)
    run_cycle(runner.session, lineage)
    assert violations(Stored(runner.session, lineage), runner.bill(row, lineage)) == []


def test_a_migrant_is_measured_judged_and_recorded_on_the_other_island(runner):
    home = runner.begin(Row(9, 1, ()))
    island = runner.folder / f"{home}-2"
    island.mkdir()
    (island / SLOTS).write_text("1")
    (island / HOME).write_text(home)
    run_cycle(runner.session, home)
    best = Stored(runner.session, home)
    assert best.state.version == 1
    assert run_cycle(runner.session, island.name)["status"] == "SUCCEEDED"
    stored = Stored(runner.session, island.name)
    baseline, migrant = (stored.records[each] for each in sorted(stored.records))
    assert (baseline["planner"], baseline["adopted_version"]) == ("baseline", 0)
    assert (migrant["planner"], migrant["status"], migrant["adopted_version"]) == ("migration", "adopted", 1)
    assert (migrant["origin_lineage"], migrant["origin_version"]) == (home, 1)
    assert migrant["source_sha256"] == best.state.incumbent
    assert migrant["bd_rate_vs_incumbent"] < -10, "it was measured beside this island's version 0"
    measured = {f"#{slot}{side}" for slot in ("00", "01") for side in ("@train", "@held_out")}
    sites = (island / SITES).read_text()
    assert all(f"benchmark{each}" in sites for each in measured)
    assert violations(stored, Bill(0.0, 0)) == [], "a migrant costs no answer of the model"


LOST_AUDITS = (
    Fault(Site("conclude#audit/2", "dynamodb.UpdateItem/1"), FORGETS),
    Fault(Site("benchmark#audit@audit:film:1/1"), DIES_BEFORE),
    Fault(Site("conclude#audit/2", "s3.PutObject/1"), DIES_AFTER),
)


@pytest.fixture(scope="module")
def audits(runner) -> AuditRunner:
    return AuditRunner(runner)


def test_no_fault_leaves_half_an_audit_or_changes_anything_else_and_the_loop_goes_on(audits):
    done = [audits.run(Row(place, 1, (fault,))) for place, fault in enumerate(LOST_AUDITS)]
    assert [each.happened for each in done] == [[str(fault)] for fault in LOST_AUDITS]
    assert [each.ended[0] for each in done] == ["FAILED", "SUCCEEDED", "FAILED"]
    assert [sentence for each in done for sentence in each.violations] + audits.gate() == []


def test_the_check_sees_a_segment_that_an_audit_lost(audits):
    assert audits.run(Row(0, 1, ())).violations == []
    kept = Kept(audits.runner.session, audits.lineage)
    assert (kept.measured, list(whole(kept, "SUCCEEDED"))) == (list(SEGMENTS), [])
    kept.measured.pop()
    found = [sentence.partition(" are ")[0] for sentence in whole(kept, "SUCCEEDED")]
    assert found == ["segments film/2", "3 segments"]


def test_the_check_sees_an_attempt_without_an_end_and_dollars_without_a_payer(runner):
    lineage = "row-0"
    usage = artifacts.model_usage(lineage, "2026-01-01T00:00:00.000Z#07")
    runner.session.bucket.put_json(usage, {"llm_cost_usd": 3.0})
    found = violations(Stored(runner.session, lineage), Bill(1000.0, 0))
    assert "attempt 2026-01-01T00:00:00.000Z_07 has begun and has no record" in found
    assert any("1000.000000 were paid" in sentence for sentence in found)
    assert any("are on the records" in sentence for sentence in found)


DRAWN = {
    slots: [
        Site(f"{function}#0{slot}/1", call)
        for function in "abc"
        for slot in range(1, slots + 1)
        for call in ("", "s3/1")
    ]
    for slots in (1, 2)
}


def test_a_seed_gives_the_same_rows():
    assert (
        matrix(DRAWN, 20, 5, 2, seed=1) == matrix(DRAWN, 20, 5, 2, seed=1) != matrix(DRAWN, 20, 5, 2, seed=2)
    )


def test_a_call_that_only_some_runs_repeat_changes_few_rows():
    repeated = Site("b#02/1", "s3/2")
    before = matrix(DRAWN, 20, 40, 3, seed=1)
    after = matrix({1: DRAWN[1], 2: [*DRAWN[2], repeated]}, 20, 40, 3, seed=1)
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) < 15
    assert all(repeated in [fault.site for fault in row.faults] for row in changed)


def test_single_faults_visit_every_function_operation_and_kind_before_any_again():
    rows = matrix({1: [*DRAWN[1], Site("a#01/2", "s3/2")], 2: DRAWN[2]}, 36, 0, 0, seed=1)
    places = {(row.faults[0].site.step[0], row.faults[0].site.call, row.faults[0].kind) for row in rows}
    assert len(places) == len(rows) == 36


def test_pairs_and_crowds_are_mixed_among_the_single_faults_and_a_crowd_has_a_fault_in_each_attempt():
    rows = matrix(DRAWN, 8, 4, 2, seed=1)
    assert [row.number for row in rows] == list(range(14))
    assert [len(row.faults) for row in rows].count(2) == 4
    crowds = [row for row in rows if row.slots == 8]
    assert [{fault.site.step[1:4] for fault in row.faults} for row in crowds] == [
        {f"#{slot:02d}" for slot in range(1, 9)}
    ] * 2
    assert rows.index(crowds[0]) < 7 <= rows.index(crowds[1])
