"""The top-level parts of a source by name: functions, classes, assignments. Long sources are shown with parts left out.

A part that is left out can be read by its name with `inspect_attempt`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from codec_evolution.candidate import GRAMMAR

SOURCE_CHARS = 90_000
"""Longest source that a prompt shows whole; the prompt's bound on tokens depends on it."""
UNIT_CHARS = 40_000
"""Longest text of one part."""
LEAST_CHARS = 400
"""A shorter part is never left out: naming it takes as much room."""
HEAD_CHARS = 200
"""What stays of the first line of a part that is left out."""


class UnknownUnit(LookupError):
    """The source has no part of this name; the message names those that it has."""


@dataclass(frozen=True)
class Unit:
    """One top-level part: its lines, counted from 1, the last one included."""

    name: str
    node: ast.stmt
    first: int
    last: int


@lru_cache(maxsize=16)
def units(source: str) -> tuple[Unit, ...]:
    """Return the named parts of a source in their order; none of a source that does not parse."""
    try:
        tree = ast.parse(source, feature_version=GRAMMAR)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(
        Unit(name, node, _first(node), node.end_lineno or node.lineno)
        for node in tree.body
        if (name := _name(node))
    )


def unit_text(source: str, name: str) -> str:
    """Return the text of a part, at most `UNIT_CHARS` of it; raises `UnknownUnit`."""
    lines = source.splitlines()
    found = ["\n".join(lines[each.first - 1 : each.last]) for each in units(source) if each.name == name]
    if not found:
        known = ", ".join(each.name for each in units(source)) or "none"
        raise UnknownUnit(f"unknown_part: the source has no {name[:60]!r}; its parts: {known[:1000]}")
    return "\n\n".join(found)[:UNIT_CHARS]


def shortened(source: str, limit: int = SOURCE_CHARS) -> str:
    """Return a source of at most ``limit`` characters: the longest parts of a longer one are only named."""
    if len(source) <= limit:
        return source
    lines = source.splitlines()
    sizes = {each: sum(len(line) + 1 for line in lines[each.first - 1 : each.last]) for each in units(source)}
    left, out = len(source), list[Unit]()
    for each in sorted(sizes, key=lambda unit: -sizes[unit]):
        if left <= limit or sizes[each] < LEAST_CHARS:
            break
        out.append(each)
        left -= sizes[each] - len(_named(lines, each)) - 1
    text = _without(lines, sorted(out, key=lambda unit: unit.first))
    return text if len(text) <= limit else text[: limit - 40] + "\n# [the rest is left out]"


def _without(lines: Sequence[str], out: Sequence[Unit]) -> str:
    """Return lines with some parts replaced by their names."""
    shown, at = list[str](), 0
    for each in out:
        shown += [*lines[at : each.first - 1], _named(lines, each)]
        at = each.last
    return "\n".join([*shown, *lines[at:]]) + "\n"


def _named(lines: Sequence[str], unit: Unit) -> str:
    head = lines[unit.node.lineno - 1][:HEAD_CHARS]
    count = unit.last - unit.first + 1
    return f"{head}\n    # [{count} lines left out: inspect_attempt, part {unit.name[:80]!r}]"


def _first(node: ast.stmt) -> int:
    """Return the first line of a statement, its decorators included."""
    return min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])


def _name(node: ast.stmt) -> str:
    """Return the name of a part: a function's, a class's, or what is assigned; "" for anything else."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.AnnAssign | ast.AugAssign):
        return ast.unparse(node.target)
    return ", ".join(ast.unparse(each) for each in node.targets) if isinstance(node, ast.Assign) else ""
