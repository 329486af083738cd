"""Bits by syntax element, as a codec itself counts them: an optional function of the candidate, asked for by a probe.

What it returns is hostile and may know the frames. So the names are fixed, the counts are bounded by the packets that
were received, and only whole percentages over the whole probe leave the sandbox.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from codec_sandbox.faults import CandidateFault

FUNCTION = "bits_report"
"""The function, without arguments: bits of all packets that this process has made, by element."""

ELEMENTS = ("headers", "modes", "motion", "luma", "chroma", "filter")
"""The names that it may use."""

OTHER = "other"
"""Name of the share that the codec does not account for."""

MAX_BYTES = 400
"""Longest answer as JSON."""


def read_bits(data: bytes, packet_bits: int) -> dict[str, int]:
    """Return what a worker answers, checked; empty if the candidate has no such function.

    Parameters
    ----------
    data : bytes
        JSON, hostile.
    packet_bits : int
        Bits of the packets that were received: no report may count more.

    Raises
    ------
    CandidateFault
        Kind ``return_type``: it is not a dict of counts for `ELEMENTS`, or they are more than the packets have.
    """
    if not data:
        return {}
    try:
        found: Any = json.loads(data) if len(data) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(
        name in ELEMENTS and type(count) is int and count >= 0 for name, count in found.items()
    ):
        raise CandidateFault(
            "return_type", f"{FUNCTION} must return a dict of int, the bits of {', '.join(ELEMENTS)}"
        )
    if sum(found.values()) > packet_bits:
        raise CandidateFault("return_type", f"{FUNCTION} counts more bits than the packets have")
    return found


def shares(reports: Sequence[tuple[Mapping[str, int], int]]) -> dict[str, int]:
    """Return percentages of all bits by element, rounded, with `OTHER` for the rest.

    Parameters
    ----------
    reports : sequence of tuple
        Counts by element, and bits of the packets, of each run.

    Returns
    -------
    dict
        Empty unless every run has counts.
    """
    total = sum(bits for _, bits in reports)
    if not total or not all(counts for counts, _ in reports):
        return {}
    names = [name for name in ELEMENTS if any(name in counts for counts, _ in reports)]
    percent = {name: round(100 * sum(counts.get(name, 0) for counts, _ in reports) / total) for name in names}
    return {**percent, OTHER: max(0, 100 - sum(percent.values()))}
