"""The operator's commands with ``--target aws``: the stacks' outputs alone lead to what they need, as on AWS."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from codec_evolution import artifacts
from typer.testing import CliRunner, Result

import infra.cli
from infra.commands import reach
from infra.commands.stacks import stack_outputs
from infra.errors import UserError
from tests.integration.support import adopted_record

PROMPT = "prompts/cycle.md"
GUARDED = "pyproject.toml"
COMMANDS = (
    ("history",),
    ("modifications",),
    ("tools",),
    ("cost",),
    ("approve", "x"),
    ("deny", "x"),
    ("rollback", "x"),
    ("tool", "run_shell_command"),
    ("lineage", "0"),
    ("diff", "0", "0"),
    ("export",),
    ("pause",),
    ("resume",),
    ("dashboard",),
)
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


def run(*arguments: str) -> Result:
    """Run one command; an error that a user can mend stays an exception, which a test looks at."""
    done = CliRunner().invoke(infra.cli.app, list(arguments))
    if done.exception and not isinstance(done.exception, UserError | SystemExit):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def aws(session) -> Callable[..., Result]:
    """Run a command against the deployed stacks; the state directory is one that holds nothing."""

    def invoke(*arguments: str) -> Result:
        return run(*arguments, "--target", "aws", "--state-dir", os.devnull)

    return invoke


@pytest.fixture(scope="module")
def here(session) -> Callable[..., Result]:
    """Run the same command against the local evolution."""

    def invoke(*arguments: str) -> Result:
        return run(*arguments, "--state-dir", str(session.state_dir))

    return invoke


@pytest.fixture(scope="module")
def versions(session) -> str:
    """A lineage of two versions with what they cost."""
    lineage = "on-aws"
    for version in range(2):
        record = adopted_record(
            lineage,
            version,
            parent_version=version - 1 if version else None,
            llm_cost_usd=0.25,
            llm_calls=2,
            model="claude-opus-5-5",
            hypothesis="[b]x[/b]",
        )
        session.bucket.put_text(artifacts.source(record.source_sha256), f"QUALITY = {version}\n")
        session.control.adopt(record, session.control.state(lineage))
    return lineage


@pytest.fixture(scope="module")
def denied(aws) -> dict[str, Any]:
    """A call that waited for a person, was made through the deployed stack, and was denied there.

    Before it, the guard denied a change of a file.
    """
    change = {"file_path": GUARDED, "modification_type": "append", "content": "\n# Nobody asked for this.\n"}
    refused = call(aws, "modify_framework_file", change)
    assert refused["status"] == "denied", refused
    asked = call(aws, "run_shell_command", {"command": "ls prompts"})
    assert asked["status"] == "pending_approval", asked
    done = aws("deny", asked["modification_id"], "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def call(where: Callable[..., Result], tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    done = where("tool", tool, "--args", json.dumps(arguments), "--json")
    return json.loads(done.stdout)


@pytest.mark.parametrize("form", ["--json", ""])
@pytest.mark.parametrize(
    "command",
    [
        ("history", "--status", "adopted"),
        ("cost",),
        ("lineage", "1"),
        ("diff", "0", "1"),
        ("modifications",),
        ("modifications", "--status", "denied"),
        ("modifications", "--file", GUARDED),
        ("tools",),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("denied")
def test_a_command_says_the_same_in_both_places(aws, here, versions, command, form):
    of = () if command[0] in ("modifications", "tools") else ("--lineage", versions)
    told = [where(*command, *of, *([form] if form else [])) for where in (aws, here)]
    assert [each.exit_code for each in told] == [0, 0]
    assert told[0].stdout == told[1].stdout
    assert len(told[0].stdout) > 30


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_is_the_same_in_both_places(aws, here, versions, form):
    told = [where("export", "--format", form, "--lineage", versions).stdout for where in (aws, here)]
    assert told[0] == told[1]
    assert len(told[0].splitlines()) == (2 if form == "jsonl" else 3)


def test_the_lineage_is_the_deployments_own_where_none_is_named(aws):
    assert json.loads(aws("history", "--json").stdout)["lineage"] == "main"
    assert json.loads(aws("cost", "--json").stdout)["lineage"] == "main"


def test_a_denied_call_is_denied_once_and_for_all(aws, denied):
    assert (denied["status"], denied["rule"]) == ("denied", "person")
    again = aws("deny", denied["modification_id"], "--json")
    assert json.loads(again.stdout) == denied
    with pytest.raises(UserError, match="only a waiting call can be approved"):
        raise aws("approve", denied["modification_id"]).exception


def test_an_approved_call_is_carried_out_by_the_deployed_function_once(aws):
    asked = call(aws, "run_shell_command", {"command": "ls prompts"})
    done = aws("approve", asked["modification_id"], "--json")
    assert done.exit_code == 0, done.output
    item = json.loads(done.stdout)
    assert item["status"] == "applied" and item["approved_at"]
    again = json.loads(aws("approve", asked["modification_id"], "--json").stdout)
    assert again["finished_at"] == item["finished_at"], "not done a second time"


def test_an_applied_change_is_rolled_back_in_the_words_of_the_local_command(aws, here):
    change = {"file_path": PROMPT, "modification_type": "append", "content": "\nNobody wants this line.\n"}
    applied = call(aws, "modify_framework_file", change)
    assert applied["status"] == "applied", applied
    done = aws("rollback", applied["modification_id"])
    assert done.exit_code == 0, done.output
    assert f"modification_id: {applied['modification_id']}#undo0" in done.stdout.replace("\n", "")
    listed = json.loads(here("modifications", "--status", "rolled_back", "--json").stdout)
    assert applied["modification_id"] in {each["modification_id"] for each in listed["modifications"]}


def test_pause_and_resume_switch_the_schedule_too(aws, session):
    scheduler = session.deployment.client("scheduler")

    def state() -> str:
        return scheduler.get_schedule(Name=stack_outputs("CodecEvolutionApp")["ScheduleName"])["State"]

    assert state() == "DISABLED", "as it is deployed"
    resumed = json.loads(aws("resume", "--lineage", "on-aws", "--json").stdout)
    enabled = state()
    paused = json.loads(aws("pause", "--lineage", "on-aws", "--json").stdout)
    assert (enabled, state()) == ("ENABLED", "DISABLED")
    assert resumed["message"].endswith("a cycle starts every minute.") and paused["paused"] is True


def test_a_function_that_does_not_answer_leaves_no_doubt_what_to_do(aws, monkeypatch):
    monkeypatch.setattr(reach, "CALL_TIMEOUT_S", 0.001)
    with pytest.raises(UserError, match="may still be going on: look at codec-evolution modifications"):
        raise aws("deny", "nobody").exception


def test_what_does_not_exist_is_one_sentence(aws):
    for command in ("approve", "deny", "rollback"):
        with pytest.raises(UserError, match="there is no modification nobody"):
            raise aws(command, "nobody").exception


# --- where AWS is not reached ----------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_a_region_every_command_says_how_to_set_one(aws, monkeypatch, tmp_path, command):
    for name in (*REGIONS, "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UserError, match="no AWS region is set: set AWS_DEFAULT_REGION"):
        raise aws(*command).exception


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_credentials_every_command_says_so(aws, monkeypatch, tmp_path, command):
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UserError, match="no AWS credentials were found"):
        raise aws(*command).exception


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_a_stack_every_command_says_to_deploy(aws, monkeypatch, command):
    monkeypatch.setattr(reach, "DATA_STACK", "NobodyDeployedThis")
    with pytest.raises(UserError, match=r"there is no stack NobodyDeployedThis in .*: make deploy first"):
        raise aws(*command).exception


def test_an_output_of_a_newer_version_asks_for_a_deployment(aws, monkeypatch):
    def older(stack: str) -> dict[str, str]:
        return {name: text for name, text in stack_outputs(stack).items() if name != "FrameworkToolFunction"}

    monkeypatch.setattr(reach, "stack_outputs", older)
    with pytest.raises(UserError, match="no output FrameworkToolFunction: deploy this version first"):
        raise aws("history").exception


def test_what_aws_refuses_later_is_one_sentence_too(aws, monkeypatch):
    def elsewhere(stack: str) -> dict[str, str]:
        return {**stack_outputs(stack), "EvolutionRecordTable": "AnotherTable"}

    monkeypatch.setattr(reach, "stack_outputs", elsewhere)
    with pytest.raises(UserError, match=r"AWS refused or did not answer: .*ResourceNotFound"):
        raise aws("history").exception


def test_the_command_line_ends_with_status_2_and_no_traceback(aws, monkeypatch, capsys):
    monkeypatch.setattr(reach, "DATA_STACK", "NobodyDeployedThis")
    monkeypatch.setattr("sys.argv", ["codec-evolution", "approve", "x", "--target", "aws"])
    with pytest.raises(SystemExit) as ended:
        infra.cli.main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("codec-evolution: there is no stack") and "Traceback" not in told
