"""The artifact bucket in memory, for code that keeps a few documents there."""

from __future__ import annotations

import json
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


class WrittenBucket(dict[str, str]):
    """Implements `ports.Objects` as S3 does: what is stored is text, and each reading of a document makes it anew.

    Attributes
    ----------
    fetched
        The keys that were asked for, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    def put_text(self, key: str, text: str) -> None:
        self[key] = text

    def get_text(self, key: str) -> str | None:
        self.fetched.append(key)
        return self.get(key)

    def exists(self, key: str) -> bool:
        return key in self

    def put_json(self, key: str, value: object) -> None:
        self[key] = json.dumps(value, sort_keys=True)

    def get_json(self, key: str) -> Any | None:
        text = self.get_text(key)
        return None if text is None else json.loads(text)
