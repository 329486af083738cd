"""The parts of a source: what is shown of one that is too long for a prompt, and each part by its name."""

import pytest
from codec_evolution.candidate import MAX_SOURCE_BYTES
from codec_evolution.planners.grammar.genome import Genome
from codec_evolution.planners.grammar.moves import TOOLS
from codec_evolution.planners.grammar.writer import write_codec
from codec_evolution.planners.units import (
    SOURCE_CHARS,
    UnknownUnit,
    shortened,
    unit_text,
    units,
)

TABLE = "TABLE = " + repr("t" * 3000)
LONG = "def long(x):\n" + "    x += 1\n" * 100 + "    return x"
SOURCE = f"import numpy as np\n\n{TABLE}\n\n\n@np.vectorize\n{LONG}\n\n\ndef short(x):\n    return x\n"


def strongest() -> str:
    genome = Genome()
    for tool in TOOLS:
        genome = genome.with_genes(**tool.genes)
    return write_codec(genome)


def test_a_short_source_is_shown_as_it_is():
    assert shortened(SOURCE) == SOURCE


def test_the_longest_parts_of_a_long_source_are_named_first():
    text = shortened(SOURCE, 2000)
    assert "part 'TABLE']" in text and LONG in text and "t" * 300 not in text
    text = shortened(SOURCE, 900)
    assert "102 lines left out" not in text and "103 lines left out: inspect_attempt, part 'long']" in text
    assert "def short(x):\n    return x\n" in text


@pytest.mark.parametrize(
    "source",
    [
        "\n".join(f"def f{n}():\n    return {n}" for n in range(6000)),
        "x" * MAX_SOURCE_BYTES,
        "(" * MAX_SOURCE_BYTES,
        strongest() + "\nEXTRA = '" + "x" * 30_000 + "'\n",
    ],
    ids=["many small parts", "one line", "no Python", "the grammar's strongest codec"],
)
def test_every_source_is_shown_within_the_limit(source):
    assert 1000 < len(shortened(source)) <= SOURCE_CHARS


def test_each_part_can_be_read_by_its_name():
    assert [each.name for each in units(SOURCE)] == ["TABLE", "long", "short"]
    assert unit_text(SOURCE, "TABLE") == TABLE
    assert unit_text(SOURCE, "long") == f"@np.vectorize\n{LONG}"
    with pytest.raises(UnknownUnit, match="no 'other'; its parts: TABLE, long, short"):
        unit_text(SOURCE, "other")


def test_what_is_shown_of_the_strongest_codec_lacks_only_what_it_names():
    source = strongest() + "\nEXTRA = '" + "x" * 30_000 + "'\n"
    text = shortened(source)
    named = {line.partition("part '")[2][:-2] for line in text.splitlines() if "lines left out" in line}
    assert "EXTRA" in named and all(unit_text(source, name) not in text for name in named)
    lines = source.splitlines()
    kept = ["\n".join(lines[each.first - 1 : each.last]) for each in units(source) if each.name not in named]
    assert kept and all(each in text for each in kept)
