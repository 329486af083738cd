"""How long-running work says what it is doing."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Receives a line of text whenever a step begins."""


def silent(_: str) -> None:
    """Ignore progress."""
