"""How the tools are used, and what they healed."""

from codec_evolution.framework.modifications import Modification
from codec_evolution.framework.tool_statistics import healed, usage
from codec_evolution.record import Attempt


def item(number: int, tool: str, status: str = "applied", **fields):
    made = {"modification_id": f"m{number}", "started_at": f"2026-11-21T22:00:0{number}.000Z"}
    return Modification.from_item({**made, "tool": tool, "status": status, **fields})


ITEMS = [
    item(4, "restart_orchestrator", release="new", release_before="old", duration_s=2.0),
    item(3, "modify_framework_file", after_sha256="x", duration_s=1.0),
    item(2, "modify_framework_file", "denied", duration_s=0.2),
    item(1, "modify_framework_file", "pending_approval"),
]


def attempt(release: str, status: str, message: str = ""):
    key = {"lineage": "main", "attempt_id": "2026-11-21T22:00:00.000Z#00"}
    failed = {"failure_kind": "policy", "failure_message": message}
    return Attempt.from_item({**key, "release": release, "status": status, **failed})


def test_each_tool_has_its_count_rate_duration_and_last_use():
    rows = {row["tool"]: row for row in usage(ITEMS)}
    assert rows["modify_framework_file"] == {
        "tool": "modify_framework_file",
        "calls": 3,
        "success_rate": 0.5,
        "median_duration_s": 0.6,
        "last_used": "2026-11-21T22:00:03.000Z",
        "states": {"pending_approval": 1, "applied": 1, "denied": 1},
    }
    assert rows["run_shell_command"]["success_rate"] is None


def test_a_failure_that_stopped_with_a_release_was_healed_by_the_changes_in_it():
    attempts = [attempt("new", "rejected"), attempt("old", "test_failed", "bytearray is not allowed")]
    (found,) = healed(ITEMS, attempts)
    assert found["changes"] == ["m3"]
    assert found["healed"] == [{"kind": "policy", "message": "bytearray is not allowed"}]


def test_nothing_is_healed_before_anything_was_tested():
    failing = attempt("old", "test_failed", "bytearray")
    assert healed(ITEMS, [failing]) == []
    assert healed(ITEMS, [attempt("new", "skipped"), failing]) == []


def test_a_failure_that_goes_on_is_not_healed():
    attempts = [attempt("new", "test_failed", "bytearray"), attempt("old", "test_failed", "bytearray")]
    assert healed(ITEMS, attempts) == []
