"""Which faults are injected where: pure data, drawn from a seed."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from heapq import nsmallest
from typing import Any

FAILS, FORGETS, TWICE, LATE, DIES_BEFORE, DIES_AFTER = (
    "fails",
    "forgets",
    "twice",
    "late",
    "dies_before",
    "dies_after",
)
KINDS = (FAILS, FORGETS, TWICE, LATE, DIES_BEFORE, DIES_AFTER)
"""What may happen to a function or to one of its calls.

It fails without being carried out; it is carried out and its answer is lost; it is carried out twice; it takes
seconds; the process is killed before it or after it.
"""

HARMLESS = (TWICE, LATE)
"""Kinds that a caller cannot see: at-least-once delivery and latency."""

ONLY_ONCE = ("model.",)
"""Calls that are never repeated below our own code: a second answer of the model is another answer, paid again."""


CROWD = 8
FIRST = "#01"
"""Attempts of a crowd, and the slot of the first candidate: a row's first cycle measures version 0 in slot 00."""


@dataclass(frozen=True, order=True)
class Site:
    """A place where a fault can be injected.

    Attributes
    ----------
    step
        One invocation in a row: function, slot and number, such as ``conclude#01/2``.
    call
        A call that it makes: service, operation and number, such as ``dynamodb.PutItem/1``; "" for the function.
    """

    step: str
    call: str = ""

    def __str__(self) -> str:
        return f"{self.step} {self.call}".strip()


@dataclass(frozen=True, order=True)
class Fault:
    """One fault at one site."""

    site: Site
    kind: str

    def __str__(self) -> str:
        return f"{self.site} {self.kind}"


@dataclass(frozen=True)
class Row:
    """One run of the matrix: a lineage of its own, in which these faults are injected.

    Attributes
    ----------
    number
        Its place in the matrix of a seed; names the lineage.
    slots
        Attempts of each cycle.
    """

    number: int
    slots: int
    faults: tuple[Fault, ...]

    @property
    def lineage(self) -> str:
        """The row's lineage."""
        return f"row-{self.number}"

    @property
    def stranded(self) -> int:
        """How many reservations of dollars may be left booked: those of planning that ended in the middle."""
        return sum(fault.kind not in HARMLESS and fault.site.step.startswith("plan") for fault in self.faults)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"row": self.number, "slots": self.slots, "faults": [str(fault) for fault in self.faults]}


def possible(sites: Iterable[Site]) -> list[Fault]:
    """Return every fault that can be injected at these sites."""
    return [
        Fault(site, kind)
        for site in sorted(set(sites))
        for kind in KINDS
        if not (kind == TWICE and site.call.startswith(ONLY_ONCE))
    ]


def matrix(
    sites: Mapping[int, Sequence[Site]], singles: int, pairs: int, crowds: int, seed: int
) -> list[Row]:
    """Return the rows of a seed, the three sorts evenly mixed.

    Single faults are drawn evenly over functions and operations: each combination of function, operation and kind
    comes before any of them comes again. A crowd is a cycle of `CROWD` attempts with a fault in each of them. Two
    attempts may get in each other's way and repeat a call, so that the sites of two slots differ a little from run to
    run: pairs are drawn so that one site more or less changes the rows that it is in and no others.

    Parameters
    ----------
    sites
        The sites of a run without faults, by its number of slots: one for single faults, two for pairs.
    """
    random_ = random.Random(seed)
    alone = [(1, (fault,)) for fault in _even(possible(sites[1]), random_)[:singles]]
    choices = possible(sites[2])
    paired = [(2, _two_of(choices, f"{seed}/{place}")) for place in range(pairs)]
    within = [fault for fault in possible(sites[1]) if FIRST in fault.site.step]
    crowded = [
        (CROWD, tuple(_moved(random_.choice(within), slot) for slot in range(1, CROWD + 1)))
        for _ in range(crowds)
    ]
    mixed = sorted(
        ((place + 0.5) / len(sort), number, slots, faults)
        for number, sort in enumerate((alone, paired, crowded))
        for place, (slots, faults) in enumerate(sort)
    )
    return [Row(number, slots, faults) for number, (_, _, slots, faults) in enumerate(mixed)]


def _two_of(faults: Iterable[Fault], key: str) -> tuple[Fault, ...]:
    """Return two faults, in order, that a key draws: those with the lowest hashes."""
    lowest = nsmallest(2, faults, lambda fault: hashlib.sha256(f"{key}/{fault}".encode()).digest())
    return tuple(sorted(lowest))


def _moved(fault: Fault, slot: int) -> Fault:
    """Return a fault of the first candidate in the attempt of another slot."""
    step = fault.site.step.replace(FIRST, f"#{slot:02d}")
    return Fault(Site(step, fault.site.call), fault.kind)


def to_json(faults: Iterable[Fault]) -> str:
    """Return faults as the functions read them."""
    return json.dumps([asdict(fault) for fault in faults])


def from_json(text: str) -> list[Fault]:
    """Return the faults of a plan."""
    return [Fault(Site(**each["site"]), each["kind"]) for each in json.loads(text)]


def _even(faults: list[Fault], random_: random.Random) -> list[Fault]:
    shuffled = random_.sample(faults, len(faults))
    seen: dict[tuple[str, str, str], int] = {}
    order: list[tuple[int, int, Fault]] = []
    for place, fault in enumerate(shuffled):
        group = (
            fault.site.step.partition("#")[0].partition("/")[0],
            fault.site.call.partition("/")[0],
            fault.kind,
        )
        seen[group] = seen.get(group, 0) + 1
        order.append((seen[group], place, fault))
    return [fault for _, _, fault in sorted(order)]
