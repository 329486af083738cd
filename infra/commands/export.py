"""The evolution record as a file: JSON Lines or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from codec_evolution.record import Measured

FIRST_COLUMNS = (
    "attempt_id",
    "status",
    "version",
    "adopted_version",
    "parent_version",
    "reason",
    "hypothesis",
    *Measured.model_fields,
)
"""The leading columns of a CSV; the other attributes follow in order of their names."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters that begin a formula in a spreadsheet, with their full-width forms."""


def as_json_lines(attempts: Iterable[Mapping[str, Any]]) -> str:
    """Return one JSON object per line, with sorted keys."""
    return "".join(json.dumps(attempt, sort_keys=True) + "\n" for attempt in attempts)


def as_csv(attempts: Iterable[Mapping[str, Any]]) -> str:
    """Return a table with a header, safe to open in a spreadsheet.

    An apostrophe is put in front of text that would be read as a formula (CSV injection).
    """
    rows = list(attempts)
    others = sorted({name for row in rows for name in row} - set(FIRST_COLUMNS))
    text = io.StringIO()
    # Quoted, because a bare carriage return in a cell would otherwise start a new row.
    columns, style = [*FIRST_COLUMNS, *others], {"lineterminator": "\n", "quoting": csv.QUOTE_NONNUMERIC}
    writer = csv.DictWriter(text, columns, **style)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value.startswith(FORMULA) else value
