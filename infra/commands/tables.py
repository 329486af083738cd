"""Tables and paragraphs for the terminal: no line is wider than the console, no column narrower than a few words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from codec_evolution.framework.visible_text import visible_line
from rich.console import Console
from rich.text import Text

COLOURS = {
    "adopted": "green",
    "rejected": "yellow",
    "test_failed": "red",
    "skipped": "dim",
    "passed": "green",
}
"""Styles of status words."""
MIN_TEXT_WIDTH = 24
"""A text column that would become narrower than this many characters moves below its row."""
GAP = "  "
"""Between two columns."""
NOTE_INDENT = " " * 4
"""Before what stands below a row."""


class Column(NamedTuple):
    """A column: ``word`` and ``number`` keep their width, ``text`` wraps, or moves below the row for lack of room.

    The heading may have several lines.
    """

    heading: str
    kind: Literal["word", "number", "text"] = "word"


@dataclass(frozen=True)
class Row:
    """The cells of a row, and paragraphs that belong below it."""

    cells: Sequence[str | Text]
    notes: Sequence[str] = ()


def number(value: float | None, form: str, unit: str = "") -> str:
    """Return a figure in a format of `format`, with its unit; empty for None."""
    return "" if value is None else format(value, form) + unit


def print_paragraph(
    console: Console, text: str | Text, style: str = "", *, first: str = "", rest: str | None = None
) -> None:
    """Print a text, wrapped.

    Parameters
    ----------
    text
        A string is taken for untrusted and escaped by `visible_line`.
    first, rest
        Indent of the first line and of the others; the same unless told.
    """
    whole = text if isinstance(text, Text) else Text(visible_line(text), style=style)
    indent = first if rest is None else rest
    width = max(console.width - max(len(first), len(indent)), 1)
    lines = whole.wrap(console, width, overflow="fold")
    _print_lines(console, [Text(indent if count else first) + line for count, line in enumerate(lines)])


def print_table(console: Console, columns: Sequence[Column], rows: Sequence[Row], *, title: str = "") -> None:
    """Print rows below their headings.

    Strings are taken for untrusted and escaped by `visible_line`; a `Text` is printed with its style.
    """
    if title:
        print_paragraph(console, title, "bold")
    table = [[_text(cell) for cell in row.cells] for row in rows]
    headings = [column.heading.split("\n") for column in columns]
    widths = [
        max([*map(len, heading), *(cells[index].cell_len for cells in table)])
        for index, heading in enumerate(headings)
    ]
    widths = _fitted(widths, columns, console.width)
    height = max(map(len, headings))
    for line in range(height):
        cells = [Text(([""] * (height - len(each)) + each)[line], style="dim") for each in headings]
        _print_cells(console, columns, widths, cells)
    for row, cells in zip(rows, table, strict=True):
        _print_cells(console, columns, widths, cells)
        for column, width, cell in zip(columns, widths, cells, strict=True):
            if not width and cell:
                heading = column.heading.replace("\n", " ")
                print_paragraph(console, Text(f"{heading}: ", style="dim") + cell, first=NOTE_INDENT)
        for note in filter(None, row.notes):
            print_paragraph(console, note, "dim", first=NOTE_INDENT)


def _text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(visible_line(cell))


def _fitted(widths: Sequence[int], columns: Sequence[Column], available: int) -> list[int]:
    """Return widths that fit into a line: text columns give way, the widest first; 0 for those below the row."""
    fitted = list(widths)
    texts = [index for index, column in enumerate(columns) if column.kind == "text"]
    while (excess := _line_width(fitted) - available) > 0:
        widest = max(texts, key=lambda index: fitted[index], default=None)
        if widest is not None:
            texts.remove(widest)
            room = fitted[widest] - excess
            fitted[widest] = room if room >= MIN_TEXT_WIDTH else 0
            continue
        # No text is left: a name that a person chose is very long, or the terminal very narrow.
        widest = max(range(len(fitted)), key=lambda index: fitted[index])
        fitted[widest] = max(fitted[widest] - excess, 1)
        break
    return fitted


def _line_width(widths: Sequence[int]) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + len(GAP) * (len(shown) - 1)


def _print_cells(
    console: Console, columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Text]
) -> None:
    _print_lines(console, list(_lines(console, columns, widths, cells)))


def _lines(
    console: Console, columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Text]
) -> Iterator[Text]:
    """Yield the lines of one row."""
    shown = [
        (column.kind == "number", width, cell.wrap(console, width, overflow="fold"))
        for column, width, cell in zip(columns, widths, cells, strict=True)
        if width
    ]
    for index in range(max(len(parts) for _, _, parts in shown)):
        line = Text()
        for right, width, parts in shown:
            part = parts[index] if index < len(parts) else Text()
            part.align("right" if right else "left", width)
            line = line + part + Text(GAP)
        yield line


def _print_lines(console: Console, lines: Sequence[Text]) -> None:
    """Print lines at once, which takes rich two thirds of the time of one after the other."""
    for line in lines:
        line.rstrip()
    console.print(Text("\n").join(lines), soft_wrap=True)


def status_text(status: str) -> Text:
    """Return a status word in its colour."""
    return Text(visible_line(status), style=COLOURS.get(status, ""))
