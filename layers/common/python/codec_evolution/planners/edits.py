"""SEARCH/REPLACE edits of a source."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

COMPARED_LINES = 60
"""Lines of a search text that are compared; bounds the work for a long one."""
COMPARED_CHARS = 200
"""Characters of a line that are compared and shown."""
SHOWN_LINES = 20
"""Most lines that are shown as similar."""
SIMILAR = 0.6
"""Similarity of two lines, 0 to 1, from which one is suggested for the other (`difflib`)."""


class EditFailed(ValueError):
    """An edit cannot be applied; the message starts with a machine word and names the edit.

    Attributes
    ----------
    nearest
        Numbered lines of the source that are most similar to the search texts; "" for none. Written by a model.
    """

    def __init__(self, message: str, nearest: str = "") -> None:
        super().__init__(message)
        self.nearest = nearest


@dataclass(frozen=True)
class Edit:
    """One replacement; ``search`` must occur exactly once in the source. Line ends need not be the source's."""

    search: str
    replace: str


def apply_edits(source: str, edits: Sequence[Edit]) -> str:
    """Return the source with all edits applied, in order; it keeps its kind of line ends.

    Raises
    ------
    EditFailed
        At least one edit cannot be applied or changes nothing; the message names all of those, not only the first.
        Or the edits together change nothing.
    """
    base = source
    problems: list[str] = []
    nearest: list[str] = []
    for number, edit in enumerate(edits, 1):
        found = _occurrences(source, edit.search)
        if not edit.search:
            problems.append(f"edit_empty: edit {number} has an empty search text")
        elif _unix(edit.search) == _unix(edit.replace):
            problems.append(
                f"edit_noop: the replacement of edit {number} is its search text, so it changes nothing"
            )
        elif len(found) == 1:
            start, end = found[0]
            source = source[:start] + _with_line_ends_of(source, edit.replace) + source[end:]
        elif found:
            lines = ", ".join(str(source.count("\n", 0, start) + 1) for start, _ in found[:10])
            problems.append(
                f"edit_ambiguous: the search text of edit {number} occurs {len(found)} times in the source, on lines "
                f"{lines}; include more of the surrounding lines"
            )
        else:
            problems.append(_not_found(number, edit.search, source))
            nearest.append(nearest_lines(source, edit.search))
    if edits and not problems and source == base:
        problems.append("edit_noop: the edits undo each other, so the source stays as it is")
    if problems:
        raise EditFailed("; ".join(problems), "\n...\n".join(text for text in nearest if text))
    return source


def nearest_lines(source: str, search: str) -> str:
    """Return the lines of a source that are most similar to a search text, with their numbers, or ""."""
    lines = source.splitlines()
    wanted = search.strip("\n").splitlines()[:COMPARED_LINES]
    stripped = [line.strip() for line in lines]
    sought = [line.strip() for line in wanted]
    scores = [
        sum(a == b and bool(a) for a, b in zip(stripped[first:], sought, strict=False))
        for first in range(len(lines))
    ]
    first = max(range(len(lines)), key=lambda each: scores[each], default=0)
    if not lines or not scores[first]:
        first = _similar_line(stripped, sought)
    if first < 0:
        return ""
    last = min(len(lines), first + max(3, min(len(wanted), SHOWN_LINES)))
    return "\n".join(f"{number + 1:5d}  {lines[number][:COMPARED_CHARS]}" for number in range(first, last))


def _similar_line(lines: Sequence[str], sought: Sequence[str]) -> int:
    """Return the index of the line most similar to the first line sought, -1 if none is similar."""
    target = next((line[:COMPARED_CHARS] for line in sought if line), "")
    cut = [line[:COMPARED_CHARS] for line in lines]
    close = difflib.get_close_matches(target, set(cut), n=1, cutoff=SIMILAR) if target else []
    return cut.index(close[0]) if close else -1


def _not_found(number: int, search: str, source: str) -> str:
    text = f"edit_not_found: the search text of edit {number} is not in the source"
    if not search.strip():
        return text
    if "".join(search.split()) in "".join(source.split()):
        return f"{text}, except with different white space"
    return f"{text}; it begins with {search.strip().splitlines()[0][:80]!r}"


def _occurrences(source: str, search: str) -> list[tuple[int, int]]:
    """Return start and end of each occurrence, whichever line ends the two texts have; none of an empty text."""
    lines = [re.escape(line) for line in _unix(search).split("\n")]
    return [found.span() for found in re.finditer("\r?\n".join(lines), source)] if search else []


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


def _with_line_ends_of(source: str, text: str) -> str:
    return _unix(text).replace("\n", "\r\n") if "\r\n" in source else _unix(text)
