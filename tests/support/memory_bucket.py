"""The artifact bucket in memory, for code that keeps a few documents there."""

from __future__ import annotations

from typing import Any


class MemoryBucket(dict[str, Any]):
    """Implements `ports.Objects`: texts and documents by key."""

    def put_text(self, key: str, text: str) -> None:
        self[key] = text

    def get_text(self, key: str) -> str | None:
        return self.get(key)

    def exists(self, key: str) -> bool:
        return key in self

    def put_json(self, key: str, value: object) -> None:
        self[key] = value

    def get_json(self, key: str) -> Any | None:
        return self.get(key)
