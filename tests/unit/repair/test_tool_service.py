"""Calls of the framework tools: recorded once, always answered, resumed where they were interrupted."""

import json
from dataclasses import replace

import pytest
from codec_evolution import artifacts
from codec_evolution.framework import modifications as states
from codec_evolution.framework.modifications import NEXT, STATES, UNFINISHED, Modification
from codec_evolution.host.program import serve
from codec_evolution.ports import Conflict, HostAway
from codec_evolution.repair import operations
from codec_evolution.repair.releaser import Released, ReleaseRefused
from codec_evolution.repair.tool_service import HandledCall, ToolCall, ToolService

from tests.support.memory_bucket import MemoryBucket

NOW = "2026-11-21T22:00:00.000Z"
CHANGE = {
    "path": "prompts/a.md",
    "content": "new",
    "sha256": "n",
    "before": "old",
    "before_sha256": "o",
    "mode": "0o644",
}
APPLIED = {"status": "applied", "message": "changed", "tier": "data", "changed": [CHANGE], "duration_s": 0.5}
ASKED = {
    "status": "needs_approval",
    "rule": "tier-code",
    "message": "code",
    "arguments_sha256": "a",
    "file_sha256": "f",
}
EDIT = {"file_path": "prompts/a.md", "modification_type": "append", "content": "x"}


class Table:
    """Modifications in memory, with the same conditions."""

    def __init__(self):
        self.items, self.outbox = {}, []

    def put_once(self, call):
        item = call.to_item()
        return self.items.setdefault(call.modification_id, item) == item

    def get(self, modification_id):
        found = self.items.get(modification_id)
        return Modification.from_item(found) if found else None

    def move(self, modification_id, current, status, facts, due=None):
        assert status in NEXT[current]
        if self.items[modification_id]["status"] != current:
            raise Conflict
        self.items[modification_id] |= {**facts.to_item(), "status": status}
        if due:
            self.outbox.append(due)


class Host:
    """A host that answers what it is told to, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def call(self, document):
        self.asked.append(document)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)


class Releaser:
    lineage = "main"

    def __init__(self, outcome=None):
        self.outcome = outcome or Released("r2", "r1", "", "release r2 is live")

    def go_live(self, files):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def service(*answers, mode="on", releaser=None, now=NOW) -> ToolService:
    return ToolService(Table(), Host(*answers), MemoryBucket(), releaser or Releaser(), mode, lambda: now)


def request(**changes):
    return {"tool": "modify_framework_file", "arguments": dict(EDIT), "reason": "because"} | changes


def call(at: ToolService, **changes):
    """Make the planner's call and return its item."""
    return at.call(ToolCall.of_request("2026#00", 0, request(**changes))).to_item()


def approve(at: ToolService, modification_id="2026#00#tool0"):
    return operations.approve(at, modification_id).to_payload()


def deny(at: ToolService, modification_id="2026#00#tool0"):
    return operations.deny(at, modification_id).to_payload()


def rollback(at: ToolService, modification_id="2026#00#tool0"):
    return operations.rollback(at, modification_id).to_payload()


def payload(item, answer):
    return HandledCall(Modification.from_item(item), answer).to_payload()


def test_a_call_goes_to_the_host_and_ends_applied_with_an_entry_for_the_repository():
    at = service(APPLIED)
    item = call(at)
    assert (item["status"], item["file"], item["tier"]) == ("applied", "prompts/a.md", "data")
    assert at.host.asked[0]["modification_id"] == "2026#00#tool0"
    assert [entry.modification_id for entry in at.modifications.outbox] == ["2026#00#tool0"]


def test_a_new_host_is_left_what_a_file_was_before_the_first_change_of_many():
    second = {**CHANGE, "content": "newest", "sha256": "x", "before": "new", "before_sha256": "n"}
    at = service(APPLIED, {**APPLIED, "changed": [second]})
    call(at)
    at.call(ToolCall.of_request("2026#00", 1, request()))
    overlay = at.objects[artifacts.framework_overlay("prompts/a.md")]
    assert (overlay["content"], overlay["base"]) == ("newest", "old")


def test_the_reason_may_stand_among_the_arguments_as_in_the_seed():
    at = service(APPLIED)
    call(at, reason=None, arguments={**EDIT, "reason": "Add bytearray"})
    assert at.host.asked[0]["reason"] == "Add bytearray"
    assert at.host.asked[0]["arguments"] == EDIT


def test_a_repeated_call_is_answered_from_the_record():
    at = service(APPLIED)
    assert call(at) == call(at)
    assert len(at.host.asked) == 1


@pytest.mark.parametrize("status", sorted(UNFINISHED - {states.APPROVED}))
def test_an_interrupted_call_is_resumed(status):
    at = service(APPLIED, APPLIED)
    call(at)
    at.modifications.items["2026#00#tool0"]["status"] = status
    assert call(at)["status"] == "applied"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tool": "exec"}, "tool must be one of"),
        ({"tool": None}, "tool must be one of"),
        ({"tool": "restore_file"}, "tool must be one of"),
        ({"arguments": ["x"]}, "arguments must be an object"),
        ({"arguments": None}, "arguments must be an object"),
        ({"arguments": {"content": "x" * 600_000}}, "arguments have more than"),
        ({"tool": "\ud800"}, "tool must be one of"),
    ],
)
def test_a_malformed_call_is_denied_on_record_and_never_reaches_the_host(changes, message):
    at = service()
    item = call(at, **changes)
    assert item["status"] == "denied"
    assert message in item["message"]
    assert at.host.asked == []


@pytest.mark.parametrize("reason", [" ", 7, None])
def test_a_call_without_a_reason_is_denied_on_record_by_the_host(reason):
    class ParsingHost(Host):
        def call(self, document):
            return serve(json.dumps(document).encode(), context=None)

    at = replace(service(), host=ParsingHost())
    item = call(at, reason=reason)
    assert (item["status"], item["rule"]) == ("denied", "document-reason")
    assert "reason must be a text" in item["message"]


def test_what_was_just_stored_is_not_read_again():
    at = service({**APPLIED, "output": {"head": "12 passed", "tail": ""}})
    at.objects.get_json = lambda key: (
        pytest.fail(key) if key.endswith(("request.json", "result.json")) else None
    )
    handled = at.handle(ToolCall.of_request("2026#00", 0, request()))
    assert "12 passed" in handled.to_payload()["message"]


def test_a_repeated_call_is_answered_with_its_output_again():
    at = service({**APPLIED, "output": {"head": "12 passed", "tail": ""}})
    first, again = (at.handle(ToolCall.of_request("2026#00", 0, request())) for _ in range(2))
    assert first.to_payload() == again.to_payload()
    assert len(at.host.asked) == 1


def test_what_utf_8_does_not_have_is_no_reason_to_break():
    """JSON lets a model write half a surrogate, and no table takes it."""
    denied = {"status": "denied", "rule": "path-characters", "message": "\ud800"}
    item = call(
        service(denied), reason="\ud800 because", arguments={**EDIT, "file_path": "prompts/\ud800.md"}
    )
    assert item["status"] == "denied"
    json.dumps(item, ensure_ascii=False).encode("utf-8")


def test_tools_that_are_switched_off_deny():
    assert "off" in call(service(mode="off"))["message"]


def test_a_host_that_is_away_is_an_answer():
    item = call(service(HostAway("no route")))
    assert (item["status"], item["rule"]) == ("failed", "host-away")


def test_an_answer_to_the_planner_fits_its_edge():
    at = service({"status": "failed", "rule": "quick-tests", "message": "x" * 10_000})
    item = call(at)
    output = {"output": {"head": "é" * 9000, "tail": "y" * 9000}}
    assert len(payload(item, output)["message"].encode()) <= 3000


# --- going live -------------------------------------------------------------------------------------

RESTARTED = {"status": "applied", "message": "handed out", "files": {}}


def test_a_restart_records_both_releases():
    item = call(service(RESTARTED), tool="restart_orchestrator", arguments={})
    assert (item["status"], item["release_before"], item["release"]) == ("applied", "r1", "r2")


def test_a_release_that_fails_its_checks_is_a_failed_restart():
    at = service(RESTARTED, releaser=Releaser(ReleaseRefused("version 0 does not pass")))
    item = call(at, tool="restart_orchestrator", arguments={})
    assert (item["status"], item["rule"]) == ("failed", "release")
    assert "version 0 does not pass" in item["message"]


# --- approvals --------------------------------------------------------------------------------------


def test_an_approved_call_is_done_once_whatever_is_clicked_twice():
    at = service(ASKED, APPLIED)
    assert call(at)["status"] == "pending_approval"
    first = approve(at, "2026#00#tool0")
    second = approve(at, "2026#00#tool0")
    assert first["status"] == second["status"] == "applied"
    assert [document.get("approval") for document in at.host.asked] == [
        None,
        {"arguments_sha256": "a", "file_sha256": "f"},
    ]


def test_an_approval_expires():
    at = service(ASKED)
    call(at)
    late = ToolService(
        at.modifications, at.host, at.objects, at.releaser, "on", lambda: "2026-11-22T22:00:01.000Z"
    )
    assert approve(late, "2026#00#tool0")["status"] == "expired"
    assert len(at.host.asked) == 1


def test_a_denied_call_cannot_be_approved():
    at = service(ASKED)
    call(at)
    assert deny(at, "2026#00#tool0")["status"] == "denied"
    with pytest.raises(operations.OperationRefused, match="is denied"):
        approve(at, "2026#00#tool0")


def test_a_call_is_denied_once_and_only_while_it_waits():
    at = service(ASKED)
    call(at)
    assert deny(at) == deny(at)
    done = service(APPLIED)
    call(done)
    with pytest.raises(operations.OperationRefused, match="is applied; only a waiting call can be denied"):
        deny(done)


class Decided(Table):
    """A table in which somebody else decides at the same moment."""

    def __init__(self, status):
        super().__init__()
        self.status = status

    def move(self, modification_id, current, status, facts, due=None):
        if current == states.PENDING_APPROVAL:
            self.items[modification_id]["status"] = self.status
        super().move(modification_id, current, status, facts, due)

    def waiting_before(self, moment):
        return [self.get(name) for name in self.items]


def test_a_denial_at_the_same_moment_holds_against_an_approval():
    at = replace(service(ASKED), modifications=Decided("denied"))
    call(at)
    with pytest.raises(operations.OperationRefused, match="is denied"):
        approve(at)
    assert len(at.host.asked) == 1


def test_a_call_that_is_decided_at_the_last_moment_does_not_expire():
    at = replace(service(ASKED), modifications=Decided("denied"))
    call(at)
    assert operations.expire_overdue(at.modifications, "2026-11-23T22:00:00.000Z") == []
    assert at.modifications.items["2026#00#tool0"]["status"] == "denied"


class Overdue(Table):
    """Many calls that wait; the index also lists one that is gone."""

    def waiting_before(self, moment):
        return [Modification.from_item(item) for item in (GONE, *self.items.values())]


GONE = {"modification_id": "2026#99", "tool": "modify_framework_file", "status": "pending_approval"}


def test_a_cycle_closes_a_bounded_number_of_overdue_calls():
    at = replace(service(*[ASKED] * 21), modifications=Overdue())
    for number in range(21):
        at.call(ToolCall.of_request(f"2026#{number:02d}", 0, request()))
    closed = operations.expire_overdue(at.modifications, "2026-11-23T22:00:00.000Z")
    assert closed == [f"2026#{number:02d}#tool0" for number in range(operations.OVERDUE_PER_CYCLE)]
    assert at.modifications.items["2026#20#tool0"]["status"] == "pending_approval"


def test_the_planner_is_told_until_when_a_call_waits():
    item = call(service(ASKED))
    assert "2026-11-22T22:00:00.000Z" in payload(item, {})["message"]


# --- rolling back -----------------------------------------------------------------------------------


def test_a_rollback_undoes_by_the_recorded_contents_and_goes_live():
    at = service(APPLIED, APPLIED, RESTARTED)
    call(at)
    undone = rollback(at, "2026#00#tool0")
    assert at.host.asked[1]["arguments"] == {"file_path": "prompts/a.md", "before": "old", "after": "new"}
    assert undone["live"]["release"] == "r2"
    original = at.modifications.items["2026#00#tool0"]
    assert (original["status"], original["rolled_back_by"]) == ("rolled_back", undone["modification_id"])
    assert rollback(at, "2026#00#tool0")["modification_id"] == undone["modification_id"]
    assert len(at.host.asked) == 3


def test_a_refused_rollback_may_be_asked_for_again():
    conflict = {"status": "failed", "rule": "merge-conflict", "message": "<<<<<<<"}
    at = service(APPLIED, conflict, APPLIED, RESTARTED)
    call(at)
    assert rollback(at, "2026#00#tool0")["rule"] == "merge-conflict"
    assert at.modifications.items["2026#00#tool0"]["status"] == "applied"
    assert rollback(at, "2026#00#tool0")["status"] == "applied"


def test_what_changed_no_file_cannot_be_rolled_back():
    at = service({**APPLIED, "changed": []})
    call(at)
    with pytest.raises(operations.OperationRefused, match="changed no file"):
        rollback(at)


def test_asking_for_a_rollback_approves_the_undoing_and_its_restart():
    asked = {**ASKED, "message": "the file is code"}
    at = service(APPLIED, asked, APPLIED, asked, RESTARTED)
    call(at)
    undone = rollback(at)
    assert (undone["status"], undone["live"]["status"]) == ("applied", "applied")
    assert [bool(document.get("approval")) for document in at.host.asked] == [False, False, True, False, True]


class LiveRelease:
    """The release pointer of a lineage."""

    def __init__(self, live: str):
        self.live = live

    def set_release(self, lineage, release, expected):
        if self.live != expected:
            raise Conflict
        self.live = release


def restarted(live: str, outcome=None) -> ToolService:
    """Return a service whose first call was a restart from r1 to r2, when a release is live."""
    at = service(RESTARTED, releaser=Releaser(outcome))
    at.releaser.control = LiveRelease(live)
    call(at, tool="restart_orchestrator", arguments={})
    return at


def test_rolling_a_restart_back_points_to_the_release_before_it():
    at = restarted("r2")
    item = rollback(at)
    assert at.releaser.control.live == "r1"
    assert (item["status"], item["rolled_back_by"]) == ("rolled_back", "2026#00#tool0")


def test_a_restart_below_a_newer_one_is_not_rolled_back():
    at = restarted("r3")
    with pytest.raises(operations.OperationRefused, match="release r2 is not live any more"):
        rollback(at)
    assert at.releaser.control.live == "r3"
    assert at.modifications.items["2026#00#tool0"]["status"] == "applied"


def test_a_restart_that_moved_no_release_is_not_rolled_back():
    at = restarted("r2", Released("r2", "r2", "", "release r2 was live already"))
    with pytest.raises(operations.OperationRefused, match="moved no release"):
        rollback(at)


@pytest.mark.parametrize("answer", [ASKED, {"status": "denied", "message": "no"}])
def test_only_an_applied_change_is_rolled_back(answer):
    at = service(answer)
    call(at)
    with pytest.raises(operations.OperationRefused, match="only an applied change"):
        rollback(at, "2026#00#tool0")
    with pytest.raises(operations.OperationRefused, match="there is no modification"):
        rollback(at, "nothing")


def test_every_state_is_reached_and_the_last_ones_are_last():
    assert set().union(*NEXT.values()) == set(STATES) - {states.REQUESTED}
    assert {state for state, following in NEXT.items() if not following} == {
        "denied",
        "failed",
        "rolled_back",
        "expired",
    }
