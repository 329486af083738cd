"""The notes of a lineage: when they are due, what the rules write, and that a model's text stays bounded data."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from codec_evolution import artifacts
from codec_evolution.candidate import Candidate
from codec_evolution.planners.base import Briefing, PastAttempt, Proposal
from codec_evolution.planners.memory import (
    EVERY,
    LINE_CHARS,
    LINES,
    RULES,
    Memory,
    Notes,
    by_rules,
    is_due,
    unread,
)
from codec_evolution.planners.search import SearchPlanner

from tests.support.memory_bucket import MemoryBucket


def memory_of(bucket: MemoryBucket) -> Memory:
    return Memory(cast("Any", bucket), "main")


def past(number: int, status: str = "rejected", rate: float | None = 1.0, **more) -> PastAttempt:
    known: dict[str, Any] = {
        "attempt_id": f"a{number:03d}",
        "status": status,
        "reason": "not_better",
        "hypothesis": f"Idea {number}",
        "bitrate_mbps": 3.0,
        "bd_rate_vs_incumbent": rate,
        "planner": "claude",
        "parent_version": 2,
    }
    return PastAttempt(**known | more)


def test_notes_are_due_after_enough_judged_attempts_and_skipped_ones_do_not_count():
    nine = [past(number) for number in range(EVERY - 1)]
    assert not is_due(None, [*nine, past(50, "skipped")])
    assert is_due(None, [*nine, past(50, "test_failed", None)])
    notes = Notes(version=1, through="a003", by=RULES)
    assert [each.attempt_id for each in unread(notes, nine)] == [f"a{n:03d}" for n in range(4, 9)]


def test_the_rules_sort_ideas_by_their_figures_and_keep_older_lines():
    before = Notes(version=4, through="a000", by=RULES, helps=("an old gain",), hurts=("an old loss",))
    notes = by_rules(
        before,
        [
            past(5, rate=-4.0, hypothesis="Wide\u202e search"),
            past(4, "adopted", -12.0, parent_version=1),
            past(3, rate=7.0),
            past(2, "test_failed", None, reason="timeout: 31 s"),
        ],
    )
    assert (notes.version, notes.through, notes.by) == (5, "a005", RULES)
    assert notes.helps == (
        "Idea 4: -12.0 % against v1",
        "Wide\\u202e search: -4.0 % against v2",
        "an old gain",
    )
    assert notes.hurts == ("Idea 3: +7.0 % against v2", "Idea 2: failed (timeout: 31 s)", "an old loss")
    assert notes.open == ("Wide\\u202e search: -4.0 % against v2: short of the margin, may be carried on",)


def test_an_idea_of_the_search_is_named_by_its_tools():
    notes = by_rules(
        None, [past(1, rate=-3.0, planner="search", hypothesis="Deblocking + Finer chroma: why")]
    )
    assert notes.helps == ("Deblocking + Finer chroma: -3.0 % against v2",)


def test_notes_are_bounded_and_visible_whatever_was_written():
    lines = ["x" * 9999, "", " ", "a\nb", "a\nb", *map(str, range(99))]
    wild = Notes.model_validate({"version": 1, "through": "a", "by": "m", "helps": lines})
    assert len(wild.helps) == LINES and wild.helps[:2] == ("x" * LINE_CHARS, "a b")
    assert len(wild.text.splitlines()) == LINES + 1


def test_notes_are_kept_by_version_and_the_same_call_twice_changes_nothing():
    bucket = MemoryBucket()
    memory = memory_of(bucket)
    assert memory.latest() is None
    attempts = [past(number) for number in range(EVERY)]
    first = memory.refresh(attempts)
    stored = dict(bucket)
    assert first is not None and first.version == 1
    assert memory.refresh(attempts) == memory.latest() == first
    assert bucket == stored
    second = memory.refresh([past(number) for number in range(EVERY, 2 * EVERY)])
    assert second is not None and second.version == 2
    assert bucket[artifacts.notes("main", 1)] == stored[artifacts.notes("main", 1)]


@pytest.mark.parametrize("stored", ["text", {"version": 0}, {"version": 1, "through": "a", "by": 3}, []])
def test_what_is_no_notes_is_written_anew(stored):
    memory = memory_of(MemoryBucket({artifacts.latest_notes("main"): stored}))
    assert memory.latest() is None
    assert memory.refresh([past(number) for number in range(EVERY)]) is not None


@pytest.mark.parametrize(("slot", "written"), [(0, True), (1, False)])
def test_the_first_slot_of_a_search_writes_the_notes_by_rules(slot, written):
    bucket = MemoryBucket()
    outcomes = tuple(past(number, planner="search", hypothesis="Deblocking: why") for number in range(EVERY))
    brief = Briefing(f"a#{slot:02d}", "main", 0, Candidate("x = 1\n"), 0, frozenset(), outcomes)
    context: Any = SimpleNamespace(item=SimpleNamespace(slot=slot), round=0, briefing=lambda: brief)
    assert isinstance(SearchPlanner(cast("Any", bucket)).step(context).outcome, Proposal)
    notes = memory_of(bucket).latest()
    assert (notes is not None) is written
    if notes is not None:
        assert notes.hurts == ("Deblocking: +1.0 % against v2",)
