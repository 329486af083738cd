"""The memory of a lineage: short notes on what helps, what hurts and what is open, distilled from judged attempts.

New notes are due after every `EVERY` judged attempts. A language model may write them; `by_rules` writes them without
one. Each version is kept in the bucket and never changes; writing the same version twice does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from codec_evolution import artifacts
from codec_evolution.framework.visible_text import visible_line
from codec_evolution.planner_specs import SEARCH
from codec_evolution.planners.base import PastAttempt
from codec_evolution.ports import Objects
from codec_evolution.record import ADOPTED, REJECTED, TEST_FAILED

EVERY = 10
"""Judged attempts after which new notes are due."""
LINES = 8
"""Most lines of each kind."""
LINE_CHARS = 240
"""Longest line; a longer one is cut."""
RULES = "rules"
"""Who wrote notes that no model has written."""

JUDGED = (ADOPTED, REJECTED, TEST_FAILED)


def _line(value: object) -> object:
    return visible_line(value)[:LINE_CHARS] if isinstance(value, str) else value


def _lines(value: object) -> object:
    """Return the first lines that are texts with something in them; the rest of a longer list is dropped."""
    if not isinstance(value, list | tuple):
        return value
    said = [_line(each) for each in value if isinstance(each, str) and each.strip()]
    return tuple(dict.fromkeys(said))[:LINES]


Lines = Annotated[tuple[str, ...], BeforeValidator(_lines)]
"""At most `LINES` different lines of visible text, each at most `LINE_CHARS` long."""


class Notes(BaseModel, frozen=True):
    """One version of a lineage's notes. The texts may be a model's: they are data, never instructions."""

    version: int = Field(ge=1)
    """Counts up from 1."""
    through: str
    """The newest attempt that they take into account."""
    by: str
    """The model that wrote them, or `RULES`."""
    helps: Lines = ()
    hurts: Lines = ()
    open: Lines = ()

    @property
    def text(self) -> str:
        """The notes as plain text, one line each below its heading."""
        kinds = (("Helps", self.helps), ("Hurts", self.hurts), ("Open", self.open))
        parts = ["\n".join([f"{kind}:", *(f"- {line}" for line in lines)]) for kind, lines in kinds if lines]
        return "\n".join(parts)


@dataclass(frozen=True)
class Memory:
    """The notes of one lineage in the bucket."""

    objects: Objects
    lineage: str

    def latest(self) -> Notes | None:
        """Return the newest notes; None if there are none, or what is stored is no notes."""
        try:
            return Notes.model_validate(self.objects.get_json(artifacts.latest_notes(self.lineage)))
        except ValidationError:
            return None

    def keep(self, notes: Notes) -> None:
        """Store a version of the notes as the newest one."""
        stored = notes.model_dump(mode="json")
        self.objects.put_json(artifacts.notes(self.lineage, notes.version), stored)
        self.objects.put_json(artifacts.latest_notes(self.lineage), stored)

    def refresh(self, past: Sequence[PastAttempt]) -> Notes | None:
        """Return the newest notes, written by rules first if they are due."""
        notes = self.latest()
        if not is_due(notes, past):
            return notes
        notes = by_rules(notes, past)
        self.keep(notes)
        return notes


def unread(notes: Notes | None, past: Sequence[PastAttempt]) -> list[PastAttempt]:
    """Return the judged attempts that notes do not take into account yet, in the order given."""
    after = notes.through if notes else ""
    return [each for each in past if each.status in JUDGED and each.attempt_id > after]


def is_due(notes: Notes | None, past: Sequence[PastAttempt]) -> bool:
    """Return whether new notes are due."""
    return len(unread(notes, past)) >= EVERY


def next_notes(
    before: Notes | None, past: Sequence[PastAttempt], by: str, lines: Mapping[str, Sequence[str]]
) -> Notes:
    """Return the next version of notes, of at least one judged attempt, with lines by kind."""
    through = max(each.attempt_id for each in past if each.status in JUDGED)
    known = {kind: tuple(said) for kind, said in lines.items()}
    return Notes(version=before.version + 1 if before else 1, through=through, by=by, **known)


def by_rules(before: Notes | None, past: Sequence[PastAttempt]) -> Notes:
    """Return the next notes without a model: ideas sorted by their figures; older lines fill what room is left.

    Parameters
    ----------
    past
        Newest first.
    """
    judged = [each for each in past if each.status in JUDGED]
    rates = [(each.bd_rate_vs_incumbent, each) for each in judged]
    measured = sorted(
        ((rate, each) for rate, each in rates if rate is not None),
        key=lambda pair: (pair[0], pair[1].attempt_id),
    )
    gained = [each for rate, each in measured if rate < 0.0]
    lost = [each for rate, each in reversed(measured) if rate >= 0.0]
    failed = [each for each in judged if each.status == TEST_FAILED]
    newest = max((each.parent_version for each in judged if each.parent_version is not None), default=-1)
    carried_on = [each for each in gained if each.status == REJECTED and each.parent_version == newest]
    older = before or Notes(version=1, through="", by=RULES)
    lines = {
        "helps": [*map(_result, gained), *older.helps],
        "hurts": [*map(_result, lost[: LINES // 2]), *map(_result, failed), *older.hurts],
        "open": [f"{_result(each)}: short of the margin, may be carried on" for each in carried_on],
    }
    return next_notes(before, past, RULES, lines)


def _result(attempt: PastAttempt) -> str:
    """Return an idea with its figure in one line."""
    idea = attempt.hypothesis.partition(": ")[0] if attempt.planner == SEARCH else attempt.hypothesis
    version = "" if attempt.parent_version is None else f" against v{attempt.parent_version}"
    if attempt.status == TEST_FAILED:
        said = f"failed ({visible_line(attempt.reason)[:60]})"
    else:
        said = f"{attempt.bd_rate_vs_incumbent or 0.0:+.1f} %{version}"
    return f"{visible_line(idea)[:120]}: {said}"
