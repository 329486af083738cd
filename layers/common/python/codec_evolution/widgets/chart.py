"""Geometry of small line charts: from values to positions in an SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

LEFT, RIGHT, TOP, BOTTOM = 44, 14, 12, 34
"""Margins in pixels."""
ACCENT, REFERENCE = "accent", "reference"
LABEL_GAP = 13
"""Pixels between two labels, one above the other."""
PLACE_TOLERANCE = 0.1
LABEL_RISE = 9
"""Pixels between a label and the end of its line: a curve that rises to the right leaves space above its end."""
SIGN_PX = 7
"""Upper bound of the width of one character of a label."""
ASIDE_PX = 44
"""Space for labels to the right of the lines, in pixels."""
ASIDE_GAP = 8
TICK_X_PX, TICK_Y_PX = 48, 32
"""Least distance of two ticks, in pixels."""


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes
    ----------
    low, high
        The values at its ends; positive if the axis is logarithmic.
    whole
        Whether ticks are whole numbers.
    """

    low: float
    high: float
    title: str
    log: bool = False
    whole: bool = False

    def place(self, value: float) -> float:
        """Return the position of a value: 0 at the low end, 1 at the high end."""
        if self.log:
            low, high, value = math.log10(self.low), math.log10(self.high), math.log10(value)
        else:
            low, high = self.low, self.high
        return (value - low) / (high - low)

    def ticks(self, most: int) -> list[float]:
        """Return round values within the axis, about ``most`` at most."""
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
        within_a_decade = ((1, 2, 3, 5, 7),) if self.high < 10 * self.low else ()
        found: list[float] = []
        for digits in (*within_a_decade, (1, 2, 5), (1, 3), (1,)):
            found = [digit * 10.0**decade for decade in decades for digit in digits]
            found = [
                value for value in found if self.low <= value * (1 + 1e-9) and value <= self.high * (1 + 1e-9)
            ]
            if len(found) <= most:
                return found
        return found


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes
    ----------
    points
        Pairs (x, y).
    label
        Placed above the last point, or to the right of it if ``aside``.
    weight
        ``accent``, ``old`` or ``reference``.
    """

    points: Sequence[tuple[float, float]]
    label: str
    weight: str
    dots: bool = True
    aside: bool = False


@dataclass(frozen=True)
class Mark:
    """A horizontal line at a value, with a label."""

    value: float
    label: str


@dataclass(frozen=True)
class Line:
    """A drawn series."""

    path: str
    dots: list[tuple[float, float]]
    ends: tuple[tuple[float, float], tuple[float, float]]
    label: str
    label_x: float
    label_y: float
    weight: str
    anchor: str

    @property
    def label_ends(self) -> tuple[float, float]:
        """The left and right end of the label, in pixels from the left."""
        width = SIGN_PX * len(self.label)
        left = self.label_x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return left, left + width


@dataclass(frozen=True)
class DrawnMark:
    """A drawn mark; its label is at the end of the line where the series are farther away."""

    y: float
    label: str
    label_x: float
    anchor: str


@dataclass(frozen=True)
class Drawing:
    """Everything a template needs to draw the chart; positions are pixels from the upper left corner."""

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
    marks: list[DrawnMark] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True)
class _Plane:
    """Where the two axes lie in the drawing, in pixels."""

    x: Axis
    y: Axis
    left: float
    right: float
    top: float
    bottom: float

    def at_x(self, value: float) -> float:
        return round(self.left + self.x.place(value) * (self.right - self.left), 1)

    def at_y(self, value: float) -> float:
        return round(self.bottom - self.y.place(value) * (self.bottom - self.top), 1)

    def line(self, series: Series) -> Line:
        places = [(self.at_x(x), self.at_y(y)) for x, y in series.points]
        path = "M" + " L".join(f"{x},{y}" for x, y in places)
        dots = places if series.dots else []
        ends, (x, y) = (places[0], places[-1]), places[-1]
        if series.aside:
            return Line(path, dots, ends, series.label, x + ASIDE_GAP, y + 4, series.weight, "start")
        # A line that ends near the right edge has its label to the left of its end.
        edge = self.right - SIGN_PX * len(series.label) / 2
        anchor = "end" if series.weight == REFERENCE or x > edge else "middle"
        return Line(path, dots, ends, series.label, x, y - LABEL_RISE, series.weight, anchor)

    def mark(self, mark: Mark, lines: Sequence[Line]) -> DrawnMark:
        y = self.at_y(mark.value)
        starts, ends = ([abs(line.ends[side][1] - y) for line in lines] for side in (0, 1))
        if min(starts, default=0.0) >= min(ends, default=0.0):
            return DrawnMark(y, mark.label, self.left + 2, "start")
        return DrawnMark(y, mark.label, self.right - 2, "end")


def draw(
    title: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    *,
    width: int,
    height: int,
    marks: Sequence[Mark] = (),
) -> Drawing:
    """Return the drawing of some series and marks.

    Parameters
    ----------
    series
        Each has at least one point.
    width, height
        Pixels of the whole drawing.
    marks
        Those outside the y axis are left out.
    """
    aside = ASIDE_PX if any(each.aside for each in series) else 0
    plane = _Plane(x, y, LEFT, width - RIGHT - aside, TOP, height - BOTTOM)
    columns, rows = (plane.right - plane.left) // TICK_X_PX, (plane.bottom - plane.top) // TICK_Y_PX
    lines = [plane.line(each) for each in series]
    return Drawing(
        width=width,
        height=height,
        left=plane.left,
        right=plane.right,
        top=plane.top,
        bottom=plane.bottom,
        title=title,
        x_title=x.title,
        y_title=y.title,
        x_ticks=[(plane.at_x(value), number(value)) for value in x.ticks(max(2, int(columns)))],
        y_ticks=[(plane.at_y(value), number(value)) for value in y.ticks(max(2, int(rows)))],
        marks=[plane.mark(mark, lines) for mark in marks if y.low <= mark.value <= y.high],
        lines=_spread(lines),
    )


def around(values: Sequence[float], *, pad: float = 0.08, least: float = 1.0) -> tuple[float, float]:
    """Return the ends of a linear axis with a margin around the values, at least ``least`` apart."""
    low, high = min(values), max(values)
    middle, half = (low + high) / 2, max((high - low) / 2 * (1 + 2 * pad), least / 2)
    return middle - half, middle + half


def around_log(values: Sequence[float], *, pad: float = 1.15) -> tuple[float, float]:
    """Return the ends of a logarithmic axis with a margin around positive values."""
    return min(values) / pad, max(values) * pad


def number(value: float) -> str:
    """Return the label of a tick, without trailing zeros and with a true minus sign."""
    return f"{value:g}".replace("-", "\u2212")


def _nice(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= step * (1 - 1e-9))


def _spread(lines: list[Line]) -> list[Line]:
    """Move labels up until none covers another; accented ones keep their place."""
    placed: dict[int, Line] = {}
    for place in sorted(range(len(lines)), key=lambda each: lines[each].weight != ACCENT):
        line = lines[place]
        left, right = line.label_ends
        beside = [
            each.label_y
            for each in placed.values()
            if left < each.label_ends[1] and each.label_ends[0] < right
        ]
        y = line.label_y
        # Ends: each turn moves past at least one label, as positions are rounded to less than the tolerance.
        while near := [other for other in beside if abs(y - other) < LABEL_GAP - PLACE_TOLERANCE]:
            y = round(min(near) - LABEL_GAP, 1)
        placed[place] = replace(line, label_y=y)
    return [placed[place] for place in range(len(lines))]
