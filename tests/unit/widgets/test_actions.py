"""Buttons: each acts once, on the state that was seen, and says what happened."""

from dataclasses import replace

import pytest
from codec_evolution.loop.steering import Operator
from codec_evolution.ports import Conflict, LoopState
from codec_evolution.widgets.actions import handle_action

from .contexts import HOSTILE, NOW
from .markup import Page

NONCE = "0123456789abcdef0123"


class Loop:
    """Stands for the control table, the state machine and the schedule."""

    def __init__(self, **state) -> None:
        self.now = LoopState("main", **state)
        self.started: list[str] = []
        self.decided: list[tuple[str, str]] = []
        self.enabled = False

    def state(self, lineage):
        return self.now

    def set_paused(self, lineage, paused, *, at, reason, expected_at):
        if self.now.paused == paused:
            return False
        if not paused and expected_at not in (None, self.now.paused_at):
            raise Conflict
        self.now = replace(self.now, paused=paused, paused_at=at, paused_reason=reason)
        return True

    def start(self, name, lineage):
        if name in self.started:
            return False
        self.started.append(name)
        return True

    def decide(self, operation, modification_id):
        self.decided.append((operation, modification_id))
        if modification_id == "gone":
            return {
                "modification_id": "gone",
                "status": "refused",
                "message": "there is no modification gone",
            }
        return {"modification_id": modification_id, "status": "rolled_back", "summary": HOSTILE}

    def set_enabled(self, enabled):
        changed, self.enabled = self.enabled != enabled, enabled
        return changed


def press(loop: Loop, **event) -> str:
    operator = Operator(control=loop, cycles=loop, schedule=loop, now=lambda: NOW)
    return Page(handle_action(event, operator, loop)).words


def test_pause_and_resume_move_flag_and_schedule():
    loop = Loop()
    loop.enabled = True
    assert press(loop, action="pause", lineage="main") == "Lineage main is paused."
    assert (loop.now.paused, loop.now.paused_reason, loop.enabled) == (True, "by a button", False)
    said = press(loop, action="resume", lineage="main", paused_at=NOW)
    assert said == "Lineage main is resumed: a cycle starts every minute."
    assert (loop.now.paused, loop.enabled) == (False, True)


def test_pausing_twice_says_so():
    loop = Loop()
    press(loop, action="pause", lineage="main")
    assert press(loop, action="pause", lineage="main") == "Lineage main was paused already."


def test_a_pause_during_a_cycle_says_that_the_cycle_ends_first():
    loop = Loop(execution="e1")
    assert press(loop, action="pause", lineage="main").endswith("is paused. The running cycle ends first.")


def test_without_a_schedule_pause_and_resume_say_that_cycles_may_begin_again():
    loop = Loop()
    operator = Operator(control=loop, cycles=loop, schedule=None, now=lambda: NOW)
    assert operator.resume("main") == "Lineage main was not paused."
    assert operator.pause("main", "dinner") == "Lineage main is paused."
    assert operator.resume("main") == "Lineage main is resumed: cycles may begin again."


def test_a_pause_that_somebody_else_made_at_the_same_moment_is_a_pause():
    loop = Loop()

    def conflict(*arguments, **fields):
        raise Conflict

    loop.set_paused = conflict
    loop.enabled = True
    assert press(loop, action="pause", lineage="main") == "Lineage main was paused already."
    assert loop.enabled is False


def test_a_fresh_deployment_is_started_by_resume():
    loop = Loop()
    assert "is resumed" in press(loop, action="resume", lineage="main", paused_at="")
    assert loop.enabled is True


def test_a_stale_tab_cannot_lift_a_newer_pause():
    loop = Loop(paused=True, paused_at="2026-11-21T22:59:00.000Z")
    said = press(loop, action="resume", lineage="main", paused_at="2026-11-21T10:00:00.000Z")
    assert said.startswith("Not done: Lineage main was paused again")
    assert loop.now.paused is True and loop.enabled is False


def test_a_double_click_starts_one_cycle():
    loop = Loop(cycle_id="c1")
    event = {"action": "run_cycle", "lineage": "main", "cycle_id": "c1", "nonce": NONCE}
    assert press(loop, **event) == "One cycle of lineage main was started."
    assert press(loop, **event) == "That cycle was started already."
    assert len(loop.started) == 1


def test_a_stale_tab_starts_no_cycle():
    loop = Loop(cycle_id="c2")
    said = press(loop, action="run_cycle", lineage="main", cycle_id="c1", nonce=NONCE)
    assert said.startswith("Not done: Another cycle")
    assert loop.started == []


def test_a_paused_loop_starts_no_cycle():
    loop = Loop(paused=True, cycle_id="c1")
    said = press(loop, action="run_cycle", lineage="main", cycle_id="c1", nonce=NONCE)
    assert said == "Not done: Lineage main is paused; resume it first."


@pytest.mark.parametrize("action", ["approve", "deny", "rollback"])
def test_a_decision_is_handed_on_and_its_outcome_shown_as_text(action):
    loop = Loop()
    said = press(loop, action=action, modification_id="m1")
    assert loop.decided == [(action, "m1")]
    assert said == f"{HOSTILE}: rolled back"


def test_a_decision_that_is_refused_says_why():
    assert (
        press(Loop(), action="approve", modification_id="gone") == "Not done: there is no modification gone"
    )


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"action": "drop_tables"},
        {"action": HOSTILE},
        {"action": "pause", "lineage": HOSTILE},
        {"action": "pause", "lineage": "x" * 33},
        {"action": "approve", "modification_id": ""},
        {"action": "run_cycle", "lineage": "main", "cycle_id": "c1", "nonce": "short"},
    ],
)
def test_what_no_button_sends_is_refused_with_a_reason(event):
    loop = Loop(cycle_id="c1")
    assert press(loop, **event).startswith("Not done: ")
    assert (loop.now, loop.started) == (LoopState("main", cycle_id="c1"), [])


def test_actions_describe_themselves():
    operator = Operator(control=Loop(), cycles=Loop(), schedule=None, now=lambda: NOW)
    assert handle_action({"describe": True}, operator, Loop()).startswith("## ")
