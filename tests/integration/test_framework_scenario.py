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
from codec_evolution.candidate import sha256_hex
from codec_evolution.framework.modifications import Modification

from infra.commands.framework_calls import invoke, modifications_of
from infra.local.host import LocalHostFiles
from infra.local.session import LINEAGE, Session
from infra.local.synthesis import ROOT
from tests.integration.framework import modify, operator
from tests.support.measuring import measuring_session

SCRIPTED = Path(__file__).with_name("scripted_plan")
POLICY = "layers/common/python/codec_evolution/data/language_policy.toml"
WITHOUT = {"search": '"bool", "bytearray", "bytes",', "replace": '"bool", "bytes",'}
SEARCH = "layers/common/python/codec_evolution/planners/search.py"
CYCLE_TIMEOUT_S = 600


@pytest.fixture(scope="module")
def stack(tmp_path_factory, short_clips) -> Iterator[Session]:
    """The deployed app with the scripted planner, and a policy from which ``bytearray`` was taken."""
    with measuring_session(tmp_path_factory.mktemp("scenario"), {"SLOTS": "1"}) as session:
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


def recorded(session: Session, modification_id: str) -> Modification:
    """Return the item of a call that was made."""
    found = modifications_of(session).get(modification_id)
    assert found is not None
    return found


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
    repair = recorded(stack, story["repair"]["modification_id"])
    assert (repair.status, repair.rolled_back_by) == (
        "rolled_back",
        story["rollback"]["modification_id"],
    )


def test_the_rollback_is_a_commit_that_names_what_it_undoes(stack, story):
    undone = recorded(stack, story["rollback"]["modification_id"])
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


# --- changes of the deployed system -----------------------------------------------------------------

ALARM = {
    "name": "ManyTimeouts",
    "metric": "Failures",
    "dimension": "timeout",
    "statistic": "Sum",
    "comparison": "at_least",
    "threshold": 5,
    "period_minutes": 60,
    "periods": 2,
}


def ask(session: Session, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call a tool as the state machine does for a planner, and return the item of the history."""
    attempt = f"2000-01-01T00:00:00.000Z#{sha256_hex(f'{tool} {arguments}')[:12]}"
    request = {"tool": tool, "arguments": {**arguments, "reason": "Watch and tune"}}
    event = {"attempt_id": attempt, "round": 0, "request": request}
    answer = invoke(session, event)
    found = recorded(session, answer["modification_id"])
    assert found.status == answer["status"]
    return found.to_item()


def decide(session: Session, operation: str, item: dict[str, Any]) -> dict[str, Any]:
    return invoke(session, {"operation": operation, "modification_id": item["modification_id"]})


def ask_and_approve(session: Session, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the item of a call that waited for a person, who approved it."""
    waiting = ask(session, tool, arguments)
    assert (waiting["status"], waiting["rule"]) == ("pending_approval", "aws-change"), waiting
    done = decide(session, "approve", waiting)
    assert (done["status"], done["rule"]) == ("applied", "approved"), done["message"]
    assert done.get("value_before") == waiting.get("value_before")
    return done


def roll_back(session: Session, item: dict[str, Any]) -> None:
    undone = decide(session, "rollback", item)
    assert undone["status"] == "rolled_back", undone
    assert recorded(session, item["modification_id"]).status == "rolled_back"


def planners_alarms(session: Session) -> dict[str, dict[str, Any]]:
    client = session.deployment.client("cloudwatch")
    found = client.describe_alarms(AlarmNamePrefix="CodecEvolutionApp-Planner-")["MetricAlarms"]
    return {each["AlarmName"]: each for each in found}


def test_an_alarm_is_asked_for_approved_created_and_deleted_by_a_rollback(stack):
    done = ask_and_approve(stack, "create_alarm", ALARM)
    ((name, alarm),) = planners_alarms(stack).items()
    assert done["value"] == name
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Period"]) == ("CodecEvolution", "Failures", 3600)
    assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
        "Lineage": LINEAGE,
        "FailureKind": "timeout",
    }
    (other,) = stack.deployment.client("cloudwatch").describe_alarms(
        AlarmNames=["CodecEvolutionApp-IdenticalResults"]
    )["MetricAlarms"]
    assert alarm["AlarmActions"] == other["AlarmActions"] != []
    again = ask(stack, "create_alarm", ALARM | {"threshold": 6})
    assert (again["status"], again["rule"]) == ("failed", "alarm-exists")
    roll_back(stack, done)
    assert planners_alarms(stack) == {}


@pytest.mark.parametrize(
    ("key", "value", "before"),
    [
        ("function.CloseCycle.memory_mb", 512, "256"),
        ("function.CloseCycle.log_retention_days", 30, "90"),
        ("schedule.rate_minutes", 5, "1"),
        ("alarm.IdenticalResults.threshold", 9, None),
    ],
)
def test_a_setting_is_changed_after_approval_and_set_back_by_a_rollback(stack, key, value, before):
    done = ask_and_approve(stack, "modify_aws_config", {"key": key, "value": value})
    assert done["value"] == str(value)
    assert before is None or done["value_before"] == before
    # What is there now is what a second call finds.
    waiting = ask(stack, "modify_aws_config", {"key": key, "value": int(done["value_before"])})
    assert waiting["value_before"] == str(value)
    assert decide(stack, "deny", waiting)["status"] == "denied"
    roll_back(stack, done)
    again = ask(stack, "modify_aws_config", {"key": key, "value": value})
    assert again["status"] == "rolled_back", "the same call is answered from the history"


def test_a_changed_function_serves_the_same_code_with_another_size(stack):
    client, name = stack.deployment.client("lambda"), stack.deployment.functions["CloseCycle"]
    before = client.get_function_configuration(FunctionName=name, Qualifier="live")
    done = ask_and_approve(stack, "modify_aws_config", {"key": "function.CloseCycle.timeout_s", "value": 30})
    after = client.get_function_configuration(FunctionName=name, Qualifier="live")
    assert (after["Timeout"], after["CodeSha256"]) == (30, before["CodeSha256"])
    roll_back(stack, done)
    back = client.get_function_configuration(FunctionName=name, Qualifier="live")
    assert back["Timeout"] == before["Timeout"]


def test_what_the_emulator_lacks_is_refused_by_name_before_a_person_is_asked(stack):
    """It has no alarms by metric mathematics."""
    item = ask(stack, "modify_aws_config", {"key": "alarm.FailureRate.threshold", "value": 90})
    assert (item["status"], item["rule"]) == ("failed", "aws-absent")


def test_what_no_tool_may_change_is_refused_by_the_guard(stack):
    item = ask(stack, "modify_aws_config", {"key": "function.Conclude.memory_mb", "value": 512})
    assert (item["status"], item["rule"]) == ("denied", "config-never")
    item = ask(stack, "deploy_lambda_function", {"function_name": "FrameworkTool"})
    assert (item["status"], item["rule"]) == ("denied", "function-never")


def test_approved_code_of_one_function_is_deployed_and_taken_back(stack):
    client, name = stack.deployment.client("lambda"), stack.deployment.functions["Plan"]
    before = client.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    release = stack.control.state(LINEAGE).release
    amendment = modify(SEARCH, "append", "\nAMENDED = True\n")
    changed = decide(stack, "approve", operator(stack, "modify_framework_file", amendment, at="2000"))
    assert changed["status"] == "applied", changed["message"]
    done = ask_and_approve(stack, "deploy_lambda_function", {"function_name": "Plan"})
    live = client.get_function_configuration(FunctionName=name, Qualifier="live")
    assert (done["value_before"], done["value"]) == (before, live["Version"])
    assert live["Version"] != before
    assert live["Description"].startswith("amended code")
    assert stack.control.state(LINEAGE).release == release
    roll_back(stack, done)
    assert client.get_alias(FunctionName=name, Name="live")["FunctionVersion"] == before
