"""The artifact bucket in memory, for planners that keep a few documents there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class MemoryBucket:
    """Implements `ports.Objects`."""

    texts: dict[str, str] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)

    def put_text(self, key: str, text: str) -> None:
        self.texts[key] = text

    def get_text(self, key: str) -> str | None:
        return self.texts.get(key)

    def exists(self, key: str) -> bool:
        return key in self.texts or key in self.documents

    def put_json(self, key: str, value: object) -> None:
        self.documents[key] = value

    def get_json(self, key: str) -> Any | None:
        return self.documents.get(key)
