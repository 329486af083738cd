"""What the layer makes of a training: the trainer is checked before it is sent, and the answer before it is used."""

from __future__ import annotations

from typing import Any

import pytest
from codec_evolution.candidate import MAX_SOURCE_BYTES, sha256_hex
from codec_evolution.planners.training import (
    MARK,
    MAX_TRAINER_BYTES,
    BadTrainer,
    check_trainer,
    read_trained,
    trained_constants,
    with_constants_of,
)
from codec_sandbox import request, trained_source

SOURCE = 'é = 1\nW = "old"\n"""Weights."""\nV = "v"\n'
EDITS = [[7, 16, '# Trained on bunny/1.\nW = "new"']]
MADE = 'é = 1\n# Trained on bunny/1.\nW = "new"\n"""Weights."""\nV = "v"\n'
ANSWER: dict[str, Any] = {
    "source_sha256": sha256_hex(MADE),
    "edits": EDITS,
    "arrays": {"W": {"dtype": "int8", "shape": [2, 3], "text_bytes": 3}},
    "windows": ["bunny/1"],
}


def test_what_the_sandbox_writes_is_known_by_the_same_mark_and_limit() -> None:
    assert (MARK, MAX_TRAINER_BYTES) == (trained_source.MARK, request.MAX_TRAINER_BYTES)


def test_the_edits_of_a_report_make_the_source_that_was_measured() -> None:
    trained = read_trained({"trained": ANSWER})
    assert trained is not None and trained.applied_to(SOURCE).source == MADE
    assert read_trained({"points": []}) is None


@pytest.mark.parametrize(
    "edits", [[], [[0, 16, "x"]], [[8, 9, ""]], [[-5, 10**9, "x"]], [[9, 7, "x"], [3, 4, "y"]]]
)
def test_edits_that_make_another_source_are_refused(edits: list[Any]) -> None:
    trained = read_trained({"trained": {**ANSWER, "edits": edits}})
    assert trained is not None
    with pytest.raises(BadTrainer, match="do not lead to the source"):
        trained.applied_to(SOURCE)


@pytest.mark.parametrize(
    "change",
    [
        {"edits": [["a", 1, "x"]]},
        {"edits": [[1, 2]]},
        {"arrays": {"W": 1}},
        {"edits": EDITS * 17},
        {"windows": 3},
    ],
)
def test_an_answer_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadTrainer, match="cannot be read"):
        read_trained({"trained": {**ANSWER, **change}})


@pytest.mark.parametrize(
    ("trainer", "part"),
    [
        ("", "no function train"),
        ("def fit(): pass", "no function train"),
        ("def train(", "bad_trainer: "),
        ("x" * (MAX_TRAINER_BYTES + 1), "the limit is 32768"),
    ],
)
def test_a_text_that_is_no_trainer_is_refused_before_anything_is_paid(trainer: str, part: str) -> None:
    with pytest.raises(BadTrainer, match=part):
        check_trainer(trainer)
    check_trainer("def train(videos, config):\n    return {}\n")


def test_trained_constants_are_found_by_their_note() -> None:
    assert trained_constants(MADE) == {"W": '# Trained on bunny/1.\nW = "new"'}
    assert trained_constants(SOURCE) == {} == trained_constants("def (")


def test_another_source_takes_the_trained_constants_alone() -> None:
    child = 'A = 2\nW = (\n    "other"\n    "one"\n)\nV = "mine"\n'
    expected = 'A = 2\n# Trained on bunny/1.\nW = "new"\nV = "mine"\n'
    assert with_constants_of(child, MADE) == expected
    assert with_constants_of("A = 3\n", MADE) == "A = 3\n"
    assert with_constants_of(child, SOURCE) == child
    again = '# Trained on bunny/2.\nW = "old"\n'
    assert with_constants_of(again, MADE).count(MARK) == 1


def test_constants_that_do_not_fit_are_left_behind() -> None:
    full = 'W = ""\n' + "#" * (MAX_SOURCE_BYTES - 10)
    assert with_constants_of(full, MADE) == full
