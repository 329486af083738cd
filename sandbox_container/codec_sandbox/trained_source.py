"""Writes trained constants into a source: each is a text at the top level, whose value is replaced by position.

The source is parsed in a worker, which executes nothing of it. What leaves the worker are edits, so that the layer,
which never parses what it has not checked, can make the same ones.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from codec_sandbox.faults import CandidateFault
from codec_sandbox.source import text_of

MARK = "# Trained on "
"""Starts the comment above a trained constant; the next training replaces it."""

Edit: TypeAlias = tuple[int, int, str]
"""First byte, byte after the last, and the text that takes their place."""

_GRAMMAR = (3, 11)
_WIDTH = 100
_MAX_LISTED = 12


def edits(source: bytes, texts: Mapping[str, str], note: str) -> list[Edit]:
    """Return the edits that give constants new values.

    Parameters
    ----------
    source : bytes
        Of a candidate.
    texts : mapping
        Name of a constant -> its new text, base85 alone.
    note : str
        What they were trained on, one line; it stands above each of them, after `MARK`.

    Returns
    -------
    list of Edit
        In order of position.

    Raises
    ------
    CandidateFault
        The source does not parse, or a name is not assigned a text exactly once, on a line of its own.
    """
    text = text_of(source)
    try:
        tree = ast.parse(text, feature_version=_GRAMMAR)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CandidateFault("syntax", f"the source cannot be parsed: {error}") from None
    lines = text.encode().split(b"\n")
    starts = [len(source) - len(text.encode())]  # after a byte order mark
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    found: list[Edit] = []
    for name, value in texts.items():
        node = _constant(tree, name)
        first = node.lineno - 1
        if first and lines[first - 1].startswith(MARK.encode()):
            first -= 1
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        found.append((starts[first], end, f"{MARK}{note}\n{_assignment(name, value)}"))
    return sorted(found)


def with_edits(source: bytes, made: Sequence[Edit]) -> bytes:
    """Return a source after edits that do not overlap; raises ValueError if they do, or leave the source."""
    parts: list[bytes] = []
    at = 0
    for start, end, text in made:
        if not at <= start <= end <= len(source):
            raise ValueError("edits overlap or leave the source")
        parts += [source[at:start], text.encode()]
        at = end
    return b"".join([*parts, source[at:]])


def _constant(tree: ast.Module, name: str) -> ast.Assign:
    """Return the only assignment of a name at the top level, which must be of a text."""
    named = [node for node in tree.body if name in _targets(node)]
    if len(named) > 1:
        again = f"{name} is assigned twice, in lines {named[0].lineno} and {named[1].lineno}; assign it once"
        raise CandidateFault("return_type", again)
    for node in named:
        if isinstance(node, ast.Assign) and _is_text(node.value) and len(node.targets) == 1:
            if node.col_offset:
                raise CandidateFault("return_type", f"{name} must be assigned on a line of its own")
            return node
    known = [_targets(node)[0] for node in tree.body if isinstance(node, ast.Assign) and _is_text(node.value)]
    raise CandidateFault(
        "return_type",
        f'train returned {name}, but the source has no line {name} = "..." at the top level to hold it; it has '
        f"{', '.join(known[:_MAX_LISTED]) or 'no such constant'}",
    )


def _targets(node: ast.stmt) -> list[str]:
    """Return the names that a statement assigns directly."""
    targets: list[Any] = list(getattr(node, "targets", ()))
    if isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets.append(node.target)
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is str


def _assignment(name: str, text: str) -> str:
    if len(name) + len(text) < _WIDTH:
        return f'{name} = "{text}"'
    lines = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    return "\n".join([f"{name} = (", *(f'    "{line}"' for line in lines), ")"])
