"""SEARCH/REPLACE edits against a source that both sides know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class EditFailed(ValueError):
    """An edit does not fit; the message starts with a short machine word and names the edit."""


@dataclass(frozen=True)
class Edit:
    """One replacement: ``search`` must stand exactly once in the source."""

    search: str
    replace: str


def apply_edits(source: str, edits: Sequence[Edit]) -> str:
    """Return the source with all edits made, in order.

    Raises
    ------
    EditFailed
        Naming every edit that does not fit, not only the first.
    """
    problems = []
    for number, edit in enumerate(edits, 1):
        found = source.count(edit.search) if edit.search else 0
        if not edit.search:
            problems.append(f"edit_empty: edit {number} has an empty search text")
        elif found == 0:
            problems.append(
                f"edit_not_found: the search text of edit {number} is not in the source, it begins with "
                f"{edit.search.strip().splitlines()[0][:80]!r}"
                if edit.search.strip()
                else f"edit_not_found: the search text of edit {number} is not in the source"
            )
        elif found > 1:
            problems.append(
                f"edit_ambiguous: the search text of edit {number} stands {found} times in the source"
            )
        else:
            source = source.replace(edit.search, edit.replace)
    if problems:
        raise EditFailed("; ".join(problems))
    return source
