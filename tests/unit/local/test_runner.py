"""What `run` hands back when it cannot run every cycle that it was asked for."""

import io
import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from codec_evolution.ports import LoopState
from codec_evolution.record import Attempt
from rich.console import Console
from typer.testing import CliRunner

from infra.cli import app
from infra.commands.run_screen import RunScreen
from infra.local import runner
from infra.workbench import run_plot


class StateMachine:
    """A state machine whose executions have ended with the answers given; it is where the network begins."""

    def __init__(self, *answers: dict) -> None:
        self._answers = iter(answers)
        self._answer: dict = {}
        self.started: list[dict] = []

    def start_execution(self, **asked: str) -> dict:
        self.started.append(json.loads(asked["input"]))
        self._answer = next(self._answers)
        return {"executionArn": "arn"}

    def describe_execution(self, **_: str) -> dict:
        return self._answer

    def invoke(self, **_: str) -> None:
        """Stand for Lambda, where a run starts the benchmark beside its first steps."""


def ended(**output) -> dict:
    fields = {"go": True, "cycle_id": "2026-11-21T22:00:00.000Z"} | output
    return {"status": "SUCCEEDED", "output": json.dumps(fields)}


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """Run the command against executions that end as told."""

    def run(*answers: dict, cycles: int = 3, reports: dict | None = None, more: tuple[str, ...] = ()):
        machine = run.machine = StateMachine(*answers)
        session = SimpleNamespace(
            deployment=SimpleNamespace(
                client=lambda _: machine,
                state_machine_arn="arn",
                schedule_input={},
                functions={"Benchmark": "benchmark"},
            ),
            record=SimpleNamespace(latest=lambda *_: []),
            control=SimpleNamespace(state=lambda lineage: LoopState(lineage, version=2)),
            bucket=SimpleNamespace(get_json=(reports or {}).get),
            timings_s={},
            git_dir=tmp_path,
        )

        @contextmanager
        def borrow(*_):
            yield session

        monkeypatch.setattr(runner, "borrow_session", borrow)
        monkeypatch.setattr(run_plot, "draw_versions", lambda *_: None)
        arguments = ["run", "--cycles", str(cycles), "--json", "--state-dir", str(tmp_path), *more]
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


def test_islands_take_turns_and_a_refusal_of_one_ends_the_run(answering):
    answers = [ended(), ended(), ended(), ended(go=False, reason="paused")]
    done = answering(*answers, cycles=3, more=("--islands", "2"))
    found = json.loads(done.stdout)
    assert [each["lineage"] for each in answering.machine.started] == ["main", "main-2", "main", "main-2"]
    assert [each["lineage"] for each in found["cycles"]] == ["main", "main-2", "main", "main-2"]
    assert (found["versions"], found["version"]) == ({"main": 2, "main-2": 2}, 2)
    assert (done.exit_code, found["refused"]) == (1, "paused")


@pytest.mark.parametrize("islands", ["0", "9", "two"])
def test_a_number_of_islands_out_of_range_is_refused_before_anything_starts(answering, islands):
    done = answering(more=("--islands", islands))
    assert done.exit_code == 2
    assert "--islands" in done.stderr and answering.machine.started == []


CYCLE = "attempts/main/2026-11-21T22:00:00.000Z_prep/report.json"


def test_the_time_that_measuring_a_new_incumbent_took_is_in_the_result(answering):
    reports = {
        CYCLE: {"timings_s": {"validate": 0.5, "measure": 20.0}},
        f"operators/held_out/{CYCLE}": {"timings_s": {"measure": 30.25}},
    }
    (cycle,) = json.loads(answering(ended(), cycles=1, reports=reports).stdout)["cycles"]
    assert cycle["stages_s"]["prepare"] == 50.75


def test_a_cycle_whose_incumbent_stayed_took_no_time_to_prepare_it(answering):
    (cycle,) = json.loads(answering(ended(), cycles=1).stdout)["cycles"]
    assert cycle["stages_s"]["prepare"] == 0


def test_the_screen_says_how_much_of_a_cycle_a_new_incumbent_took():
    def shown(**stages_s: float) -> str:
        console = Console(record=True, width=100, file=io.StringIO())
        RunScreen(console).cycle_ended(runner.CycleResult("c", [], stages_s, []))
        return console.export_text()

    assert "took 99.1 s, 50.8 s of them measuring the new incumbent" in shown(total=99.1, prepare=50.75)
    assert "incumbent" not in shown(total=40.0, prepare=0.0)


@pytest.mark.slow
def test_while_no_attempt_is_due_the_new_incumbent_is_measured():
    statuses = iter(["RUNNING", "RUNNING", "SUCCEEDED"])
    dues = iter([(), ("c#00",)])
    session = SimpleNamespace(
        control=SimpleNamespace(
            state=lambda lineage: LoopState(lineage, execution="arn", cycle_id="c", due=next(dues))
        ),
        record=SimpleNamespace(get=lambda *_: Attempt(lineage="main", attempt_id="c#00", status="rejected")),
        bucket=None,
    )
    client = SimpleNamespace(describe_execution=lambda **_: {"status": next(statuses)})
    seen = [
        [(each.attempt_id, each.name) for each in stages]
        for stages in runner._watch(session, client, "arn", "main")
    ]
    assert seen == [[("c#prep", "measuring the new incumbent")], [("c#00", "rejected")]]


def test_watching_a_cycle_makes_its_clients_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner, "POLL_S", 0.0)
    statuses = iter([*["RUNNING"] * 5, "SUCCEEDED"])
    made: list[str] = []

    class Session:
        def __getattr__(self, name: str) -> SimpleNamespace:
            made.append(name)
            return SimpleNamespace(state=lambda lineage: LoopState(lineage, execution="arn", cycle_id="c"))

    client = SimpleNamespace(describe_execution=lambda **_: {"status": next(statuses)})
    assert len(list(runner._watch(Session(), client, "arn", "main"))) == 5
    assert sorted(made) == ["bucket", "control", "record"]
