"""The console queries of infra/README.md, run against the real tables as a person would run them."""

from __future__ import annotations

import pytest
from codec_evolution.record import Attempt

from tests.integration.queries import console_queries, query_parameters
from tests.integration.support import adopted_record

QUERIES = console_queries()


@pytest.fixture(scope="module")
def filled(session):
    """A lineage with four versions, failures, spending and a modification that waits."""
    lineage, control = "queries", session.control
    for version in range(4):
        parent = version - 1 if version else None
        record = adopted_record(lineage, version, bitrate_mbps=12.0 - 3 * version, parent_version=parent)
        control.adopt(record, control.state(lineage))
    for slot, kind in enumerate(["timeout", "policy", "timeout"]):
        session.record.put_once(
            Attempt.from_item(
                {
                    "lineage": lineage,
                    "attempt_id": f"2026-11-{20 + slot // 2}T22:00:00.000Z#0{slot}",
                    "status": "test_failed",
                    "failure_kind": kind,
                    "failure_stage": "measure",
                    "reason": f"{kind}: x",
                }
            )
        )
    session.record.put_once(
        Attempt(lineage=lineage, attempt_id="2026-11-21T22:00:00.000Z#00", status="skipped", reason="x")
    )
    for day, dollars in (("2026-11-20", 1.5), ("2026-11-21", 2.5)):
        control.count(lineage, day, "spent_usd", dollars, 100)
    table = session.deployment.resource("dynamodb").Table(session.deployment.framework_modifications_table)
    for number, status in enumerate(["applied", "pending_approval"]):
        table.put_item(
            Item={
                "host": "orchestrator",
                "modification_id": f"2026-11-21T22:00:00.000Z#00#tool{number}",
                "status": status,
                "tool": "modify_framework_file",
                "file": "x.py",
                "tier": "code",
                "summary": "x",
            }
        )
    return lineage


def ask(session, filled: str, name: str) -> list[dict]:
    """Run a query with this deployment's table names and this test's lineage."""
    client, text = session.deployment.client("dynamodb"), QUERIES[name]
    tables = {
        "EvolutionRecord": session.deployment.evolution_record_table,
        "LoopControl": session.deployment.loop_control_table,
        "FrameworkModifications": session.deployment.framework_modifications_table,
    }
    if text.startswith("SELECT"):
        statement = text.replace("lineage = 'main'", f"lineage = '{filled}'")
        for table, physical in tables.items():
            statement = statement.replace(f'"{table}"', f'"{physical}"')
        items = client.execute_statement(Statement=statement)["Items"]
    else:
        parameters = query_parameters(text.replace('"main"', f'"{filled}"'))
        items = client.query(**parameters | {"TableName": tables[parameters["TableName"]]})["Items"]
    return [{name: next(iter(value.values())) for name, value in item.items()} for item in items]


def test_the_readme_has_the_queries_that_a_person_needs():
    assert set(QUERIES) == {
        "Latest adopted versions",
        "Best by bitrate",
        "Failures of one kind today",
        "The lineage of a version down to version 0",
        "Everything about one attempt",
        "Cost by day",
        "Modifications that wait for approval",
        "What the loop does at the moment",
    }


def test_every_query_names_the_whole_partition_key():
    for name, text in QUERIES.items():
        if text.startswith("SELECT"):
            assert "WHERE lineage = 'main'" in text, name
        else:
            equal = query_parameters(text)["KeyConditionExpression"].count(" = ")
            assert equal == 2, f"{name}: the index by_status has two partition attributes"


def test_latest_adopted_versions(session, filled):
    found = ask(session, filled, "Latest adopted versions")
    assert sorted(each["adopted_version"] for each in found) == ["0", "1", "2", "3"]


def test_best_by_bitrate(session, filled):
    found = ask(session, filled, "Best by bitrate")
    assert sorted(float(each["bitrate_mbps"]) for each in found) == [3.0, 6.0, 9.0]


def test_failures_of_one_kind_today(session, filled):
    found = ask(session, filled, "Failures of one kind today")
    assert [each["attempt_id"] for each in found] == ["2026-11-21T22:00:00.000Z#02"]


def test_the_lineage_of_a_version(session, filled):
    found = ask(session, filled, "The lineage of a version down to version 0")
    assert ("3", "2") in {(each["adopted_version"], each.get("parent_version")) for each in found}
    assert len(found) == 4


def test_everything_about_one_attempt(session, filled):
    (found,) = ask(session, filled, "Everything about one attempt")
    assert found["status"] == "skipped"


def test_cost_by_day(session, filled):
    found = ask(session, filled, "Cost by day")
    spent = {each["item"]: float(each["spent_usd"]) for each in found}
    assert spent == {"spend#2026-11-21": 2.5, "spend#2026-11-20": 1.5}


def test_modifications_that_wait(session, filled):
    found = ask(session, filled, "Modifications that wait for approval")
    waiting = {each["modification_id"] for each in found}
    assert "2026-11-21T22:00:00.000Z#00#tool1" in waiting
    assert "2026-11-21T22:00:00.000Z#00#tool0" not in waiting


def test_what_the_loop_does(session, filled):
    (found,) = ask(session, filled, "What the loop does at the moment")
    assert found["version"] == "3"
