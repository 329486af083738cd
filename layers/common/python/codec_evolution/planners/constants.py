"""The named constants of a codec: ``config.get("name", 0.5)`` may be set from outside and written back as a default."""

from __future__ import annotations

import ast
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codec_evolution.candidate import GRAMMAR

VARIANTS = 8
"""Settings that one tuning measures, the source's own defaults among them."""
WIDE = 10.0
"""A positive range whose ends differ by this factor is covered in equal ratios, a narrower one in equal steps."""
DIGITS = 4
"""Significant digits of a setting."""


class BadRanges(ValueError):
    """The ranges cannot be tuned; the message names the constant and what is wrong."""


@dataclass(frozen=True)
class Range:
    """The values that one constant may take; `whole` for integers alone."""

    name: str
    low: float
    high: float
    whole: bool = False

    def at(self, share: float) -> float:
        """Return the value at a share of the range, 0 to 1."""
        if self.low > 0 and self.high / self.low >= WIDE:
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + (self.high - self.low) * share
        return round(value) if self.whole else float(f"{value:.{DIGITS}g}")


def named_constants(source: str) -> dict[str, float]:
    """Return the numbers that a source reads as ``config.get(name, number)``, by name; the first of each."""
    found: dict[str, float] = {}
    for name, default in _defaults(source):
        found.setdefault(name, _number(default))
    return found


def with_constants(source: str, values: Mapping[str, float]) -> str:
    """Return a source whose named constants have other defaults."""
    lines = source.splitlines(keepends=True)
    places = [(node, values[name]) for name, node in _defaults(source) if name in values]
    for node, value in sorted(places, key=lambda place: (place[0].lineno, place[0].col_offset), reverse=True):
        line = lines[node.lineno - 1].encode()
        text = line[: node.col_offset] + repr(value).encode() + line[node.end_col_offset :]
        lines[node.lineno - 1] = text.decode()
    return "".join(lines)


def check_ranges(source: str, ranges: Sequence[Range]) -> None:
    """Raise `BadRanges` for a range that is empty, or whose constant the source does not read."""
    known = named_constants(source)
    for each in ranges:
        if each.name not in known:
            has = ", ".join(sorted(known)) or "none"
            raise BadRanges(
                f'bad_ranges: the source has no config.get("{each.name[:60]}", number); its constants: {has}'
            )
        if not each.low < each.high:
            raise BadRanges(f"bad_ranges: {each.name}: low {each.low} must be below high {each.high}")
    if len({each.name for each in ranges}) < len(ranges):
        raise BadRanges("bad_ranges: a constant is named twice")


def variants(ranges: Sequence[Range], seed: str) -> list[dict[str, float]]:
    """Return the settings to measure: none first, which leaves the defaults, then a Latin hypercube over the ranges."""
    draw, count = random.Random(seed), VARIANTS - 1
    columns: list[list[float]] = []
    for each in ranges:
        cells = draw.sample(range(count), count)
        columns.append([each.at((cell + draw.random()) / count) for cell in cells])
    return [
        {},
        *({r.name: column[n] for r, column in zip(ranges, columns, strict=True)} for n in range(count)),
    ]


def _defaults(source: str) -> list[tuple[str, ast.expr]]:
    return named_numbers(ast.parse(source, feature_version=GRAMMAR))


def named_numbers(tree: ast.AST) -> list[tuple[str, ast.expr]]:
    """Return name and default of each ``config.get(name, number)`` on one line, in the order of the source."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) == 2]
    found: list[tuple[str, ast.expr]] = []
    for node in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        name, default = node.args
        called = node.func
        if not (
            isinstance(called, ast.Attribute) and called.attr == "get" and isinstance(called.value, ast.Name)
        ):
            continue
        if (
            called.value.id != "config"
            or not isinstance(name, ast.Constant)
            or not isinstance(name.value, str)
        ):
            continue
        if _is_number(default) and default.lineno == default.end_lineno:
            found.append((name.value, default))
    return found


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _number(node: ast.expr) -> float:
    return ast.literal_eval(node)
