"""A quality-diversity archive: the best codec of each family, so that other promising approaches are kept.

A niche is a combination of prediction, transform and decoding time. Its elite is the codec with the lowest BD-rate
against x265 on the training windows of its contest. Elites live as control items, one a niche, so that reading them
costs the same whatever was tried.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from codec_evolution.candidate import GRAMMAR
from codec_evolution.contracts import Report
from codec_evolution.record import ADOPTED, REJECTED, Attempt, Elite

PREDICTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("motion", ("motion", "vector", "mv", "flow", "displacement")),
    ("difference", ("previous", "reference", "residual", "delta", "skip")),
    ("intra", ("intra", "predict", "planar", "neighbour", "neighbor")),
)
TRANSFORMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("learned", ("torch", "conv2d", "autoencoder", "nn")),
    ("wavelet", ("wavelet", "dwt", "haar", "lifting")),
    ("cosine", ("dct", "idct", "cosine")),
    ("adaptive", ("klt", "pca", "svd", "eigh")),
)
DECODE_TIMES = (("fast", 0.15), ("medium", 1.0), ("slow", float("inf")))
"""Names of the classes with the CPU seconds of one decoded 1920x1080 frame below which they lie."""
PIXELS_1080P = 1920 * 1080
MAX_NICHES = (len(PREDICTIONS) + 1) * (len(TRANSFORMS) + 1) * len(DECODE_TIMES)


@dataclass(frozen=True)
class Family:
    """Where a codec belongs."""

    prediction: str
    transform: str
    decode: str

    @property
    def niche(self) -> str:
        """The niche's name in the table."""
        return f"{self.prediction}/{self.transform}/{self.decode}"


def family_of(source: str, report: Report) -> Family:
    """Return the family of a measured codec: by the names that its source uses and by its decoding time."""
    tree = _tree(source)
    names = _names(tree)
    remembers = _remembers(tree)
    prediction = next((name for name, words in PREDICTIONS if _uses(names, words)), "none")
    if prediction in ("motion", "difference") and not remembers:
        prediction = "intra" if _uses(names, PREDICTIONS[2][1]) else "none"
    transform = next((name for name, words in TRANSFORMS if _uses(names, words)), "other")
    seconds = decode_seconds(report)
    decode = next(name for name, limit in DECODE_TIMES if seconds < limit)
    return Family(prediction, transform, decode)


def decode_seconds(report: Report) -> float:
    """Return the CPU seconds that a 1920x1080 frame took to decode, over all points of a report."""
    return seconds_1080p(report, "decode")


def seconds_1080p(report: Report, direction: Literal["encode", "decode"]) -> float:
    """Return the CPU seconds of encoding or decoding as many pixels as a 1920x1080 frame has."""
    total, pixels = 0.0, 0
    for point in report.points:
        seconds = point.encode_cpu_s if direction == "encode" else point.decode_cpu_s
        if seconds is not None:
            total += seconds
            pixels += point.frames * point.width * point.height
    return total * PIXELS_1080P / pixels if pixels else 0.0


def elite_of(attempt: Attempt, source: str, report: Report) -> tuple[str, Elite] | None:
    """Return niche and elite of an attempt that may enter the archive, or None for one without a rate."""
    rate = attempt.training_figure("bitrate_mbps")
    if rate is None or attempt.status not in (ADOPTED, REJECTED):
        return None
    family = family_of(source, report)
    return family.niche, Elite.from_item(
        {
            **attempt.to_item(),
            "fitness": rate,
            "bd_rate_vs_hevc": attempt.training_figure("bd_rate_vs_hevc"),
            "prediction": family.prediction,
            "transform": family.transform,
            "decode": family.decode,
            "decode_s": round(decode_seconds(report), 4),
        }
    )


def choose(elites: Sequence[Elite], best: int, different: int) -> list[Elite]:
    """Return the best elites and, after them, those that differ most from the best one."""
    order = ranked(elites)
    rest = sorted(order[best:], key=lambda elite: -_distance(elite, order[0]))
    return [*order[:best], *rest[:different]]


def ranked(elites: Sequence[Elite]) -> list[Elite]:
    """Return elites by BD-rate against the anchor, the best first; those without one by their rate, at the end.

    The BD-rate is against the same codec on the same windows; rates alone are those of changing windows.
    """
    return sorted(
        elites,
        key=lambda elite: (
            elite.bd_rate_vs_hevc is None,
            elite.bd_rate_vs_hevc or 0.0,
            elite.fitness,
            elite.attempt_id,
        ),
    )


def _distance(one: Elite, other: Elite) -> int:
    return (
        (one.prediction != other.prediction)
        + (one.transform != other.transform)
        + (one.decode != other.decode)
    )


def _tree(source: str) -> ast.Module:
    """Return the syntax tree of a source, an empty one when it does not parse."""
    try:
        return ast.parse(source, feature_version=GRAMMAR)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def _names(tree: ast.Module) -> set[str]:
    """Return every identifier in lower case."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.alias):
            found.add(node.name)
    return {name.lower() for name in found}


def _remembers(tree: ast.Module) -> bool:
    """Tell whether a function changes module-level state, which is how a codec keeps a reference frame."""
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    kept: set[str] = set()
    for node in (each for each in tree.body if isinstance(each, ast.Assign | ast.AnnAssign)):
        made = node.value.func if isinstance(node.value, ast.Call) else None
        if isinstance(made, ast.Name) and made.id in classes:
            return True
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        kept |= {target.id for target in targets if isinstance(target, ast.Name)}
    for node in (n for each in tree.body if isinstance(each, ast.FunctionDef) for n in ast.walk(each)):
        if isinstance(node, ast.Global):
            return True
        if not isinstance(node, ast.Subscript | ast.Attribute) or not isinstance(node.ctx, ast.Store):
            continue
        if isinstance(node.value, ast.Name) and node.value.id in kept:
            return True
    return False


def _uses(names: set[str], words: Sequence[str]) -> bool:
    parts = {part for name in names for part in name.replace(".", "_").split("_")}
    return any(word in parts or (len(word) > 3 and any(word in name for name in names)) for word in words)
