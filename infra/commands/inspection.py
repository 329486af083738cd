"""Looking back at an evolution: ancestry, differences, and the record as a file."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from codec_evolution import artifacts
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import EvolutionRecord

from infra.errors import UserError

FIRST_COLUMNS = (
    "attempt_id",
    "status",
    "version",
    "adopted_version",
    "parent_version",
    "reason",
    "hypothesis",
    "bitrate_mbps",
    "compression_ratio",
    "psnr_db",
    "ms_ssim",
    "bd_rate_vs_incumbent",
    "bd_rate_vs_hevc",
)
"""What comes first in a table; the other attributes follow by name."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Signs that begin a formula, the full-width ones among them."""


def ancestry(record: EvolutionRecord, lineage: str, version: int) -> list[dict[str, Any]]:
    """Return the attempts that were adopted on the way to a version, from it down to version 0.

    Raises
    ------
    UserError
        There is no such version.
    """
    found = [_version(record, lineage, version)]
    while (parent := found[-1].get("parent_version")) is not None:
        found.append(_version(record, lineage, int(parent)))
    return found


def difference(record: EvolutionRecord, bucket: ArtifactBucket, lineage: str, first: int, second: int) -> str:
    """Return the unified diff of the sources of two versions; raises `UserError`."""
    texts = [version_source(record, bucket, lineage, version) for version in (first, second)]
    lines = difflib.unified_diff(
        texts[0].splitlines(keepends=True), texts[1].splitlines(keepends=True), f"v{first}", f"v{second}"
    )
    return "".join(lines)


def as_json_lines(attempts: Iterable[Mapping[str, Any]]) -> str:
    """Return one JSON object a line."""
    return "".join(json.dumps(attempt, sort_keys=True) + "\n" for attempt in attempts)


def as_csv(attempts: Iterable[Mapping[str, Any]]) -> str:
    """Return a table with a header; no cell is taken for a formula by a spreadsheet.

    A text that a model wrote and that begins as a formula does gets an apostrophe in front.
    """
    rows = list(attempts)
    others = sorted({name for row in rows for name in row} - set(FIRST_COLUMNS))
    text = io.StringIO()
    # Quoted, because a carriage return would begin a row where the writer sees none.
    columns, style = [*FIRST_COLUMNS, *others], {"lineterminator": "\n", "quoting": csv.QUOTE_NONNUMERIC}
    writer = csv.DictWriter(text, columns, **style)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value.startswith(FORMULA) else value


def _version(record: EvolutionRecord, lineage: str, version: int) -> dict[str, Any]:
    found = record.of_version(lineage, version)
    if found is None:
        raise UserError(f"lineage {lineage} has no version {version}")
    return found


def version_source(record: EvolutionRecord, bucket: ArtifactBucket, lineage: str, version: int) -> str:
    """Return the source of an adopted version; raises `UserError`."""
    sha = _version(record, lineage, version)["source_sha256"]
    text = bucket.get_text(artifacts.source(sha))
    if text is None:
        raise UserError(f"the source of version {version} ({sha[:12]}) is not in the bucket")
    return text
