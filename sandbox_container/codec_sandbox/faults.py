"""What can go wrong, and whose doing it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

KINDS = (
    "syntax",
    "policy",
    "import",
    "signature",
    "return_type",
    "runtime",
    "timeout",
    "memory",
    "crash",
    "output_size",
    "frame_shape",
    "nondeterministic",
    "quality",
    "budget",
)
MAX_MESSAGE = 2000
MAX_TRACEBACK = 2000
_MAX_REPLY = 256 * 1024
_MAX_LINE = 10**7


class SandboxUnavailable(Exception):
    """A fault of ours: a layer is missing, or the zygote cannot start or has died. Never the candidate's verdict."""


@dataclass(frozen=True)
class Violation:
    """One breach of the language policy.

    Parameters
    ----------
    line, column
        Position in the source: lines from 1, columns from 1, both 0 if the source as a whole is meant.
    construct
        What was found, as written: ``np.load``, ``import os``, ``bytearray``.
    message
        Why it is refused and what to use instead.
    """

    line: int
    column: int
    construct: str
    message: str

    def __str__(self) -> str:
        if not self.line:
            return self.message
        return f"line {self.line}, column {self.column}: {self.construct}: {self.message}"


class CandidateFault(Exception):
    """Anything that the candidate did: an answer, not a failure of the sandbox.

    Parameters
    ----------
    kind
        One of `KINDS`.
    message
        At most 2000 characters, safe to print.
    line
        Line of the candidate's source (from 1), or None if no line of it was running.
    function
        Name of the candidate's function at that line.
    traceback
        The candidate's own lines only, outermost first, at most 2000 characters.
    violations
        For kind ``policy`` and ``syntax``: every violation found.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        line: int | None = None,
        function: str | None = None,
        traceback: str = "",
        violations: tuple[Violation, ...] = (),
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"unknown kind of fault: {kind!r}")
        super().__init__(message)
        self.kind = kind
        self.message = printable(message, MAX_MESSAGE)
        self.line = line
        self.function = function
        self.traceback = printable(traceback, MAX_TRACEBACK)
        self.violations = violations


def printable(text: str, limit: int) -> str:
    """`text` without control characters except newline and tab, cut to `limit` characters."""
    kept = "".join(c if c in "\n\t" or c.isprintable() else "?" for c in text[: limit + 1])
    return kept if len(kept) <= limit else kept[: limit - 4] + " ..."


def fault_from_worker(raw: bytes) -> CandidateFault:
    """Read a worker's own description of a fault. The bytes are hostile: anything unexpected becomes a crash."""
    try:
        fields: dict[str, Any] = _small_json(raw)
        line, function = fields.get("line"), fields.get("function")
        return CandidateFault(
            str(fields["kind"]),
            str(fields["message"]),
            line=line if type(line) is int and 0 < line < _MAX_LINE else None,
            function=printable(function, 200) if type(function) is str else None,
            traceback=str(fields.get("traceback", "")),
            violations=tuple(map(_violation, fields.get("violations", ()))),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return CandidateFault("crash", "the worker answered with something that is not a reply")


def violations_from_worker(raw: bytes) -> list[Violation]:
    """Read a worker's list of violations.

    Raises
    ------
    CandidateFault
        If it is not what an honest worker writes.
    """
    try:
        return list(map(_violation, _small_json(raw)))
    except (ValueError, TypeError, RecursionError):
        raise CandidateFault("crash", "the worker answered with something that is not a reply") from None


def _small_json(raw: bytes) -> Any:
    if len(raw) > _MAX_REPLY:
        raise ValueError(f"a reply of {len(raw)} bytes")
    return json.loads(raw.decode("utf-8"))


def _violation(item: Any) -> Violation:
    line, column, construct, message = item
    if not (type(line) is type(column) is int and 0 <= line < _MAX_LINE and 0 <= column < _MAX_LINE):
        raise ValueError("not a position")
    return Violation(line, column, printable(str(construct), 200), printable(str(message), 500))
