"""The mutations of the search: coding tools, the most effective first, then settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from codec_evolution.planners.grammar.genome import GENES, Genome


@dataclass(frozen=True)
class Move:
    """One change of a genome.

    Attributes
    ----------
    title
        Unique, without a colon or a plus sign, because results are credited by title.
    genes
        The genes that it sets, with their values.
    reason, expectation
        Parts of the hypothesis.
    rank
        Tools of a lower rank come first.
    small
        Whether it is rarely enough for an adoption by itself.
    needs
        Returns whether a genome has the tools that the move builds on.
    """

    title: str
    genes: dict[str, Any]
    reason: str
    expectation: str = "a small gain on all content"
    rank: int = 9
    small: bool = True
    needs: Callable[[Genome], bool] = lambda genome: True

    def applies(self, genome: Genome) -> bool:
        """Return whether the move can be made from a genome and would change it."""
        return self.needs(genome) and genome.with_genes(**self.genes) != genome


def _moves(genome: Genome) -> bool:
    return genome.prediction == "motion"


def _still(genome: Genome) -> bool:
    return genome.prediction == "none"


TOOLS: tuple[Move, ...] = (
    Move(
        "Motion compensation and arithmetic coding",
        {"prediction": "motion", "motion_precision": 2, "entropy": "adaptive"},
        "most blocks are a shifted part of the previous frame, and the residual has few, predictable symbols",
        "half the rate or less, most on moving content",
        rank=0,
        small=False,
        needs=_still,
    ),
    Move(
        "Conditional replenishment and arithmetic coding",
        {"prediction": "replenish", "entropy": "adaptive"},
        "blocks that did not change are skipped, the others coded as differences with adaptive contexts",
        "half the rate on static content, less where the camera moves",
        rank=0,
        small=False,
        needs=_still,
    ),
    Move(
        "Motion compensation",
        {"prediction": "motion", "motion_precision": 2},
        "blocks that moved are a shifted part of the previous frame",
        "a large gain on moving content",
        rank=1,
        small=False,
        needs=lambda genome: not _moves(genome),
    ),
    Move(
        "Arithmetic coding",
        {"entropy": "adaptive"},
        "symbols are far from equally likely, and their neighbours predict them",
        "ten to twenty percent on all content",
        rank=1,
        small=False,
        needs=lambda genome: not genome.arithmetic,
    ),
    Move(
        "Quarter-sample motion with long filters",
        {"motion_precision": 4, "interpolation": "long"},
        "true motion falls between samples, and a long filter keeps the detail there",
        "ten percent or more on moving content",
        rank=2,
        small=False,
        needs=_moves,
    ),
    Move(
        "Prediction from neighbours in four modes",
        {"intra": "planar"},
        "new blocks continue what surrounds them",
        "a gain in the first frame and after cuts",
        rank=2,
        needs=lambda genome: genome.intra in ("grey", "mean"),
    ),
    Move(
        "Two transform sizes",
        {"transform": "adaptive"},
        "smooth blocks need few coefficients of a large transform, edges few of a small one",
        "five percent on all content",
        rank=2,
    ),
    Move(
        "Vectors for quarter blocks",
        {"motion_block": "split"},
        "where two objects move differently, one vector cannot serve both",
        "a few percent on moving content",
        rank=3,
        needs=_moves,
    ),
    Move(
        "Finer chroma",
        {"chroma_step": 0.6},
        "chroma planes cost few bits, so more quality for them is cheap",
        "a few percent on colourful content",
        rank=3,
        needs=lambda genome: genome.chroma_step >= 1.0,
    ),
    Move(
        "Mean of two references",
        {"references": 2},
        "the mean of two earlier frames has less coding noise than one",
        "a few percent on noisy content",
        rank=4,
        needs=lambda genome: _moves(genome) and genome.references == 1,
    ),
    Move(
        "Levels weighed by density",
        {"quantisation": "density"},
        "a level among zeros costs more bits than one among others",
        "a few percent at high rates",
        rank=4,
        needs=lambda genome: genome.quantisation == "fixed" and genome.entropy != "golomb",
    ),
    Move(
        "Deblocking",
        {"deblocking": 0.4},
        "steps between blocks are noise that would be predicted into every later frame",
        "a few percent, most at low rates",
        rank=3,
        needs=lambda genome: not genome.deblocking,
    ),
    Move(
        "Better first frame",
        {"first_frame_step": 0.7},
        "all later frames are predicted from the first",
        "a few percent on static content",
        rank=3,
        needs=lambda genome: genome.temporal and genome.first_frame_step == 1.0,
    ),
    Move(
        "Neighbours' vectors as candidates",
        {"vector_candidates": 3},
        "a block often moves exactly like the one beside or above it",
        "a few percent at low rates",
        rank=3,
        needs=lambda genome: _moves(genome) and genome.vector_candidates == 1,
    ),
    Move(
        "Mixed contexts",
        {"entropy": "mixed", "memory": 120},
        "three contexts of a level, weighted by their success, predict it better than one",
        "a few percent on all content",
        rank=3,
        needs=lambda genome: genome.entropy == "adaptive",
    ),
    Move(
        "Directional prediction",
        {"intra": "angular"},
        "edges run on into the next block at an angle",
        "a gain in the first frame and after cuts",
        rank=3,
        needs=lambda genome: genome.intra == "planar",
    ),
    Move(
        "Smooth chroma",
        {"chroma_upsampling": "linear"},
        "chroma has half the resolution, and interpolation adds no steps between its samples",
        "slightly less chroma distortion at no rate",
        rank=3,
        needs=lambda genome: genome.chroma_upsampling == "nearest",
    ),
)
"""The coding tools that a search can add."""

SETTING_REASONS = {
    "memory": "a context's memory should fit the length of a sequence",
    "mixing_rate": "weights that learn faster follow the content, slower ones are steadier",
    "search_range": "vectors should reach as far as objects move, and no farther",
    "vector_candidates": "more candidates catch more vectors, but a choice costs bits",
    "vector_weight": "the search should weigh a vector by the bits that it costs",
    "rate_weight": "levels that cost more rate than they save distortion should not be sent",
    "intra_rounding": "a wider dead zone saves bits where a level is worth little",
    "inter_rounding": "small differences are mostly noise; a wider dead zone drops them",
    "reconstruction_bias": "values within a quantiser cell are denser towards zero",
    "weighting": "high frequencies tolerate a coarser step",
    "chroma_step": "bits should go to the plane in which they help most",
    "first_frame_step": "the first frame's quality is inherited by all others",
    "cascade": "an occasional finer frame is a better reference",
    "cascade_step": "the frames between the finer ones may be coarser",
    "deblocking": "the filter should remove steps, not detail",
}
"""Why each setting is varied, by gene."""


@lru_cache(maxsize=1)
def setting_moves() -> tuple[Move, ...]:
    """Return one move for every value of every setting; it starts from a neighbouring value."""
    return tuple(
        Move(f"{gene.replace('_', ' ')} {value}", {gene: value}, reason, needs=_beside(gene, place))
        for gene, reason in SETTING_REASONS.items()
        for place, value in enumerate(GENES[gene])
    )


def _beside(gene: str, place: int) -> Callable[[Genome], bool]:
    """Return a test whether a genome's gene has a value next to the one at this place in `GENES`."""
    return lambda genome: abs(GENES[gene].index(getattr(genome, gene)) - place) == 1
