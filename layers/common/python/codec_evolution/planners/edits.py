"""SEARCH/REPLACE edits of a source."""

from __future__ import annotations

import difflib
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
    """One replacement; ``search`` must occur exactly once in the source."""

    search: str
    replace: str


def apply_edits(source: str, edits: Sequence[Edit]) -> str:
    """Return the source with all edits applied, in order.

    Raises
    ------
    EditFailed
        At least one edit cannot be applied; the message names all of those, not only the first.
    """
    problems, nearest = [], []
    for number, edit in enumerate(edits, 1):
        found = source.count(edit.search) if edit.search else 0
        if found == 1:
            source = source.replace(edit.search, edit.replace)
        elif not edit.search:
            problems.append(f"edit_empty: edit {number} has an empty search text")
        elif found:
            lines = ", ".join(str(line) for line in _places(source, edit.search)[:10])
            problems.append(
                f"edit_ambiguous: the search text of edit {number} occurs {found} times in the source, on lines "
                f"{lines}; include more of the surrounding lines"
            )
        else:
            problems.append(_not_found(number, edit.search, source))
            nearest.append(nearest_lines(source, edit.search))
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


def _places(source: str, search: str) -> list[int]:
    """Return the numbers of the lines on which a text starts."""
    found, at = [], source.find(search)
    while at >= 0:
        found.append(source.count("\n", 0, at) + 1)
        at = source.find(search, at + len(search))
    return found
