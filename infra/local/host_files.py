"""Where the local host keeps its files, and how it writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LocalHostFiles:
    """The local host's files below a state directory."""

    folder: Path

    @classmethod
    def of(cls, state_dir: Path) -> LocalHostFiles:
        """Return the files of one state directory."""
        return cls(state_dir.resolve() / "framework")

    @property
    def config(self) -> Path:
        """The host program's settings."""
        return self.folder / "host.json"

    @property
    def checkout(self) -> Path:
        """The clone that the tools edit."""
        return self.folder / "checkout"

    @property
    def packages(self) -> Path:
        """Folders of the packages that were approved for candidates."""
        return self.folder / "packages"

    @property
    def manifest(self) -> Path:
        """Hashes of the files that no tool may change."""
        return self.folder / "manifest.json"

    @property
    def base(self) -> Path:
        """What the clone was last updated to: a commit, and hashes by path."""
        return self.folder / "base.json"


def write_json(path: Path, value: object) -> None:
    """Write a JSON file whole, or not at all."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(value, indent=1), "utf-8")
    unfinished.replace(path)
