"""The framework heals itself, and cannot hurt itself: the seed's worked example on the real state machine.

The language policy starts without ``bytearray``. A candidate fails with the precise message; a scripted planner
amends it and restarts the orchestrator; the next candidate runs; a rollback brings policy and failure back.
"""

from __future__ import annotations

import io
import json
import subprocess
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.commands.framework_calls import invoke, modifications_of
from infra.local.host import LocalHostFiles
from infra.local.session import LINEAGE, Session, open_session
from infra.local.synthesis import ROOT
from tests.integration.framework import modify, operator

SCRIPTED = Path(__file__).with_name("scripted_plan")
POLICY = "layers/common/python/codec_evolution/data/language_policy.toml"
WITHOUT = {"search": '"bool", "bytearray", "bytes",', "replace": '"bool", "bytes",'}
CYCLE_TIMEOUT_S = 600


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Session]:
    """The deployed app with the scripted planner, and a policy from which ``bytearray`` was taken."""
    with open_session(tmp_path_factory.mktemp("scenario"), {"SLOTS": "1"}, lambda text: None) as session:
        script_planner(session)
        answers = [
            operator(session, "modify_framework_file", modify(POLICY, "search_replace", WITHOUT), at="2000"),
            operator(session, "restart_orchestrator", {}, at="2000"),
        ]
        assert [answer["status"] for answer in answers] == ["applied", "applied"], answers
        yield session


@pytest.fixture(scope="module")
def story(stack) -> dict[str, Any]:
    """Three cycles, a rollback, and a fourth."""
    told: dict[str, Any] = {"release_before": stack.control.state(LINEAGE).release}
    told["failing"] = run_cycle(stack)
    told["repairing"] = run_cycle(stack)
    told["release_after"] = stack.control.state(LINEAGE).release
    told["policy_after"] = policy(stack)
    told["running"] = run_cycle(stack)
    told["repair"] = planners_calls(stack)["modify_framework_file"]
    told["rollback"] = invoke(
        stack, {"operation": "rollback", "modification_id": told["repair"]["modification_id"]}
    )
    told["release_back"] = stack.control.state(LINEAGE).release
    told["failing_again"] = run_cycle(stack)
    return told


def script_planner(session: Session) -> None:
    """Publish a Plan whose package starts the scripted handler, as publishing amended code does."""
    client, name = session.deployment.client("lambda"), session.deployment.functions["Plan"]
    location = client.get_function(FunctionName=name)["Code"]["Location"]
    with urllib.request.urlopen(location, timeout=30) as answer:
        bootstrap = zipfile.ZipFile(io.BytesIO(answer.read())).read("bootstrap").decode()
    assert str(ROOT / "functions/plan") in bootstrap
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, bootstrap.replace(str(ROOT / "functions/plan"), str(SCRIPTED)))
    client.update_function_code(FunctionName=name, ZipFile=package.getvalue())
    version = client.publish_version(FunctionName=name)["Version"]
    client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)


def run_cycle(session: Session) -> dict[str, Any]:
    """Run one cycle of the state machine and return the record of its attempt."""
    client = session.deployment.client("stepfunctions")
    execution = client.start_execution(
        stateMachineArn=session.deployment.state_machine_arn,
        input=json.dumps(session.deployment.schedule_input),
    )["executionArn"]
    deadline = time.monotonic() + CYCLE_TIMEOUT_S
    while client.describe_execution(executionArn=execution)["status"] == "RUNNING":
        assert time.monotonic() < deadline, "the cycle did not end"
        time.sleep(0.3)
    found = client.describe_execution(executionArn=execution)
    assert found["status"] == "SUCCEEDED", found.get("cause")
    return session.record.latest(LINEAGE, 1)[0].to_item()


def planners_calls(session: Session) -> dict[str, dict[str, Any]]:
    calls = [each for each in modifications_of(session).latest(50) if each.attempt_id]
    return {each.tool: each.to_item() for each in calls}


def policy(session: Session) -> str:
    return (LocalHostFiles.of(session.state_dir).checkout / POLICY).read_text("utf-8")


def git(session: Session, *arguments: str) -> str:
    command = ["git", "--git-dir", str(session.git_dir), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


# --- the light side ---------------------------------------------------------------------------------


def test_the_candidate_fails_with_the_precise_message(story):
    record = story["failing"]
    assert (record["status"], record["failure_stage"], record["failure_kind"]) == (
        "test_failed",
        "validate",
        "policy",
    )
    assert "bytearray" in record["failure_message"]
    assert record["failure_line"] > 100
    assert record["release"] == story["release_before"]


def test_the_planner_amends_the_policy_and_the_release_moves(story):
    assert (story["repairing"]["status"], story["repairing"]["reason"][:9]) == ("skipped", "repaired:")
    assert '"bytearray"' in story["policy_after"]
    assert story["release_after"] != story["release_before"]


def test_the_repair_is_backed_up_recorded_and_tested(stack, story):
    repair = story["repair"]
    assert (repair["status"], repair["tier"], repair["file"]) == ("applied", "data", POLICY)
    assert repair["attempt_id"] == story["repairing"]["attempt_id"]
    assert '+    "Warning", "ZeroDivisionError"' in repair["diff"] or '"bytearray"' in repair["diff"]
    backups = LocalHostFiles.of(stack.state_dir).folder / "state/backups"
    assert list(backups.rglob(f"{repair['backup']}.content"))
    result = stack.bucket.get_json(f"modifications/{repair['modification_id'].replace('#', '_')}/result.json")
    assert result["output"]["exit_code"] == 0


def test_the_restart_names_the_releases(stack, story):
    restart = planners_calls(stack)["restart_orchestrator"]
    assert restart["status"] == "applied"
    assert (restart["release_before"], restart["release"]) == (
        story["release_before"],
        story["release_after"],
    )
    name = f"releases/{story['release_after']}/language_policy.toml"
    assert stack.bucket.get_text(name) == story["policy_after"]


def test_the_repair_is_a_commit_on_the_branch_for_a_person_to_review(stack, story):
    repair = story["repair"]
    assert repair["github_committed"] is True
    message = git(stack, "show", "--no-patch", "--format=%B", repair["commit"])
    assert message.startswith(
        "LLM: Add bytearray to sandbox builtins for binary data manipulation in compression\n"
    )
    for line in (f"File: {POLICY}", "Agent: AI Video Codec Autonomous Framework Modifier", "Timestamp: "):
        assert line in message
    assert git(stack, "show", f"{repair['commit']}:{POLICY}") == story["policy_after"]
    assert repair["commit"] in git(stack, "rev-list", "self-improved-framework")
    (pull,) = (stack.state_dir / "github/pulls").glob("*.json")
    text = json.loads(pull.read_text())
    assert text["head"] == "self-improved-framework"
    assert repair["modification_id"].replace("#0", "# 0") in text["body"]


def test_the_next_cycles_candidate_runs(story):
    record = story["running"]
    assert (record["status"], record["release"]) == ("rejected", story["release_after"])
    assert record["bitrate_mbps"] > 0


def test_the_rollback_brings_the_old_policy_and_the_failure_back(stack, story):
    assert story["rollback"]["status"] == "applied", story["rollback"]
    assert story["release_back"] == story["release_before"]
    assert '"bytearray"' not in policy(stack)
    assert story["failing_again"]["status"] == "test_failed"
    assert "bytearray" in story["failing_again"]["failure_message"]
    repair = modifications_of(stack).get(story["repair"]["modification_id"])
    assert (repair.status, repair.rolled_back_by) == (
        "rolled_back",
        story["rollback"]["modification_id"],
    )


def test_the_rollback_is_a_commit_that_names_what_it_undoes(stack, story):
    undone = modifications_of(stack).get(story["rollback"]["modification_id"])
    message = git(stack, "show", "--no-patch", "--format=%B", undone.commit)
    assert f"Rolls-Back: {story['repair']['modification_id']}" in message
    assert '"bytearray"' not in git(stack, "show", f"self-improved-framework:{POLICY}")


def test_the_users_own_checkout_was_never_edited(story):
    assert '"bytearray"' in (ROOT / POLICY).read_text("utf-8")


# --- the dark side ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        (
            "above the ceiling",
            {"search": '"bool", "bytes",', "replace": '"bool", "eval", "bytes",'},
            "quick-tests",
        ),
        ("not TOML", {"search": "[modules]", "replace": "[modules"}, "file-syntax"),
        (
            "a policy under which nothing can be written",
            {"search": "[modules]", "replace": "[modul]"},
            "quick-tests",
        ),
    ],
)
def test_a_change_that_breaks_the_framework_never_stays(stack, story, name, content, rule):
    before, live = policy(stack), stack.control.state(LINEAGE).release
    item = operator(stack, "modify_framework_file", modify(POLICY, "search_replace", content), at="2000")
    assert (item["status"], item["rule"]) == ("failed", rule), item["message"]
    assert policy(stack) == before
    assert stack.control.state(LINEAGE).release == live


def test_a_prompt_that_would_break_the_next_attempt_never_stays(stack, story):
    """The name is mistyped in a branch that is taken only now and then."""
    prompt = LocalHostFiles.of(stack.state_dir).checkout / "prompts/governance.md"
    before = prompt.read_text("utf-8")
    broken = {"search": "{% elif framework_advised %}", "replace": "{% elif framework_adviced %}"}
    edit = modify("prompts/governance.md", "search_replace", broken)
    item = operator(stack, "modify_framework_file", edit, at="2000")
    assert (item["status"], item["rule"]) == ("failed", "quick-tests"), item["message"]
    assert "framework_adviced" in item["message"]
    assert prompt.read_text("utf-8") == before


def test_a_change_that_breaks_version_0_never_goes_live_and_is_undone_by_its_id(stack, story):
    live = stack.control.state(LINEAGE).release
    content = {"search": '"flatnonzero",', "replace": ""}
    change = operator(stack, "modify_framework_file", modify(POLICY, "search_replace", content), at="2000")
    assert change["status"] == "applied", change["message"]
    restart = operator(stack, "restart_orchestrator", {}, at="2000")
    assert (restart["status"], restart["rule"]) == ("failed", "release")
    assert "flatnonzero" in restart["message"]
    assert stack.control.state(LINEAGE).release == live
    undone = invoke(stack, {"operation": "rollback", "modification_id": change["modification_id"]})
    assert undone["status"] == "applied"
    assert '"flatnonzero"' in policy(stack)
