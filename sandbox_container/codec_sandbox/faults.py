"""Faults of the candidate, faults of the sandbox, and how a candidate's fault is read from a worker."""

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
"""Kinds of a candidate's fault, as they stand in reports and on the record."""

MAX_MESSAGE = 2000
"""Longest message of a fault, in characters."""

MAX_TRACEBACK = 2000
"""Longest traceback of a fault, in characters."""

_MAX_REPLY = 256 * 1024
_MAX_LINE = 10**7


class SandboxUnavailable(Exception):
    """The sandbox itself failed: a layer is missing, or the zygote cannot start or has died.

    Never a verdict on the candidate.
    """


@dataclass(frozen=True)
class Violation:
    """One violation of the language policy.

    Attributes
    ----------
    line, column : int
        Position in the source, counted from 1; both 0 if the source as a whole is meant.
    construct : str
        What was found, as written: ``np.load``, ``import os``, ``bytearray``.
    message : str
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
    """The candidate failed. This is a result, not a failure of the sandbox.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    message : str
        Cut to `MAX_MESSAGE` characters and made safe to print.
    line : int or None
        Line of the candidate's source, from 1, or None if no line of it was running.
    function : str or None
        Name of the candidate's function at that line.
    traceback : str
        The candidate's own lines only, outermost first; cut to `MAX_TRACEBACK` characters.
    violations : tuple of Violation
        For kinds ``policy`` and ``syntax``: every violation found.

    Raises
    ------
    ValueError
        `kind` is not one of `KINDS`.
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
    """Replace non-printable characters but newline and tab by ``?``, and cut to `limit` characters."""
    kept = "".join(c if c in "\n\t" or c.isprintable() else "?" for c in text[: limit + 1])
    return kept if len(kept) <= limit else kept[: limit - 4] + " ..."


def fault_from_worker(raw: bytes) -> CandidateFault:
    """Read a worker's description of a fault.

    Parameters
    ----------
    raw : bytes
        JSON from the worker. It is hostile: anything unexpected becomes a fault of kind ``crash``.
    """
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

    Parameters
    ----------
    raw : bytes
        JSON from the worker; hostile.

    Raises
    ------
    CandidateFault
        Kind ``crash``: this is not such a list.
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
