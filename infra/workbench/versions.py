"""Adopted versions: their ancestry, their sources and what changed between two of them."""

from __future__ import annotations

import difflib

from codec_evolution import artifacts
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import EvolutionRecord
from codec_evolution.record import Attempt

from infra.errors import UserError


def ancestry(record: EvolutionRecord, lineage: str, version: int) -> list[Attempt]:
    """Return the records of a version and of its ancestors, down to version 0.

    Raises
    ------
    UserError
        There is no such version.
    """
    found = [_version(record, lineage, version)]
    while (parent := found[-1].parent_version) is not None:
        found.append(_version(record, lineage, parent))
    return found


def difference(record: EvolutionRecord, bucket: ArtifactBucket, lineage: str, first: int, second: int) -> str:
    """Return the unified diff of the sources of two versions.

    Raises
    ------
    UserError
        As `version_source`.
    """
    texts = [version_source(record, bucket, lineage, version) for version in (first, second)]
    lines = difflib.unified_diff(
        texts[0].splitlines(keepends=True), texts[1].splitlines(keepends=True), f"v{first}", f"v{second}"
    )
    return "".join(lines)


def version_source(record: EvolutionRecord, bucket: ArtifactBucket, lineage: str, version: int) -> str:
    """Return the source of an adopted version.

    Raises
    ------
    UserError
        There is no such version, or its source is not in the bucket.
    """
    sha = _version(record, lineage, version).source_sha256
    text = bucket.get_text(artifacts.source(sha))
    if text is None:
        raise UserError(f"the source of version {version} ({sha[:12]}) is not in the bucket")
    return text


def _version(record: EvolutionRecord, lineage: str, version: int) -> Attempt:
    found = record.of_version(lineage, version)
    if found is None:
        raise UserError(f"lineage {lineage} has no version {version}")
    return found
