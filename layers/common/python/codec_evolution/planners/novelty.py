"""Whether a candidate restores what has lost before: its changes beside those of earlier attempts.

Each attempt's record has the parts of its source that differ from its parent's, with a short value before and after.
A candidate restores a loser if it makes every change of an attempt that lost or failed, or takes back every change of
one that was adopted. Comparing needs the records alone.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from codec_evolution.candidate import sha256_hex
from codec_evolution.planners.constants import named_numbers
from codec_evolution.planners.units import units
from codec_evolution.record import ADOPTED, REJECTED, TEST_FAILED, Attempt

MAX_CHANGES = 40
"""More changes than this are a rewrite, which restores nothing in particular."""
MAX_TEXT = 1_900
"""Characters of the text of all changes; a longer one is a rewrite too."""
CONSTANT = "config."
"""Begins the name of a constant that a source reads from its configuration."""

_NAME = re.compile(r"[\w.]{1,60}")
_CHANGE = re.compile(r"(\S+) (\S+)>(\S+)")
_NONE = "-"
"""The value of a part that a source does not have."""


@dataclass(frozen=True)
class Change:
    """A part whose value differs: a number, or the beginning of a hash."""

    name: str
    before: str
    after: str


def changes(parent: str, source: str) -> tuple[Change, ...]:
    """Return the parts in which a source differs from its parent, by name; none if one of them does not parse."""
    before, after = _values(parent), _values(source)
    if not before or not after:
        return ()
    names = sorted({*before, *after})
    pairs = [(name, before.get(name, _NONE), after.get(name, _NONE)) for name in names]
    return tuple(Change(*pair) for pair in pairs if pair[1] != pair[2])


def changes_text(found: Sequence[Change]) -> str:
    """Return changes as the record keeps them, "" if there are too many."""
    text = "; ".join(f"{each.name} {each.before}>{each.after}" for each in found)
    return text if len(found) <= MAX_CHANGES and len(text) <= MAX_TEXT else ""


def read_changes(text: str) -> tuple[Change, ...]:
    """Return the changes of `changes_text`; none of any other text."""
    found = [_CHANGE.fullmatch(each) for each in text.split("; ")]
    return tuple(Change(*each.groups()) for each in found if each) if all(found) else ()


def restored_loser(made: Sequence[Change], meaning: str, past: Sequence[Attempt]) -> str:
    """Return what a candidate restores, as a sentence for the planner; "" if it restores nothing that has lost.

    Parameters
    ----------
    made
        Its changes of the incumbent.
    meaning
        Its normalised SHA-256.
    past
        Earlier attempts, newest first.
    """
    mine = {(each.name, each.after) for each in made} if changes_text(made) else set[tuple[str, str]]()
    for attempt in past:
        how = _how_it_lost(attempt)
        if how and attempt.normalised_sha256 == meaning:
            return f"the source means the same as that of {attempt.attempt_id}, which {how}"
        known = read_changes(attempt.changes)
        if how and known and mine.issuperset((each.name, each.after) for each in known):
            return f"{_names(known)} as in {attempt.attempt_id}, which {how}"
        if (
            attempt.status == ADOPTED
            and mine.issuperset((each.name, each.before) for each in known)
            and known
        ):
            return f"{_names(known)} as before v{attempt.adopted_version}, which was better with its change"
    return ""


def _names(known: Sequence[Change]) -> str:
    names = ", ".join(each.name for each in known[:5])
    return names if len(known) <= 5 else f"{names} and {len(known) - 5} more"


def _how_it_lost(attempt: Attempt) -> str:
    """Return how an attempt lost, with its figure; "" if it gained, was skipped or was not measured."""
    rate = attempt.training_figure("bd_rate_vs_incumbent")
    if attempt.status == REJECTED and rate is not None and rate >= 0.0:
        return f"lost by {rate:.1f} % against v{attempt.parent_version}"
    if attempt.status == TEST_FAILED and attempt.failure_stage:
        return f"failed in {attempt.failure_stage} ({attempt.failure_kind})"
    return ""


@lru_cache(maxsize=16)
def _values(source: str) -> dict[str, str]:
    """Return a short value of every part of a source; the numbers that it reads by name are parts of their own."""
    found: dict[str, str] = {}
    for unit in units(source):
        if _NAME.fullmatch(unit.name):
            text = _text_without_numbers(unit.node, found)
            found[unit.name] = sha256_hex(found.get(unit.name, "") + text)[:8]
    return found


def _text_without_numbers(node: ast.stmt, found: dict[str, str]) -> str:
    """Return the text of a part without the numbers that it reads by name; these go to ``found``."""
    if not named_numbers(node):
        return ast.unparse(node)
    node = copy.deepcopy(node)
    numbers = {id(number): name for name, number in named_numbers(node) if _NAME.fullmatch(name)}
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and len(call.args) == 2 and id(call.args[1]) in numbers:
            found.setdefault(CONSTANT + numbers[id(call.args[1])], ast.unparse(call.args[1])[:24])
            call.args[1] = ast.Constant(0)
    return ast.unparse(node)
