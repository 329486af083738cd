"""A candidate that restores what has lost is recognised by its changes, whatever else it changes."""

import pytest
from codec_evolution.candidate import normalised_sha256
from codec_evolution.planners.novelty import (
    MAX_CHANGES,
    Change,
    changes,
    changes_text,
    read_changes,
    restored_loser,
)
from codec_evolution.record import Attempt

PARENT = '''
STEP = 4


def predict(x, config):
    """Predict."""
    return x * config.get("weight", 0.5)


def transform(x):
    return x + STEP
'''
FILTERED = PARENT.replace("x + STEP", "x + STEP + 1")
HEAVIER = PARENT.replace("0.5", "0.75")


def attempt(source: str, status: str = "rejected", rate: float | None = 3.25, **more) -> Attempt:
    known = {
        "lineage": "main",
        "attempt_id": "2026-11-21T21:00:00.000Z#00",
        "status": status,
        "parent_version": 2,
        "changes": changes_text(changes(PARENT, source)),
        "normalised_sha256": normalised_sha256(source),
        "bd_rate_vs_incumbent": rate,
    }
    return Attempt.from_item(known | more)


def told(source: str, *past: Attempt, incumbent: str = PARENT) -> str:
    return restored_loser(changes(incumbent, source), normalised_sha256(source), past)


def test_changes_name_the_parts_that_differ_and_the_numbers_that_are_read_by_name():
    assert changes(PARENT, HEAVIER) == (Change("config.weight", "0.5", "0.75"),)
    assert [each.name for each in changes(PARENT, FILTERED)] == ["transform"]
    assert [each.name for each in changes(PARENT, PARENT.replace("STEP = 4", "STEP = 5"))] == ["STEP"]
    assert changes(PARENT, PARENT + "# a comment\n") == ()
    assert changes(PARENT, "(") == ()


def test_changes_survive_the_record_and_a_rewrite_has_none():
    found = changes(PARENT, FILTERED.replace("0.5", "-0.25") + "def new():\n    return 1\n")
    assert [each.name for each in found] == ["config.weight", "new", "transform"]
    assert read_changes(changes_text(found)) == found
    assert (found[0].after, found[1].before) == ("-0.25", "-")
    assert changes_text([Change(f"f{n}", "a", "b") for n in range(MAX_CHANGES + 1)]) == ""
    assert read_changes("") == read_changes("a b; c") == ()


@pytest.mark.parametrize("more", ["", "EXTRA = 1\n"])
def test_a_change_that_lost_is_recognised_alone_and_beside_others(more):
    assert told(HEAVIER + more, attempt(HEAVIER)).startswith("config.weight as in 2026") is bool(more)
    assert "which lost by 3.2 % against v2" in told(HEAVIER + more, attempt(HEAVIER))


def test_a_part_that_failed_is_recognised():
    failed = attempt(FILTERED, "test_failed", None, failure_stage="smoke", failure_kind="timeout")
    assert told(FILTERED + "EXTRA = 1\n", failed).endswith("which failed in smoke (timeout)")


def test_taking_back_what_an_adopted_version_changed_is_recognised():
    adopted = attempt(HEAVIER, "adopted", -12.0, adopted_version=3)
    incumbent = FILTERED.replace("0.5", "0.75")
    assert "config.weight as before v3" in told(FILTERED, adopted, incumbent=incumbent)


def test_the_same_meaning_is_recognised_against_another_incumbent_too():
    assert "means the same" in told(HEAVIER + "# again\n", attempt(HEAVIER), incumbent=FILTERED)


@pytest.mark.parametrize(
    "past",
    [
        attempt(HEAVIER, rate=-4.0),
        attempt(HEAVIER, rate=None),
        attempt(HEAVIER, "skipped", None),
        attempt(PARENT.replace("0.5", "0.6")),
        attempt(HEAVIER.replace("STEP = 4", "STEP = 9")),
        attempt(HEAVIER, changes="", normalised_sha256=""),
    ],
    ids=["a near miss", "not measured", "skipped", "another value", "only a part of it", "an older record"],
)
def test_what_has_not_lost_is_not_held_against_a_candidate(past):
    assert told(HEAVIER, past) == ""


def test_a_rewrite_restores_nothing_by_what_it_lacks():
    filtered = PARENT + "def deblock(x):\n    return x\n"
    adopted = attempt(filtered, "adopted", -12.0, adopted_version=3)
    rewrite = "".join(f"def part_{n}(x):\n    return {n}\n" for n in range(MAX_CHANGES))
    assert told(PARENT + "MORE = 1\n", adopted, incumbent=filtered).startswith("deblock as before v3")
    assert told(rewrite, adopted, incumbent=filtered) == ""
