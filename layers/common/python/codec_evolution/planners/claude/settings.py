"""The setting of the models: one, or an ensemble with weights."""

from __future__ import annotations


class ModelsError(ValueError):
    """The setting of the models cannot be read."""


def parse_models(text: str) -> tuple[tuple[str, float], ...]:
    """Read ``name`` or ``name=weight,name=weight``; raises `ModelsError`."""
    found = []
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        try:
            share = float(weight or 1)
        except ValueError:
            raise ModelsError(f"models: {part.strip()!r} has no number as its weight") from None
        if not name or not 0 < share < 1e6:
            raise ModelsError(f"models: {part.strip()!r} is not name=weight with a weight above 0")
        found.append((name, share))
    return tuple(found)
