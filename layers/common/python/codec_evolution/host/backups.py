"""Timestamped copies of files from before each change, in the host's own folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codec_evolution.host.checkout import Content

KEPT_PER_FILE = 50
"""Backups of one file; older ones are deleted."""


@dataclass(frozen=True)
class Backup:
    """One backup.

    Attributes
    ----------
    name
        Time and modification id; unique for a file, and sorts by time.
    content
        The file before the change; None when there was none.
    """

    name: str
    content: bytes | None


class Backups:
    """Backups by path; the newest `KEPT_PER_FILE` of each file are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def store(self, path: str, before: Content | None, moment: str, modification_id: str) -> str:
        """Store a file as it is before a change; returns the backup's name."""
        folder = self._of(path)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{moment.replace(':', '').replace('.', '')}-{_safe(modification_id)}"
        facts = {
            "path": path,
            "modification_id": modification_id,
            "sha256": before.sha256 if before else None,
        }
        if before is not None:
            write_whole(folder / f"{name}.content", before.data)
        write_whole(folder / f"{name}.json", json.dumps(facts).encode())
        for old in sorted(folder.glob("*.json"))[:-KEPT_PER_FILE]:
            old.with_suffix(".content").unlink(missing_ok=True)
            old.unlink()
        return name

    def newest(self, path: str) -> Backup | None:
        """Return the newest backup of a file, or None."""
        found = sorted(self._of(path).glob("*.json"))
        return self._load(found[-1]) if found else None

    def discard(self, path: str, name: str) -> None:
        """Delete a backup that was restored, so that the next rollback goes one step further back."""
        for kind in ("content", "json"):
            (self._of(path) / f"{name}.{kind}").unlink(missing_ok=True)

    def _of(self, path: str) -> Path:
        return self._folder / path.replace("/", "__")

    @staticmethod
    def _load(facts_file: Path) -> Backup:
        facts: dict[str, Any] = json.loads(facts_file.read_text("utf-8"))
        content = facts_file.with_suffix(".content").read_bytes() if facts["sha256"] else None
        return Backup(facts_file.stem, content)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file of the host's own folder atomically."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _safe(text: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in text)[:120]
