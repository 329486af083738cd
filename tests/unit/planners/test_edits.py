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


def test_an_edit_that_changes_nothing_is_named():
    message = str(
        failed(Edit("STEP = 8", "STEP = 8"), Edit("no such text\n", "no such text\r\n"), Edit("STEP = 8", ""))
    )
    assert message == (
        "edit_noop: the replacement of edit 1 is its search text, so it changes nothing; "
        "edit_noop: the replacement of edit 2 is its search text, so it changes nothing"
    )


def test_edits_that_undo_each_other_are_named():
    message = str(failed(Edit("STEP = 8", "STEP = 9"), Edit("STEP = 9", "STEP = 8")))
    assert message == "edit_noop: the edits undo each other, so the source stays as it is"


def test_no_edits_leave_the_source_as_it_is():
    assert apply_edits(SOURCE, []) == SOURCE


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("sent", ["\n", "\r\n"])
def test_lines_are_found_whatever_their_ends_and_the_source_keeps_its_own(ends, sent):
    def lines(text: str, end: str) -> str:
        return text.replace("\n", end)

    edits = [
        Edit(lines("step):\n    return np", sent), lines("step):\n    step += 1\n    return np", sent)),
        Edit("STEP = 8", lines("STEP = 8\nHALF = 4", sent)),
    ]
    expected = SOURCE.replace("step):\n    return np", "step):\n    step += 1\n    return np")
    expected = expected.replace("STEP = 8", "STEP = 8\nHALF = 4")
    assert apply_edits(lines(SOURCE, ends), edits) == lines(expected, ends)


def test_a_text_over_lines_that_occurs_twice_is_refused_in_a_source_with_crlf():
    with pytest.raises(EditFailed, match="occurs 2 times in the source, on lines 1, 3;"):
        apply_edits("a\r\nb\r\na\r\nb\r\n", [Edit("a\nb", "c")])


def test_a_replacement_is_taken_literally():
    assert apply_edits("a = 1\n", [Edit("1", r"'\1\g<0>\n'")]) == "a = '\\1\\g<0>\\n'\n"


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
