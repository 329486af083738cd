"""`codec-evolution smoke` against the running local stack: every check passes, and nothing of it stays."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

import infra.cli
from infra.commands.smoke_checks import CHECKS, NOT_SHOWN
from infra.local.session import LINEAGE, Session


@pytest.fixture(scope="module")
def report(session: Session) -> dict:
    before = session.control.state(LINEAGE)
    done = CliRunner().invoke(infra.cli.app, ["smoke", "--json", "--state-dir", str(session.state_dir)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return {**json.loads(done.stdout), "before": before}


def test_every_check_passes_and_what_only_aws_shows_is_named(report):
    assert report["status"] == "passed", report
    assert report["target"] == "local"
    states = {each["name"]: each["state"] for each in report["checks"]}
    skipped = {each.name for each in CHECKS if each.aws_only} | set(NOT_SHOWN)
    assert {name for name, state in states.items() if state == "skipped"} == skipped
    assert {name for name, state in states.items() if state == "passed"} == (
        {each.name for each in CHECKS} - skipped
    )


def test_what_it_did_is_taken_back(session, report):
    before, after = report["before"], session.control.state(LINEAGE)
    # A lineage that has run no cycle gets its first release by the restart, as its first cycle would give it.
    assert replace(after, release="") == replace(before, release="")
    assert before.release in ("", after.release)
    client = session.deployment.client("sqs")
    assert not [url for url in client.list_queues().get("QueueUrls", ()) if "smoke" in url]
    topics = session.deployment.client("sns").list_subscriptions()["Subscriptions"]
    assert not [each for each in topics if "smoke" in each["Endpoint"]]
    (schedule,) = session.deployment.client("scheduler").list_schedules()["Schedules"]
    assert schedule["State"] == "DISABLED"
