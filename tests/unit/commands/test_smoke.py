"""`smoke`: every check runs, what AWS alone can show is named, and what a check did is taken back when it fails."""

from __future__ import annotations

from typing import Any

import pytest
from codec_evolution.ports import LoopState
from typer.testing import CliRunner

import infra.cli
from infra.commands import smoke_checks
from infra.commands.smoke_checks import CHECKS, Check, CheckFailed, CheckSkipped, Deployed, run_checks
from infra.errors import UserError


def fail(deployed: Deployed) -> str:
    raise CheckFailed("broken")


def skip(deployed: Deployed) -> str:
    raise CheckSkipped("off")


def refuse(deployed: Deployed) -> str:
    raise UserError("no such stack")


def deployed(is_local: bool = False, **fields: Any) -> Deployed:
    target: Any = fields.pop("target", None)
    return Deployed(target, fields, "App", is_local)


def states(monkeypatch: pytest.MonkeyPatch, at: Deployed, *checks: Check) -> list[tuple[str, str]]:
    monkeypatch.setattr(smoke_checks, "CHECKS", checks)
    told: list[str] = []
    outcomes = run_checks(at, lambda outcome: told.append(outcome.name))
    assert told == [each.name for each in outcomes]
    return [(each.state, each.detail) for each in outcomes]


def test_a_failed_check_stops_no_other_one(monkeypatch):
    checks = Check("a", fail), Check("b", lambda _: "fine"), Check("c", skip), Check("d", refuse)
    assert states(monkeypatch, deployed(), *checks) == [
        ("failed", "broken"),
        ("passed", "fine"),
        ("skipped", "off"),
        ("failed", "no such stack"),
    ]


def test_what_only_aws_shows_is_skipped_on_the_emulator_with_the_reason(monkeypatch):
    check = Check("a", lambda _: "fine", aws_only="the emulator has none")
    assert states(monkeypatch, deployed(is_local=True), check) == [("skipped", "the emulator has none")]
    assert states(monkeypatch, deployed(), check) == [("passed", "fine")]


class Control:
    """The loop's state, and a note of what was changed."""

    def __init__(self, paused: bool) -> None:
        self.paused, self.changes = paused, []

    def state(self, lineage: str) -> LoopState:
        return LoopState(lineage, paused=self.paused)

    def set_paused(self, lineage: str, paused: bool, **_: Any) -> bool:
        changed = self.paused != paused
        self.paused = paused
        self.changes += [paused] if changed else []
        return changed


class Schedule:
    """A schedule that can be told to break when it is switched on."""

    broken = False
    enabled = False

    def __init__(self, name: str) -> None:
        self.name = name

    def set_enabled(self, enabled: bool) -> bool:
        if enabled and Schedule.broken:
            raise CheckFailed("no right")
        changed = Schedule.enabled != enabled
        Schedule.enabled = enabled
        return changed


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("enabled", [False, True])
def test_the_schedule_and_the_pause_end_as_they_were_and_no_cycle_can_start(
    monkeypatch, enabled, paused, broken
):
    monkeypatch.setattr(smoke_checks, "MinuteSchedule", Schedule)
    monkeypatch.setattr(Schedule, "enabled", enabled)
    monkeypatch.setattr(Schedule, "broken", broken and not enabled)
    control = Control(paused)
    at = deployed(target=_Target(control), ScheduleName="s")
    (check,) = (each for each in CHECKS if each.name == "schedule")
    ((state, _),) = states(monkeypatch, at, check)
    assert state == ("failed" if Schedule.broken else "passed")
    assert (Schedule.enabled, control.paused) == (enabled, paused)
    assert control.changes == ([] if enabled or paused else [True, False])


class _Target:
    lineage = "main"

    def __init__(self, control: Control) -> None:
        self.control = control


def call_answers(monkeypatch: pytest.MonkeyPatch, item: dict[str, Any], undone: dict[str, Any]) -> list[str]:
    """Let the tool and the decisions answer, and return what is decided."""
    decided: list[str] = []

    def decide(_: Any, operation: str, modification_id: str) -> dict[str, Any]:
        decided.append(f"{operation} {modification_id}")
        return {**item, "status": "applied"} if operation == "approve" else undone

    monkeypatch.setattr(smoke_checks, "call_tool", lambda *_: item)
    monkeypatch.setattr(smoke_checks, "decide", decide)
    return decided


@pytest.mark.parametrize(
    ("item", "undone", "state", "decided"),
    [
        (
            {"status": "applied", "modification_id": "m"},
            {"status": "applied", "modification_id": "u"},
            "passed",
            ["rollback m"],
        ),
        (
            {"status": "pending_approval", "modification_id": "m"},
            {"status": "applied", "modification_id": "u"},
            "passed",
            ["approve m", "rollback m"],
        ),
        (
            {"status": "applied", "modification_id": "m"},
            {"status": "failed", "message": "conflict"},
            "failed",
            ["rollback m"],
        ),
        ({"status": "failed", "rule": "host-away", "modification_id": "m"}, {}, "failed", []),
        (
            {"status": "denied", "message": "framework_tools is off: the operator", "modification_id": "m"},
            {},
            "skipped",
            [],
        ),
    ],
)
def test_a_tool_call_is_rolled_back_by_its_id(monkeypatch, item, undone, state, decided):
    made = call_answers(monkeypatch, item, undone)
    (check,) = (each for each in CHECKS if each.name == "tool")
    ((found, _),) = states(monkeypatch, deployed(target=_Target(Control(False))), check)
    assert (found, made) == (state, decided)


def test_the_help_names_the_command():
    done = CliRunner().invoke(infra.cli.app, ["smoke", "--help"])
    assert done.exit_code == 0
    assert "--target" in done.output


def test_the_comment_that_the_tool_appends_renders_to_nothing():
    from jinja2 import Template

    assert Template(smoke_checks.COMMENT).render() == ""
