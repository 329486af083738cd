"""What a planner builds on besides the incumbent: the best near miss against it, and codecs of other families.

Pure functions; `codec_evolution.planners.evidence` reads what they need.
"""

from __future__ import annotations

import ast
import difflib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codec_evolution.candidate import GRAMMAR
from codec_evolution.contracts import Report
from codec_evolution.judging import archive, comparison
from codec_evolution.record import REJECTED, Attempt, Elite

INSPIRATIONS = 2
"""Codecs of other families that one prompt shows."""
SHOWN_CHARS = 16_000
"""Longest difference, or source, of a near miss; a longer one is left to `inspect_attempt`."""
OUTLINE_LINES = 30
OUTLINE_CHARS = 2_000
"""Bounds of the outline of a codec."""


@dataclass(frozen=True)
class NearMiss:
    """A rejected attempt that was better than this incumbent, with what is shown of it.

    Attributes
    ----------
    rows
        Its figures against the incumbent by training clip; empty if they cannot be compared.
    bd_rate
        Their mean in percent.
    difference
        A unified diff from the incumbent's source, or its own source where that is shorter; "" if both are longer
        than `SHOWN_CHARS`.
    """

    attempt: Attempt
    rows: tuple[comparison.ClipRow, ...] = ()
    bd_rate: float | None = None
    difference: str = ""


@dataclass(frozen=True)
class Inspiration:
    """A codec of another family, with the names and first words of its functions."""

    elite: Elite
    outline: str = ""


def nearest_miss(recent: Sequence[Attempt], version: int) -> Attempt | None:
    """Return the rejected attempt with the lowest BD-rate against a version, below 0 %; None if there is none."""
    better = [
        each
        for each in recent
        if each.status == REJECTED
        and each.parent_version == version
        and each.source_sha256
        and _bd_rate(each) < 0.0
    ]
    return min(better, key=lambda each: (_bd_rate(each), each.attempt_id), default=None)


def _bd_rate(attempt: Attempt) -> float:
    """Return the BD-rate on the training windows, which are all that a planner may see."""
    return attempt.training_figure("bd_rate_vs_incumbent") or 0.0


def near_miss(
    attempt: Attempt, source: str, report: Report | None, incumbent_source: str, incumbent: Report | None
) -> NearMiss:
    """Return what the prompt shows of a near miss."""
    shown = difference(incumbent_source, source)
    if report is None or incumbent is None:
        return NearMiss(attempt, difference=shown)
    try:
        found = comparison.compare(report, incumbent, "train")
    except comparison.Incomparable:
        return NearMiss(attempt, difference=shown)
    return NearMiss(attempt, found.rows, found.means.bd_rate if found.means else None, shown)


def near_miss_row(near: NearMiss | None) -> dict[str, Any] | None:
    """Return what the template is given of a near miss: only attributes that every one has."""
    if near is None:
        return None
    attempt = near.attempt
    named = {"attempt_id": attempt.attempt_id, "reason": attempt.reason, "hypothesis": attempt.hypothesis}
    rows = [
        {
            "clip": row.clip,
            "bd_rate": row.bd_rate_vs_incumbent,
            "ms_ssim_bd_rate": row.ms_ssim_bd_rate_vs_incumbent,
            "ratio": row.ratio_vs_incumbent,
        }
        for row in near.rows
    ]
    return {**named, "rows": rows, "bd_rate": near.bd_rate, "difference": near.difference}


def difference(incumbent: str, other: str) -> str:
    """Return the shorter one of a unified diff and the other source, "" if both are longer than `SHOWN_CHARS`."""
    lines = difflib.unified_diff(
        incumbent.splitlines(), other.splitlines(), "incumbent", "near miss", lineterm="", n=2
    )
    return min(
        (text for text in ("\n".join(lines), other) if 0 < len(text) <= SHOWN_CHARS), key=len, default=""
    )


def draw_inspirations(elites: Sequence[Elite], known: Sequence[str], seed: str) -> list[Elite]:
    """Draw elites of other families than those of known attempts, the better ones more often.

    Parameters
    ----------
    known
        Attempts that the prompt shows already: the incumbent, the near miss.
    seed
        The same seed draws the same elites.
    """
    families = {(e.prediction, e.transform, e.decode) for e in elites if e.attempt_id in known}
    left = [e for e in elites if (e.prediction, e.transform, e.decode) not in families]
    ranked = archive.ranked(left)
    draw, drawn = random.Random(f"{seed}/inspirations"), list[Elite]()
    while ranked and len(drawn) < INSPIRATIONS:
        weights = [1 / (place + 1) for place in range(len(ranked))]
        drawn.append(ranked.pop(draw.choices(range(len(ranked)), weights)[0]))
    return drawn


def outline(source: str) -> str:
    """Return the functions and classes of a source, each with the first line of its docstring; "" if it has none."""
    try:
        tree = ast.parse(source, feature_version=GRAMMAR)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    lines: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            said = (ast.get_docstring(node) or "").partition("\n")[0]
            lines.append(f"{node.name}: {said}" if said else node.name)
    return "\n".join(lines[:OUTLINE_LINES])[:OUTLINE_CHARS]


def version_row(attempt: Attempt) -> dict[str, Any]:
    """Return an adopted version with the figures of its training windows."""
    known = attempt.to_item()
    names = ("attempt_id", "adopted_version", "hypothesis")
    return {
        **{name: known[name] for name in names if name in known},
        "bitrate_mbps": attempt.training_figure("bitrate_mbps"),
        "bd_rate_vs_hevc": attempt.training_figure("bd_rate_vs_hevc"),
        "bd_rate_vs_incumbent": attempt.training_figure("bd_rate_vs_incumbent"),
    }
