"""What the sandbox's training stage returns, and the source that it leads to.

A trainer is source that the sandbox runs behind a candidate's; see ``sandbox_container/README.md``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from codec_evolution.candidate import GRAMMAR, Candidate, SourceError, sha256_hex
from codec_evolution.planners.units import Unit, units

MAX_TRAINER_BYTES = 32 * 1024
"""Longest trainer, as UTF-8 text; the sandbox takes no more."""

MARK = "# Trained on "
"""Starts the comment that the sandbox writes above a trained constant."""


class BadTrainer(ValueError):
    """The text is no trainer, or the sandbox's answer no training; the message says why."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TrainedArray(_Stored):
    """What a constant holds; `text_bytes` is its length in the source."""

    dtype: str = Field(max_length=20)
    shape: tuple[int, ...] = Field(max_length=8)
    text_bytes: int


class Trained(_Stored):
    """A training: the edits (first byte, byte after the last, text) that write its constants into the candidate."""

    source_sha256: str
    edits: list[tuple[int, int, str]] = Field(max_length=16)
    arrays: dict[str, TrainedArray] = Field(max_length=16)
    windows: list[str] = Field(default_factory=list[str], max_length=64)
    cpu_s: float = 0.0

    def applied_to(self, source: str) -> Candidate:
        """Return the candidate with its trained constants.

        Raises
        ------
        BadTrainer
            The edits lead to another source than the one that the sandbox measured.
        SourceError
            That source is no candidate.
        """
        text, parts, at = source.encode("utf-8"), list[bytes](), 0
        for start, end, value in self.edits:
            parts += [text[at:start], value.encode("utf-8")]
            at = end
        try:
            made = b"".join([*parts, text[at:]]).decode("utf-8")
        except UnicodeDecodeError:
            made = ""
        if sha256_hex(made) != self.source_sha256:
            raise BadTrainer("the trained constants do not lead to the source that was measured")
        return Candidate(made)


def read_trained(answer: Mapping[str, Any]) -> Trained | None:
    """Return the training in a report, or None if it has none; raises `BadTrainer`."""
    found = answer.get("trained")
    if found is None:
        return None
    try:
        return Trained.model_validate(found)
    except ValidationError as error:
        raise BadTrainer(f"the report's training cannot be read: {error.errors()[0]['msg']}") from None


def check_trainer(trainer: str) -> None:
    """Raise `BadTrainer`, with a sentence, for a text that cannot be a trainer."""
    size = len(trainer.encode("utf-8", "replace"))
    if size > MAX_TRAINER_BYTES:
        raise BadTrainer(f"bad_trainer: it has {size} bytes, the limit is {MAX_TRAINER_BYTES}")
    try:
        tree = ast.parse(trainer, feature_version=GRAMMAR)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadTrainer(f"bad_trainer: {error}") from None
    if not any(isinstance(node, ast.FunctionDef) and node.name == "train" for node in tree.body):
        raise BadTrainer("bad_trainer: it defines no function train(videos, config)")


def trained_constants(source: str) -> dict[str, str]:
    """Return the statements of a source's trained constants by name, each with the note above it."""
    lines = source.splitlines()
    return {unit.name: "\n".join(lines[first:last]) for unit, first, last in _marked(source, lines)}


def with_constants_of(source: str, origin: str) -> str:
    """Return a source with those constants of another that were trained; the others stay as they are."""
    if MARK not in origin:
        return source
    trained = trained_constants(origin)
    places = [unit for unit in units(source) if unit.name in trained and isinstance(unit.node, ast.Assign)]
    lines = source.splitlines()
    for unit in sorted(places, key=lambda unit: unit.first, reverse=True):
        noted = unit.first >= 2 and lines[unit.first - 2].startswith(MARK)
        lines[unit.first - (2 if noted else 1) : unit.last] = trained[unit.name].split("\n")
    try:
        return Candidate("\n".join(lines) + "\n").source if places else source
    except SourceError:  # what was trained for a smaller codec does not fit this one
        return source


def _marked(source: str, lines: list[str]) -> Iterator[tuple[Unit, int, int]]:
    for unit in units(source):
        noted = unit.first >= 2 and lines[unit.first - 2].startswith(MARK)
        if noted and isinstance(unit.node, ast.Assign):
            yield unit, unit.first - 2, unit.last
