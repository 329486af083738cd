"""The grammar's coding tools as parts: every one can be read, and they are those of its own table."""

import pytest
from codec_evolution.planners.grammar.moves import TOOLS
from codec_evolution.planners.parts import (
    MEASURED,
    PART_CHARS,
    UnknownPart,
    part_source,
    parts,
    strongest,
    without,
)


def test_the_parts_are_those_of_the_grammars_own_table():
    assert [part["name"] for part in parts()] == [tool.title for tool in TOOLS]


def test_what_was_measured_is_of_tools_that_exist_and_of_most_of_them():
    names = {tool.title for tool in TOOLS}
    assert MEASURED.keys() <= names and len(MEASURED) > len(names) / 2
    assert all(-200 <= share < 100 for row in MEASURED.values() for share in row)
    (long,) = [part for part in parts() if part["name"] == "Long interpolation filters"]
    assert (long["gain"], long["encode_cpu"], long["decode_cpu"]) == MEASURED["Long interpolation filters"]


def test_the_strongest_codec_has_every_tool_and_lacks_one_with_those_that_need_it():
    assert not [tool.title for tool in TOOLS if tool.applies(strongest())]
    assert (without("Small transforms").transform, without("Large transforms").transform) == ("two", 8)
    assert without("Motion shared by four macroblocks").partition == "two"
    assert not without("Motion compensation").moves


@pytest.mark.parametrize("name", [part["name"] for part in parts()])
def test_each_part_is_shown_as_the_lines_that_it_adds(name):
    text = part_source(name)
    assert any(line.startswith("+") and line[1:].strip() for line in text.splitlines()), name
    assert len(text) <= PART_CHARS


def test_a_part_that_does_not_exist_is_answered_with_those_that_do():
    with pytest.raises(
        UnknownPart, match="unknown_part: 'Quantum transform'; there are: Motion compensation"
    ):
        part_source("Quantum transform")
