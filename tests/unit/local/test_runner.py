"""What `run` hands back when it cannot run every cycle that it was asked for."""

import io
import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from codec_evolution.ports import LoopState
from rich.console import Console
from typer.testing import CliRunner

from infra.cli import app
from infra.commands.run_screen import RunScreen
from infra.local import runner


class StateMachine:
    """A state machine whose executions have ended with the answers given; it is where the network begins."""

    def __init__(self, *answers: dict) -> None:
        self._answers = iter(answers)
        self._answer: dict = {}

    def start_execution(self, **_: str) -> dict:
        self._answer = next(self._answers)
        return {"executionArn": "arn"}

    def describe_execution(self, **_: str) -> dict:
        return self._answer


def ended(**output) -> dict:
    fields = {"go": True, "cycle_id": "2026-11-21T22:00:00.000Z"} | output
    return {"status": "SUCCEEDED", "output": json.dumps(fields)}


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """Run the command against executions that end as told."""

    def run(*answers: dict, cycles: int = 3):
        machine = StateMachine(*answers)
        session = SimpleNamespace(
            deployment=SimpleNamespace(client=lambda _: machine, state_machine_arn="arn", schedule_input={}),
            record=SimpleNamespace(latest=lambda *_: []),
            control=SimpleNamespace(state=lambda lineage: LoopState(lineage, version=2)),
            timings_s={},
            git_dir=tmp_path,
        )

        @contextmanager
        def borrow(*_):
            yield session

        monkeypatch.setattr(runner, "borrow_session", borrow)
        monkeypatch.setattr(runner, "draw_versions", lambda _: None)
        arguments = ["run", "--cycles", str(cycles), "--json", "--state-dir", str(tmp_path)]
        return CliRunner().invoke(app, arguments)

    return run


def test_a_refused_cycle_ends_the_run_with_status_1_and_keeps_the_cycles_before_it(answering):
    done = answering(ended(), ended(go=False, reason="daily_budget_spent"))
    found = json.loads(done.stdout)
    assert done.exit_code == 1
    assert found["refused"] == "daily_budget_spent"
    assert [cycle["refused"] for cycle in found["cycles"]] == ["", "daily_budget_spent"]
    assert found["version"] == 2


def test_a_failed_execution_ends_the_run_with_status_1_and_says_why(answering):
    done = answering(
        ended(), {"status": "FAILED", "error": "ContractError", "cause": "open_cycle: too large"}
    )
    found = json.loads(done.stdout)
    assert done.exit_code == 1
    assert "ContractError open_cycle: too large" in found["failed"]
    assert len(found["cycles"]) == 1


def test_what_github_refused_is_in_the_result_and_on_the_screen(answering):
    reason = "github_refused: GitHub refused (401: Bad credentials): put a valid token into the GitHub secret"
    found = json.loads(answering(ended(waiting=reason), cycles=1).stdout)
    assert found["cycles"][0]["waiting"] == reason
    shown = Console(record=True, width=60, file=io.StringIO())
    RunScreen(shown).cycle_ended(runner.CycleResult("c", [], {}, [], waiting=reason))
    assert f"waiting: {reason}" in " ".join(shown.export_text().split())


def test_a_run_of_all_its_cycles_ends_with_status_0(answering):
    done = answering(ended(), ended(), cycles=2)
    assert (done.exit_code, json.loads(done.stdout)["refused"]) == (0, "")
