"""Geometry of small line charts: values go in, places in an SVG come out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

LEFT, RIGHT, TOP, BOTTOM = 44, 14, 12, 34
ACCENT, REFERENCE = "accent", "reference"
LABEL_GAP = 13
"""Pixels that a label keeps to the one above it."""
PLACE_TOLERANCE = 0.1
LABEL_RISE = 9
"""Pixels that a label stands above the end of its line, where curves that rise to the right leave room."""
SIGN_PX = 7
"""Width of one sign of a label, at least as wide as any."""
ASIDE_PX = 44
"""Room for labels right of the lines."""


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
        within_a_decade = ((1, 2, 3, 5, 7),) if self.high < 10 * self.low else ()
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
        Stands above the last point, or right of it where ``aside``.
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
    anchor: str

    @property
    def label_ends(self) -> tuple[float, float]:
        """Where the label begins and ends, in pixels from the left."""
        width = SIGN_PX * len(self.label)
        left = self.label_x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return left, left + width


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
) -> Drawing:
    """Place series and marks; ``width`` and ``height`` are pixels of the whole drawing."""
    aside = ASIDE_PX if any(each.aside for each in series) else 0
    left, right, top, bottom = LEFT, width - RIGHT - aside, TOP, height - BOTTOM

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
        if each.aside:
            lines.append(Line(path, dots, each.label, end[0] + 8, end[1] + 4, each.weight, "start"))
            continue
        # A line that ends at the right edge has its label to the left of that edge.
        edge = right - SIGN_PX * len(each.label) / 2
        anchor = "end" if each.weight == REFERENCE or end[0] > edge else "middle"
        lines.append(Line(path, dots, each.label, end[0], end[1] - LABEL_RISE, each.weight, anchor))
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
        x_ticks=[(at_x(value), number(value)) for value in x.ticks(max(2, (right - left) // 48))],
        y_ticks=[(at_y(value), number(value)) for value in y.ticks(max(2, (bottom - top) // 32))],
        marks=[(at_y(mark.value), mark.label) for mark in marks if y.low <= mark.value <= y.high],
        lines=_spread(lines),
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


def _spread(lines: list[Line]) -> list[Line]:
    """Move labels up until none covers another; the one that matters most stays at its line."""
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
        # Each turn leaves the lowest ones behind, as places are rounded to less than the tolerance.
        while near := [other for other in beside if abs(y - other) < LABEL_GAP - PLACE_TOLERANCE]:
            y = round(min(near) - LABEL_GAP, 1)
        placed[place] = replace(line, label_y=y)
    return [placed[place] for place in range(len(lines))]
