"""SEARCH/REPLACE edits: what fits is made, what does not is named with what it may have meant."""

import time

import pytest
from codec_evolution.planners.edits import Edit, EditFailed, apply_edits, nearest_lines

SOURCE = """import numpy as np

STEP = 8


def quantise(block, step):
    return np.round(block / step)


def scale(block, step):
    return block * step
"""


def failed(*edits: Edit) -> EditFailed:
    with pytest.raises(EditFailed) as caught:
        apply_edits(SOURCE, edits)
    return caught.value


def test_edits_are_made_in_order_and_later_ones_see_the_earlier():
    made = apply_edits(SOURCE, [Edit("STEP = 8", "STEP = 9"), Edit("STEP = 9", "STEP = 10")])
    assert made == SOURCE.replace("STEP = 8", "STEP = 10")


def test_every_edit_that_cannot_be_applied_is_named_at_once():
    message = str(failed(Edit("", "x"), Edit("step)", "x"), Edit("no such text", "x"), Edit("STEP = 8", "")))
    assert [part.partition(":")[0] for part in message.split("; ")[:1]] == ["edit_empty"]
    assert all(
        word in message for word in ("edit_empty: edit 1", "of edit 2 occurs 3 times", "of edit 3 is not")
    )
    assert "edit 4" not in message


def test_an_ambiguous_search_text_is_refused_with_its_lines():
    assert "on lines 6, 7, 10; include more of the surrounding lines" in str(failed(Edit("step)", "x")))


def test_a_text_that_differs_only_in_white_space_is_named_as_such():
    fault = failed(Edit("def quantise(block, step):\n  return np.round(block / step)", "x"))
    assert "except with different white space" in str(fault)
    assert fault.nearest.splitlines()[0] == "    6  def quantise(block, step):"
    assert fault.nearest.splitlines()[1] == "    7      return np.round(block / step)"


def test_a_misquoted_line_is_shown_beside_the_most_similar_line():
    fault = failed(Edit("def quantize(block, steps):", "x"))
    assert "it begins with 'def quantize(block, steps):'" in str(fault)
    assert fault.nearest.startswith("    6  def quantise(block, step):")


def test_a_text_that_resembles_nothing_suggests_nothing():
    assert failed(Edit("zzzzzzzz", "x")).nearest == ""
    assert nearest_lines("", "anything") == nearest_lines(SOURCE, " \n ") == ""


def test_finding_similar_lines_is_quick_and_short_for_any_text():
    source = "\n".join(f"value_{number} = compute({number}, 'x')" for number in range(3000))
    began = time.perf_counter()
    shown = nearest_lines(
        source, "\n".join(f"valeu_{number} = compute({number})" for number in range(20_000))
    )
    assert time.perf_counter() - began < 5
    assert 0 < len(shown) < 10_000
