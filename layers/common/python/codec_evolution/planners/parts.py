"""The coding tools of the search's grammar, as parts that a model may read and take over."""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import Any

from codec_evolution.planners.grammar.genome import Genome
from codec_evolution.planners.grammar.moves import TOOLS
from codec_evolution.planners.grammar.writer import write_codec

PART_CHARS = 40_000
"""Longest text of one part."""

_BY_NAME = {tool.title: tool for tool in TOOLS}


class UnknownPart(LookupError):
    """The grammar has no tool of this name; the message lists those that it has."""


def parts() -> list[dict[str, Any]]:
    """Return ``name``, ``reason`` and ``gain`` (percent of the rate) of each tool, as the grammar's table has them."""
    return [{"name": tool.title, "reason": tool.reason, "gain": tool.gain} for tool in _BY_NAME.values()]


@lru_cache(maxsize=4)
def part_source(name: str) -> str:
    """Return what a tool adds to the source of the grammar's strongest codec, as a unified diff without a header.

    Raises
    ------
    UnknownPart
        There is no tool of this name.
    """
    tool = _BY_NAME.get(name)
    if tool is None:
        raise UnknownPart(f"unknown_part: {name[:60]!r}; there are: {', '.join(_BY_NAME)}")
    plain = Genome()
    strongest = plain
    for each in _BY_NAME.values():
        strongest = strongest.with_genes(**each.genes)
    without = strongest.with_genes(**{gene: getattr(plain, gene) for gene in tool.genes})
    lines = difflib.unified_diff(
        write_codec(without).splitlines(), write_codec(strongest).splitlines(), lineterm="", n=3
    )
    return "\n".join(list(lines)[2:])[:PART_CHARS]
