"""The coding tools of the search's grammar, as parts that a model may read and take over."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from codec_evolution.planners.grammar.genome import Genome
from codec_evolution.planners.grammar.moves import TOOLS, Move
from codec_evolution.planners.grammar.writer import write_codec

PART_CHARS = 40_000
"""Longest text of one part."""

_BY_NAME = {tool.title: tool for tool in TOOLS}


class UnknownPart(LookupError):
    """The grammar has no tool of this name; the message lists those that it has."""


CPU: Mapping[str, tuple[int, int]] = {
    "Motion compensation": (-125, -70),
    "Levels by rate and distortion": (20, 10),
    "Hidden signs": (15, 0),
    "Long interpolation filters": (5, 5),
    "Mixed contexts": (5, 40),
    "Large transforms": (60, 15),
    "Small transforms": (15, 5),
    "Motions of quarters": (5, -5),
    "Motion shared by four macroblocks": (0, -15),
    "Decisions by coefficients": (15, 10),
    "Two references and their mean": (0, 15),
    "Last finer frame as reference": (5, 10),
    "Trained loop filter": (5, 10),
    "Trained loop filter for chroma": (5, 5),
    "Trained beginnings of contexts": (5, 10),
    "Finer frames in between": (10, 5),
    "Bits worth less in finer frames": (10, 10),
    "Short endings of packets": (-5, -20),
    "Finer first frame": (10, 20),
    "Finer chroma": (-5, 5),
    "Chroma enlarged to match its means": (0, 0),
    "Long chroma filters": (-5, 0),
    "Overlapped motion": (-5, 5),
    "Deblocking": (0, -5),
    "Fourteen intra modes": (20, 10),
    "Intra modes tried after quantisation": (5, 0),
    "Decisions in larger batches": (-55, -25),
    "Levels rebuilt towards zero": (-5, 0),
}
"""Percent of the strongest codec's CPU time, of its encoder and decoder, that each tool takes; negative where it saves.

Measured by ``python -m tests.bench parts``, in steps of five, because repeats differ by as much.
"""


def parts() -> list[dict[str, Any]]:
    """Return what the prompt's table has of each tool.

    Returns
    -------
    ``name``, ``reason``, ``gain`` (percent of the rate, as the grammar's table has it), ``encode_cpu`` and
    ``decode_cpu`` (percent, see `CPU`; None where they were not measured).
    """
    return [
        {
            "name": tool.title,
            "reason": tool.reason,
            "gain": tool.gain,
            **dict(zip(("encode_cpu", "decode_cpu"), CPU.get(tool.title, (None, None)), strict=True)),
        }
        for tool in _BY_NAME.values()
    ]


def strongest() -> Genome:
    """Return the codec that has every tool of the grammar."""
    return _with_all(_BY_NAME.values())


def without(name: str) -> Genome:
    """Return the strongest codec without one tool and those that need it; raises `UnknownPart`."""
    if name not in _BY_NAME:
        raise UnknownPart(f"unknown_part: {name[:60]!r}; there are: {', '.join(_BY_NAME)}")
    less = _with_all(tool for tool in _BY_NAME.values() if tool.title != name)
    if less != strongest():
        return less
    # Another tool sets the same genes.
    return strongest().with_genes(**{gene: getattr(Genome(), gene) for gene in _BY_NAME[name].genes})


def _with_all(tools: Iterable[Move]) -> Genome:
    """Return the plain codec with some tools, each after those that it needs."""
    genome, left = Genome(), list(tools)
    while ready := [tool for tool in left if tool.applies(genome)]:
        genome = genome.with_genes(**ready[0].genes)
        left.remove(ready[0])
    return genome


@lru_cache(maxsize=4)
def part_source(name: str) -> str:
    """Return what a tool adds to the source of the grammar's strongest codec, as a unified diff without a header.

    Raises
    ------
    UnknownPart
        There is no tool of this name.
    """
    less = write_codec(without(name)).splitlines()
    lines = difflib.unified_diff(less, write_codec(strongest()).splitlines(), lineterm="", n=3)
    return "\n".join(list(lines)[2:])[:PART_CHARS]
