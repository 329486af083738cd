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


MEASURED: Mapping[str, tuple[float, int, int]] = {
    "Motion compensation": (89.2, -100, -45),
    "Levels by rate and distortion": (7.7, 30, 5),
    "Hidden signs": (0.6, 15, 5),
    "Long interpolation filters": (19.2, 5, 5),
    "Mixed contexts": (2.5, 10, 35),
    "Large transforms": (5.3, 55, 25),
    "Small transforms": (2.1, 30, 10),
    "Motions of quarters": (5.2, 5, 5),
    "Motion shared by four macroblocks": (2, 5, 10),
    "Decisions by coefficients": (2.8, 5, 5),
    "Two references and their mean": (11.9, 0, 5),
    "Last finer frame as reference": (6.7, 0, 5),
    "Trained loop filter": (2.6, 5, 5),
    "Trained loop filter for chroma": (0.6, 5, 5),
    "Trained beginnings of contexts": (1.2, 0, 5),
    "Finer frames in between": (8.9, -5, 5),
    "Bits worth less in finer frames": (0.4, 0, 0),
    "Short endings of packets": (0.5, 0, 5),
    "Finer first frame": (3.1, 5, 15),
    "Finer chroma": (4.3, 0, 5),
    "Chroma enlarged to match its means": (2.7, -5, -5),
    "Long chroma filters": (3.9, -5, 5),
    "Overlapped motion": (0.6, 0, 5),
    "Deblocking": (-0.6, 0, 5),
    "Fourteen intra modes": (-0.1, 15, 15),
    "Intra modes tried after quantisation": (-0.5, 10, 5),
    "Decisions in larger batches": (0, -35, -15),
    "Levels rebuilt towards zero": (-0.7, -5, 5),
}
"""What each tool adds to the strongest codec: percent of the rate that it saves, as ``python -m tests.bench gains``
measures it on the training windows, and percent of the CPU time of encoder and decoder that it takes
(``python -m tests.bench parts``, in steps of five, because repeats differ by as much). Negative where it costs rate or
saves time."""


def parts() -> list[dict[str, Any]]:
    """Return what the prompt's table has of each tool.

    Returns
    -------
    ``name``, ``reason``, ``gain``, ``encode_cpu`` and ``decode_cpu`` (percent, see `MEASURED`; None where they were
    not measured).
    """
    unknown = (None, None, None)
    return [
        {
            "name": tool.title,
            "reason": tool.reason,
            **dict(zip(("gain", "encode_cpu", "decode_cpu"), MEASURED.get(tool.title, unknown), strict=True)),
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
