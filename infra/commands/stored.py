"""Reads an evolution whose stack is stopped from what the emulator saved, in a fraction of the time of a start.

The adapters' own queries run, on tables and objects from disk. Where anything says that the tables may lack something
(the stack runs, it was killed, another emulator wrote the state), there is no stored evolution, and the stack has to
be started, which restores what was lost.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl

from infra.commands.target import Readable
from infra.local.emulator import ACCOUNT, STATE_FORMAT
from infra.local.stored_tables import StoredTable
from infra.settings import DATA_STACK, DEFAULT_LINEAGE

SAVED_FORMAT = 2
"""Format of the emulator's own files that this module reads."""
BUCKETS = "codec-evolution-local-artifacts*"
"""How the folder of the artifact bucket begins."""
META = ".meta.json"
"""Ends the names of the files in which the emulator keeps an object's headers."""


class StoredRecord(EvolutionRecord):
    """The evolution record on disk."""

    def __init__(self, stored: StoredTable) -> None:
        self._table = stored


class StoredControl(LoopControl):
    """The loop's control items on disk."""

    def __init__(self, stored: StoredTable) -> None:
        self._table = stored
        self._home = DEFAULT_LINEAGE


class StoredModifications(FrameworkModifications):
    """The framework modifications on disk."""

    def __init__(self, stored: StoredTable) -> None:
        self._table = stored


class StoredBucket(ArtifactBucket):
    """The artifact bucket on disk.

    Parameters
    ----------
    folder
        Where the emulator keeps the bucket's objects, each as a file named by its key.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_text(self, key: str) -> str | None:
        """Return a text, or None when the key does not exist."""
        path = self._folder / key
        return path.read_text("utf-8") if path.is_file() else None

    def exists(self, key: str) -> bool:
        """Tell whether a key exists."""
        return (self._folder / key).is_file()

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys below a prefix, sorted."""
        names = (path.relative_to(self._folder).as_posix() for path in _objects(self._folder))
        yield from sorted(name for name in names if name.startswith(prefix))


def stored_evolution(state_dir: Path) -> Readable | None:
    """Return the evolution of a stopped stack, or None where only the stack itself can say what it holds."""
    root = state_dir / "emulator"
    saved = root / "state" / "dynamodb.json"
    buckets = list((root / "s3" / ACCOUNT).glob(BUCKETS))
    if len(buckets) != 1 or not _was_stopped(root, saved, buckets[0]):
        return None
    tables = _tables(saved)
    names = [f"{DATA_STACK}-{each}" for each in ("EvolutionRecord", "LoopControl", "FrameworkModifications")]
    found = [[table for name, table in tables.items() if name.startswith(start)] for start in names]
    if any(len(each) != 1 for each in found):
        return None
    record, control, modifications = (StoredTable(each[0]) for each in found)
    return Readable(
        record=StoredRecord(record),
        control=StoredControl(control),
        bucket=StoredBucket(buckets[0]),
        modifications=StoredModifications(modifications),
        lineage=DEFAULT_LINEAGE,
    )


def _was_stopped(root: Path, saved: Path, bucket: Path) -> bool:
    """Tell whether no emulator uses a state directory, and the last one saved its tables after its last object."""
    try:
        if (root / "format").read_text().strip() != STATE_FORMAT:
            return False
        with (root / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        saved_at = saved.stat().st_mtime_ns
    except OSError:  # missing, or locked by a running emulator
        return False
    return all(path.stat().st_mtime_ns <= saved_at for path in _objects(bucket))


def _objects(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names if not name.endswith(META))


def _tables(saved: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the emulator's tables by name; none of a format that this module does not know."""
    try:
        content = json.loads(saved.read_text("utf-8"))
        if content["__ministack_format__"] != SAVED_FORMAT:
            return {}
        return {table["TableName"]: table for table in content["payload"]["tables"]["data"].values()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
