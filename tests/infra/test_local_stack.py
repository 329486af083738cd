"""The real state machine on the real emulator, with handlers that act out what may happen to a slot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.errors import UserError
from infra.local.deploy import PLACEHOLDER_SECRET, LocalDeployment, deploy, emulator_client
from infra.local.emulator import Emulator
from infra.local.synthesis import ROOT

STUBS = Path(__file__).with_name("stubs")
PYTHON = Path(sys.executable)
FOLDERS = ("open_cycle", "plan", "framework_tool", "conclude", "commit", "close_cycle")
EXECUTION_TIMEOUT_S = 180


@pytest.fixture(scope="session")
def emulator_python() -> Path:
    """Interpreter of the emulator's environment; a missing one fails, because nothing replaces this test."""
    return Path(os.environ.get("EMULATOR_PYTHON", ROOT / ".emulator/bin/python"))


@pytest.fixture(scope="session")
def stub_assembly(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _acted(assembly, tmp_path_factory.mktemp("stubs"))


def _acted(assembly: Path, target: Path) -> Path:
    """Return the synthesised app with the code of each function replaced by the stub that plays its part."""
    target.mkdir(exist_ok=True)
    for source in assembly.glob("*.json"):
        text = source.read_text()
        if source.name == "CodecEvolutionApp.assets.json":
            for folder in FOLDERS:
                text = text.replace(f'"{ROOT}/functions/{folder}"', f'"{_stub(target, folder)}"')
            text = text.replace(f'"{ROOT}/sandbox_container"', f'"{_stub(target, "benchmark")}"')
        (target / source.name).write_text(text)
    return target


def _stub(target: Path, name: str) -> Path:
    folder = target / name
    folder.mkdir()
    (folder / "handler.py").write_text((STUBS / "actors.py").read_text() + f"\nlambda_handler = {name}\n")
    (folder / "Dockerfile").write_text('CMD ["handler.lambda_handler"]\n')
    return folder


@pytest.fixture(scope="session")
def emulator(emulator_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("state"), python=emulator_python, wait_scale=0.02) as running:
        yield running


@pytest.fixture(scope="session")
def deployment(emulator: Emulator, stub_assembly: Path) -> LocalDeployment:
    return deploy(emulator.endpoint, stub_assembly, python=PYTHON, environment={"PLANNER": "search"})


def run(deployment: LocalDeployment, **given: Any) -> dict[str, Any]:
    machine = deployment.client("stepfunctions")
    started = machine.start_execution(
        stateMachineArn=deployment.state_machine_arn, input=json.dumps({**deployment.schedule_input, **given})
    )
    deadline = time.monotonic() + EXECUTION_TIMEOUT_S
    while time.monotonic() < deadline:
        found = machine.describe_execution(executionArn=started["executionArn"])
        if found["status"] != "RUNNING":
            return found
        time.sleep(0.1)
    raise AssertionError("the execution did not end")


@pytest.fixture(scope="session")
def cycle(deployment: LocalDeployment) -> dict[str, Any]:
    """One execution in which every slot meets another fate, in the second of two passes."""
    fates = [
        "adopted", "worse", "tools", "nothing", "endless", "kills", "kills_confirm", "broken_sandbox",
        "plan_raises", "draft_kills", "conclude_raises",
    ]  # fmt: skip
    found = run(deployment, fates=fates, preparations=1)
    assert found["status"] == "SUCCEEDED", found.get("cause")
    return json.loads(found["output"])


def concluded(cycle: dict[str, Any], fate: str) -> dict[str, Any]:
    """What Conclude was told about a slot; the stub answers with it as the status."""
    (found,) = [each for each in cycle["concluded"] if each["attempt_id"].endswith(f"#{fate}")]
    return json.loads(found["status"])


def test_a_preparing_pass_is_followed_by_the_slots_of_the_same_cycle(cycle: dict[str, Any]) -> None:
    assert cycle["go"] is True
    assert cycle["passes"] == 2
    assert cycle["cycle_id"] == "2026-01-01T00:00:00Z"
    assert [each["attempt_id"].split("#")[1] for each in cycle["concluded"]][:2] == ["preparation", "adopted"]
    assert cycle["committed"] == ["main", "main"]
    assert cycle["waiting"] == ""


def test_a_promising_candidate_is_confirmed_on_held_out_clips_once(cycle: dict[str, Any]) -> None:
    told = concluded(cycle, "adopted")
    assert told["measure"]["split"] == "train"
    assert told["confirm"]["split"] == "held_out"
    assert told["measure"]["stages"] == ["validate", "smoke", "screen"], (
        "windows have invocations of their own"
    )
    assert told["fault"] is None


def test_a_candidate_that_is_not_better_is_not_confirmed(cycle: dict[str, Any]) -> None:
    told = concluded(cycle, "worse")
    assert told["measure"] is not None
    assert told["confirm"] is None


def test_tools_and_drafts_answer_the_planner_and_their_costs_add_up(cycle: dict[str, Any]) -> None:
    told = concluded(cycle, "tools")
    assert told["plan"]["cost_usd"] == pytest.approx(0.3)
    assert told["plan"]["elapsed_s"] == pytest.approx(3)
    assert told["measure"]["envelope"]["answers"] == ["tool 0", "draft"]


def test_a_planner_with_nothing_says_why(cycle: dict[str, Any]) -> None:
    told = concluded(cycle, "nothing")
    assert told["plan"]["reason"] == "no idea"
    assert told["measure"] is None


def test_a_planner_that_never_ends_is_stopped_after_five_rounds(cycle: dict[str, Any]) -> None:
    told = concluded(cycle, "endless")
    assert told["plan"]["reason"] == "the planner handed in no candidate within 5 rounds"
    assert told["plan"]["cost_usd"] == pytest.approx(0.6), "rounds 0 to 5"


@pytest.mark.parametrize(("fate", "stage"), [("kills", "measure"), ("kills_confirm", "confirm")])
def test_a_candidate_that_kills_the_sandbox_twice_is_at_fault_where_version_0_lives(
    cycle: dict[str, Any], fate: str, stage: str
) -> None:
    assert concluded(cycle, fate)["fault"] == {"kind": "killed_sandbox", "stage": stage}


def test_a_sandbox_in_which_version_0_fails_too_is_at_fault_itself(cycle: dict[str, Any]) -> None:
    fault = concluded(cycle, "broken_sandbox")["fault"]
    assert fault == {
        "kind": "infrastructure",
        "error": "ControlFailed",
        "cause": "version 0 failed in the sandbox too, during measure",
    }


def test_an_exception_of_a_function_abandons_the_attempt_with_its_name(cycle: dict[str, Any]) -> None:
    fault = concluded(cycle, "plan_raises")["fault"]
    assert (fault["kind"], fault["error"]) == ("infrastructure", "PlannerBroke")
    assert "out of ideas" in fault["cause"]
    assert len(fault["cause"]) <= 500


def test_a_draft_that_kills_the_sandbox_is_feedback(cycle: dict[str, Any]) -> None:
    told = concluded(cycle, "draft_kills")
    assert told["plan"]["reason"] == "The sandbox ended without an answer: Runtime.ExitError"
    assert told["fault"] is None


def test_an_attempt_that_cannot_be_concluded_is_left_to_the_next_cycle(cycle: dict[str, Any]) -> None:
    (found,) = [each for each in cycle["concluded"] if each["attempt_id"].endswith("#conclude_raises")]
    assert found["status"] == "unrecorded"


def test_functions_act_with_their_own_roles(deployment: LocalDeployment) -> None:
    found = run(deployment, fates=["trespasses", "sandbox_trespasses"])
    output = json.loads(found["output"])
    tried = json.loads(concluded(output, "trespasses")["plan"]["reason"])
    allowed = {what for what, answer in tried.items() if answer == "ok"}
    assert allowed == {"write own artifact", "read own artifact", "read record", "read own secret"}
    assert {tried[what] for what in set(tried) - allowed} == {"AccessDenied", "AccessDeniedException"}
    sandbox = concluded(output, "sandbox_trespasses")["measure"]
    assert (sandbox["dynamodb"], sandbox["s3"]) == ("AccessDeniedException", "AccessDenied")


def test_open_cycle_may_ask_after_executions_of_its_own_machine_only(deployment: LocalDeployment) -> None:
    found = run(deployment, describe_itself=True)
    assert json.loads(found["output"])["reason"] == ["ok", "AccessDeniedException"]


def test_a_refused_cycle_ends_with_the_reason(deployment: LocalDeployment) -> None:
    found = run(deployment, refuse="paused")
    assert found["status"] == "SUCCEEDED"
    assert json.loads(found["output"]) == {"go": False, "reason": "paused"}


def test_a_cycle_that_is_refused_after_its_preparation_is_still_closed(deployment: LocalDeployment) -> None:
    found = run(deployment, fates=[], preparations=1, refuse_pass=1)
    output = json.loads(found["output"])
    assert (output["go"], output["passes"]) == (True, 2)


def test_a_failing_commit_does_not_stop_the_cycle(deployment: LocalDeployment) -> None:
    found = run(deployment, fates=["nothing"], lineage="commit-raises")
    output = json.loads(found["output"])
    assert (output["committed"], output["waiting"]) == ([], "commit_failed: ValueError")
    assert len(output["concluded"]) == 1


def test_why_github_refused_is_in_the_output_of_the_cycle(deployment: LocalDeployment) -> None:
    output = json.loads(run(deployment, fates=["nothing"], lineage="unwelcome")["output"])
    assert (output["committed"], output["waiting"]) == ([], "github_refused: no write access")


def test_a_cycle_that_cannot_open_fails_visibly(deployment: LocalDeployment) -> None:
    found = run(deployment, raise_in_open="boom")
    assert (found["status"], found["error"]) == ("FAILED", "RuntimeError")


def test_sixty_slots_run_as_one_cycle(
    emulator: Emulator, crowd_assembly: Path, deployment: LocalDeployment, tmp_path: Path
) -> None:
    """The definition of a Distributed Map with the settings of sixty slots, run inline."""
    crowd = deploy(emulator.endpoint, _acted(crowd_assembly, tmp_path / "crowd"), python=PYTHON)
    found = run(crowd, fates=["nothing"] * 58 + ["plan_raises", "conclude_raises"])
    output = json.loads(found["output"])
    statuses = [each["status"] for each in output["concluded"]]
    assert len(statuses) == 60
    assert statuses[-1] == "unrecorded"
    assert json.loads(statuses[-2])["fault"]["error"] == "PlannerBroke"
    assert all(json.loads(each)["plan"]["reason"] == "no idea" for each in statuses[:-2])
    assert output["committed"] == ["main"]


def test_functions_get_the_overrides_and_the_live_alias_follows(
    deployment: LocalDeployment, stub_assembly: Path
) -> None:
    def planner() -> str:
        found = deployment.client("lambda").get_function_configuration(
            FunctionName=deployment.functions["Plan"], Qualifier="live"
        )
        return found["Environment"]["Variables"]["PLANNER"]

    assert planner() == "search"
    assert deploy(deployment.endpoint, stub_assembly, python=PYTHON) == deployment
    assert planner() == "claude"


def test_an_override_that_no_function_reads_is_refused(emulator: Emulator, stub_assembly: Path) -> None:
    with pytest.raises(UserError, match="PLANER"):
        deploy(emulator.endpoint, stub_assembly, python=PYTHON, environment={"PLANER": "search"})


def test_secrets_hold_a_placeholder(deployment: LocalDeployment) -> None:
    secrets = deployment.client("secretsmanager")
    for arn in (deployment.anthropic_secret_arn, deployment.github_secret_arn):
        assert secrets.get_secret_value(SecretId=arn)["SecretString"] == PLACEHOLDER_SECRET


def test_the_schedule_is_there_and_disabled(deployment: LocalDeployment) -> None:
    found = deployment.client("scheduler").list_schedules()["Schedules"]
    assert [each["State"] for each in found] == ["DISABLED"]


def test_a_port_in_use_is_one_clear_sentence(
    emulator: Emulator, emulator_python: Path, tmp_path: Path
) -> None:
    port = int(emulator.endpoint.rsplit(":", 1)[1])
    with pytest.raises(UserError, match=f"port {port} on 127.0.0.1 cannot be used"):
        Emulator(tmp_path, python=emulator_python, port=port).start()


def test_a_state_directory_serves_one_run_at_a_time(emulator: Emulator, emulator_python: Path) -> None:
    with pytest.raises(UserError, match="in use by another run"):
        Emulator(emulator.root.parent, python=emulator_python).start()


def test_a_state_directory_of_another_format_is_refused(emulator_python: Path, tmp_path: Path) -> None:
    (tmp_path / "emulator").mkdir()
    (tmp_path / "emulator/format").write_text("99")
    with pytest.raises(UserError, match="format '99'"):
        Emulator(tmp_path, python=emulator_python).start()


def test_a_missing_emulator_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make setup"):
        Emulator(tmp_path, python=tmp_path / "nowhere/python").start()


STATE_KEY = {"lineage": {"S": "main"}, "item": {"S": "state"}}


def stored(deployment: LocalDeployment) -> dict[str, Any] | None:
    client = deployment.client("dynamodb")
    return client.get_item(TableName=deployment.loop_control_table, Key=STATE_KEY).get("Item")


def store(deployment: LocalDeployment, version: int) -> None:
    item = {**STATE_KEY, "version": {"N": str(version)}}
    deployment.client("dynamodb").put_item(TableName=deployment.loop_control_table, Item=item)
    deployment.client("s3").put_object(Bucket=deployment.artifact_bucket, Key=f"v{version}", Body=b"kept")


def test_items_and_objects_survive_a_stop_and_objects_a_kill(
    emulator_python: Path, stub_assembly: Path, tmp_path: Path
) -> None:
    def up(emulator: Emulator) -> LocalDeployment:
        return deploy(emulator.endpoint, stub_assembly, python=PYTHON)

    never_stopped = Emulator(tmp_path, python=emulator_python)
    never_stopped.start()
    store(up(never_stopped), 0)
    os.kill(never_stopped.pid, signal.SIGKILL)
    never_stopped.stop()
    with Emulator(tmp_path, python=emulator_python) as first:
        assert stored(up(first)) is None
        store(up(first), 1)
    second = Emulator(tmp_path, python=emulator_python)
    second.start()
    deployment = up(second)
    assert stored(deployment) == {**STATE_KEY, "version": {"N": "1"}}
    store(deployment, 2)
    os.kill(second.pid, signal.SIGKILL)
    second.stop()
    with Emulator(tmp_path, python=emulator_python) as third:
        deployment = up(third)
        assert stored(deployment) == {**STATE_KEY, "version": {"N": "1"}}, (
            "what DynamoDB wrote since the stop is lost"
        )
        for version in (0, 1, 2):
            found = deployment.client("s3").get_object(Bucket=deployment.artifact_bucket, Key=f"v{version}")
            assert found["Body"].read() == b"kept"


def test_the_emulator_saves_and_ends_when_its_parent_is_killed(emulator_python: Path, tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from infra.local.deploy import emulator_client
from infra.local.emulator import Emulator
emulator = Emulator(Path(sys.argv[1]), python=Path(sys.argv[2]))
emulator.start()
emulator_client(emulator.endpoint, "ssm").put_parameter(Name="/kept", Value="yes", Type="String")
print(emulator.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), str(emulator_python)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()
    with Emulator(tmp_path, python=emulator_python) as again:
        kept = emulator_client(again.endpoint, "ssm").get_parameter(Name="/kept")
    assert kept["Parameter"]["Value"] == "yes"
