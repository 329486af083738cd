"""The failure analyst: patterns, thresholds, stagnation."""

import pytest
from codec_evolution.planners.failures import (
    PATTERNS,
    STAGNANT_AFTER,
    FailureAnalyst,
    classify,
    find_stagnation,
    pattern_of,
)
from codec_evolution.record import IDENTICAL_REPORTS, Attempt

NOW = "2026-11-21T12:00:00.000Z"


def attempt(minute: int, status: str, hour: int = 11, **fields) -> Attempt:
    attempt_id = f"2026-11-21T{hour:02d}:{minute:02d}:00.000Z#00"
    return Attempt.from_item({"lineage": "main", "attempt_id": attempt_id, "status": status, **fields})


def failure(minute: int, kind: str = "runtime", message: str = "ValueError: x", hour: int = 11) -> Attempt:
    reason = f"{kind}: {message}"
    return attempt(minute, "test_failed", hour, failure_kind=kind, failure_stage="smoke", reason=reason)


class Listing:
    """A record that lists what it was given, newest first."""

    def __init__(self, *failures: Attempt) -> None:
        self.failures = sorted(failures, key=lambda each: each.attempt_id, reverse=True)

    def latest(self, lineage: str, limit: int, status: str | None = None) -> list[Attempt]:
        assert (lineage, status) == ("main", "test_failed")
        return self.failures[:limit]


def analyst(*failures: Attempt) -> FailureAnalyst:
    return FailureAnalyst(Listing(*failures), "main", lambda: NOW)


SEED_PATTERNS = {
    "TypeError: unexpected keyword argument": (
        "signature",
        "compress_video_frame() got an unexpected keyword argument 'quality'",
    ),
    "ImportError: module not found": ("import", "No module named 'scipy'"),
    "Syntax error": ("syntax", "invalid syntax (line 3)"),
    "Execution timeout": ("timeout", "the call took longer than 30 s"),
    "Invalid return type": ("return_type", "the encoder returned dict, not bytes"),
}


@pytest.mark.parametrize("name", SEED_PATTERNS)
def test_the_five_known_failures_are_recognised_by_name(name):
    kind, message = SEED_PATTERNS[name]
    assert pattern_of(failure(0, kind, message)).name == name


def test_a_missing_builtin_points_at_the_framework():
    found = pattern_of(failure(0, "policy", "line 4, column 9: builtin bytearray is not in the policy"))
    assert (found.name, found.framework) == ("NameError: missing builtin", True)
    assert pattern_of(failure(0, "runtime", "NameError: name 'bytearray' is not defined")).framework


def test_every_failure_kind_of_the_sandbox_belongs_to_a_pattern():
    kinds = (
        "syntax policy import signature return_type runtime timeout memory crash output_size frame_shape "
        "nondeterministic quality budget"
    )
    for kind in kinds.split():
        assert pattern_of(failure(0, kind, "...")) in PATTERNS
    assert pattern_of(failure(0, "runtime", "ZeroDivisionError")).name == "Runtime exception"


def test_patterns_are_counted_with_first_and_last_seen():
    found = classify([failure(9, "timeout"), failure(5, "syntax"), failure(3, "timeout")])
    assert [(f.pattern.name, f.count) for f in found] == [("Execution timeout", 2), ("Syntax error", 1)]
    assert (found[0].first_seen[14:16], found[0].last_seen[14:16]) == ("03", "09")


def test_only_failures_within_the_lookback_count():
    analysis = analyst(failure(59), failure(1), failure(59, hour=10)).analyze_recent_failures(
        lookback_hours=1
    )
    assert analysis.total_failures == 2
    assert analyst(failure(59, hour=9)).analyze_recent_failures(lookback_hours=3).total_failures == 1


@pytest.mark.parametrize(("count", "leads"), [(5, False), (6, True)])
def test_more_than_five_failures_in_an_hour_lead_the_prompt(count, leads):
    report = analyst(*(failure(minute, "timeout") for minute in range(count))).create_self_governance_report()
    assert (report.leads, report.framework_advised) == (leads, False)


def test_framework_tools_are_advised_when_the_framework_may_be_the_cause():
    report = analyst(
        *(failure(m, "policy", "builtin bytearray") for m in range(6))
    ).create_self_governance_report()
    assert report.leads and report.framework_advised


def test_the_number_of_failures_read_is_bounded_and_said():
    analysis = analyst(*(failure(m % 60, "timeout") for m in range(300))).analyze_recent_failures()
    assert (analysis.total_failures, analysis.more) == (50, True)


def rejected(minute: int, rate: float, status: str = "rejected") -> Attempt:
    return attempt(minute, status, bitrate_mbps=rate, reason="not_better")


def test_many_attempts_without_an_adoption_are_stagnation():
    attempts = [rejected(m, m / 10) for m in range(STAGNANT_AFTER)]
    assert find_stagnation(attempts).stagnant
    adopted = rejected(59, 1.0, "adopted")
    assert not find_stagnation([adopted, *attempts]).stagnant
    skipped = rejected(58, 1.0, "skipped")
    assert find_stagnation([skipped] * 50).judged == 0


def test_three_equal_reports_are_noticed_whatever_else_lies_between():
    skipped = rejected(30, 1.0, "skipped")
    same = [rejected(m, 2.5) for m in range(IDENTICAL_REPORTS)]
    assert find_stagnation([same[0], skipped, *same[1:]]).identical
    assert not find_stagnation([rejected(9, 2.4), *same]).identical
    assert find_stagnation([failure(m, "runtime", "ValueError: x") for m in range(3)]).identical
