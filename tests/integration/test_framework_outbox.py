"""The way of a framework change to GitHub while GitHub is away: it stays due, nothing fails, and it arrives later."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from codec_evolution import artifacts
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.candidate import sha256_hex
from codec_evolution.framework import modifications as states

from infra.local.deploy import PLACEHOLDER_SECRET
from infra.local.github_standin import GithubStandin
from infra.local.synthesis import ROOT
from tests.support.lambda_context import CONTEXT

NOW = "2026-11-21T22:00:00.000Z"
PATH = "prompts/amended.md"
CONTENT = "An amended prompt.\n"


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GithubStandin]:
    """A GitHub of this test's own, which it may stop."""
    standin = GithubStandin(tmp_path / "github", token=json.loads(PLACEHOLDER_SECRET)["token"]).start()
    yield standin
    standin.stop()


@pytest.fixture
def commit(session, lineage, github, monkeypatch) -> Callable[[], dict[str, Any]]:
    """The handler of Commit with the deployed function's settings, but for GitHub's address."""
    name = session.deployment.functions["Commit"]
    deployed = session.deployment.client("lambda").get_function_configuration(FunctionName=name)
    for variable, value in deployed["Environment"]["Variables"].items():
        if not variable.startswith(("AWS_", "PYTHON", "LD_")):
            monkeypatch.setenv(variable, value)
    monkeypatch.setenv("GITHUB_API_URL", github.url)
    monkeypatch.setenv("GITHUB_REPOSITORY", github.repository)
    spec = importlib.util.spec_from_file_location("commit_handler", ROOT / "functions/commit/handler.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda: module.lambda_handler({"lineage": lineage}, CONTEXT)


@pytest.fixture
def table(session) -> FrameworkModifications:
    return FrameworkModifications(session.deployment.framework_modifications_table)


def apply(session, table: FrameworkModifications) -> str:
    """Record a change as the tool service does when the host has applied it."""
    identifier = f"{NOW}#{uuid.uuid4()}"
    arguments = {"file_path": PATH}
    item = states.requested(
        identifier, tool="modify_framework_file", arguments=arguments, reason="r", now=NOW
    )
    change = {"path": PATH, "content": CONTENT, "sha256": sha256_hex(CONTENT), "mode": "0644"}
    session.bucket.put_json(artifacts.modification(identifier, "result.json"), {"changed": [change]})
    table.put_once(item)
    table.move(identifier, states.REQUESTED, states.RUNNING, states.Facts())
    entry = states.OutboxEntry(identifier, NOW)
    table.move(identifier, states.RUNNING, states.APPLIED, states.Facts(applied_at=NOW), entry)
    return identifier


def due(table: FrameworkModifications) -> list[str]:
    return [entry.modification_id for entry in table.due(1000)]


def test_a_change_outlives_github_being_away(session, table, commit, github):
    while due(table):
        assert commit()["waiting"] == "", "what other tests left in the outbox goes first"
    identifier = apply(session, table)
    github.stop()
    try:
        away = commit()
    finally:
        github.start()
    assert away["waiting"].startswith("github_away")
    assert identifier in due(table)
    item = table.get(identifier).to_item()
    assert item["status"] == states.APPLIED and "commit" not in item

    assert commit()["waiting"] == ""
    assert identifier not in due(table)
    item = table.get(identifier).to_item()
    assert item["github_committed"] is True
    command = ["git", "--git-dir", str(github.git_dir), "show", f"self-improved-framework:{PATH}"]
    assert subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout == CONTENT
    log = ["git", "--git-dir", str(github.git_dir), "rev-list", "self-improved-framework"]
    commits = subprocess.run(log, check=True, capture_output=True, text=True, timeout=30).stdout.split()
    assert commits.count(item["commit"]) == 1
