"""The format of stored records: its version, and what leads from each version to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from codec_evolution.record import MalformedRecord

ATTRIBUTE = "record_format"
"""The attribute that tells a stored record's format; a record from before there was one has none."""

Item = dict[str, Any]
Step = Callable[[Item], Item]

STEPS: tuple[Step, ...] = (lambda item: item,)
"""What makes a record of each format one of the next, from format 0; the first only gives it the attribute."""
FORMAT = len(STEPS)
"""The format that this version writes."""


def upgraded(item: Mapping[str, Any], steps: tuple[Step, ...] = STEPS) -> Item:
    """Return a stored record in the newest format.

    Raises
    ------
    MalformedRecord
        A newer version of this software wrote it.
    """
    known = item.get(ATTRIBUTE, 0)
    if not isinstance(known, int) or not 0 <= known <= len(steps):
        raise MalformedRecord(
            f"{ATTRIBUTE}: this version reads formats up to {len(steps)}, not {known!r}; update the software"
        )
    new = dict(item)
    for step in steps[known:]:
        new = step(new)
    return {**new, ATTRIBUTE: len(steps)}


def without_format(item: Mapping[str, Any]) -> Item:
    """Return a record in the newest format as the loop knows it: how it is stored is no part of it."""
    return {name: value for name, value in upgraded(item).items() if name != ATTRIBUTE}
