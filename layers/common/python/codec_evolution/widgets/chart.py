"""Geometry of small line charts: values go in, places in an SVG come out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

LEFT, RIGHT, TOP, BOTTOM = 44, 14, 12, 34
REFERENCE = "reference"
LABEL_GAP = 13
"""Pixels that two labels at the right edge keep between them."""


@dataclass(frozen=True)
class Axis:
    """One axis: the values at its ends (positive ones where it is logarithmic), and whether ticks are whole numbers."""

    low: float
    high: float
    title: str
    log: bool = False
    whole: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, 0 at the low end and 1 at the high end."""
        if self.log:
            low, high, value = math.log10(self.low), math.log10(self.high), math.log10(value)
        else:
            low, high = self.low, self.high
        return (value - low) / (high - low)

    def ticks(self, most: int) -> list[float]:
        """Return round values within the axis, at most about ``most``."""
        if self.log:
            return self._log_ticks(most)
        step = _nice((self.high - self.low) / max(most, 1))
        if self.whole:
            step = max(1.0, step)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(index * step, 10) for index in range(first, last + 1)]

    def _log_ticks(self, most: int) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            found = [digit * 10.0**decade for decade in decades for digit in digits]
            found = [
                value for value in found if self.low <= value * (1 + 1e-9) and value <= self.high * (1 + 1e-9)
            ]
            if len(found) <= most:
                return found
        return found


@dataclass(frozen=True)
class Series:
    """One line: points (x, y), a label at its right end, and its weight (``accent``, ``old``, ``reference``)."""

    points: Sequence[tuple[float, float]]
    label: str
    weight: str
    dots: bool = True


@dataclass(frozen=True)
class Mark:
    """A horizontal line at a value, with its label."""

    value: float
    label: str


@dataclass(frozen=True)
class Line:
    """A drawn series."""

    path: str
    dots: list[tuple[float, float]]
    label: str
    label_x: float
    label_y: float
    weight: str
    anchor: str = "start"


@dataclass(frozen=True)
class Drawing:
    """Everything a template needs to print the chart; places are pixels from the upper left corner."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    title: str
    x_title: str
    y_title: str
    x_ticks: list[tuple[float, str]] = field(default_factory=list)
    y_ticks: list[tuple[float, str]] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def draw(
    title: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    *,
    width: int,
    height: int,
    marks: Sequence[Mark] = (),
    label_px: int = 0,
) -> Drawing:
    """Place series and marks.

    Parameters
    ----------
    width, height
        Size of the whole drawing in pixels.
    label_px
        Room for labels right of the lines.
    """
    left, right, top, bottom = LEFT, width - RIGHT - label_px, TOP, height - BOTTOM

    def at_x(value: float) -> float:
        return round(left + x.place(value) * (right - left), 1)

    def at_y(value: float) -> float:
        return round(bottom - y.place(value) * (bottom - top), 1)

    lines = []
    for each in series:
        places = [(at_x(px), at_y(py)) for px, py in each.points]
        path = "M" + " L".join(f"{px},{py}" for px, py in places)
        end = places[-1]
        dots = places if each.dots else []
        if each.weight == REFERENCE:
            # Above its own end, so that the lines that lie right of it do not cross it.
            lines.append(Line(path, dots, each.label, end[0] - 4, end[1] - 8, each.weight, "end"))
        else:
            lines.append(Line(path, dots, each.label, end[0] + 8, end[1] + 4, each.weight))
    return Drawing(
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        title=title,
        x_title=x.title,
        y_title=y.title,
        x_ticks=[(at_x(value), number(value)) for value in x.ticks(max(2, (right - left) // 60))],
        y_ticks=[(at_y(value), number(value)) for value in y.ticks(max(2, (bottom - top) // 32))],
        marks=[(at_y(mark.value), mark.label) for mark in marks if y.low <= mark.value <= y.high],
        lines=_spread(lines, top, bottom) if label_px else lines,
    )


def around(values: Sequence[float], *, pad: float = 0.08, least: float = 1.0) -> tuple[float, float]:
    """Return ends of a linear axis with some room round the values, at least ``least`` apart."""
    low, high = min(values), max(values)
    middle, half = (low + high) / 2, max((high - low) / 2 * (1 + 2 * pad), least / 2)
    return middle - half, middle + half


def around_log(values: Sequence[float], *, pad: float = 1.15) -> tuple[float, float]:
    """Return ends of a logarithmic axis with some room round positive values."""
    return min(values) / pad, max(values) * pad


def number(value: float) -> str:
    """Return a tick's label without needless zeros and with a true minus."""
    return f"{value:g}".replace("-", "\u2212")


def _nice(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= step * (1 - 1e-9))


def _spread(lines: list[Line], top: float, bottom: float) -> list[Line]:
    """Move labels apart so that none covers another, in the order of their lines' ends."""
    placed: list[Line] = []
    floor = top
    for line in sorted(lines, key=lambda each: each.label_y):
        if line.anchor == "end":
            placed.append(line)
            continue
        y = max(line.label_y, floor)
        floor = y + LABEL_GAP
        placed.append(replace(line, label_y=y))
    overflow = max(0.0, floor - LABEL_GAP - bottom)
    return [replace(line, label_y=line.label_y - overflow) for line in placed]
