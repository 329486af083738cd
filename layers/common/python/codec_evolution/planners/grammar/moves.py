"""The mutations of the search: coding tools with the gain to expect of each, then settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from codec_evolution.planners.grammar.genome import GENES, Genome


@dataclass(frozen=True, eq=False)
class Move:
    """One change of a genome; there is one object of each, so moves are compared by identity.

    Attributes
    ----------
    title
        Unique, without a colon or a plus sign, because results are credited by title.
    genes
        The genes that it sets, with their values.
    reason
        Part of the hypothesis.
    gain
        Percent of the rate that it is expected to save. Most are the loss of the strongest codec without the tool, on
        one training clip; the record corrects them.
    needs
        Returns whether a genome has the tools that the move builds on.
    """

    title: str
    genes: dict[str, Any]
    reason: str
    gain: float = 0.5
    needs: Callable[[Genome], bool] = lambda genome: True

    def applies(self, genome: Genome) -> bool:
        """Return whether the move can be made from a genome and would change it."""
        return self.needs(genome) and genome.with_genes(**self.genes) != genome


def _moves(genome: Genome) -> bool:
    return genome.moves


FOUNDATION = Move(
    "Motion compensation",
    {"prediction": "motion", "pace": "quick"},
    "most blocks are a shifted part of an earlier frame",
    40.0,
    lambda genome: not genome.moves,
)
"""The tool on which most others build; it comes first."""

TOOLS: tuple[Move, ...] = (
    FOUNDATION,
    Move(
        "Levels by rate and distortion",
        {"quantisation": "rate-distortion"},
        "a level that costs more bits than its error is worth should not be sent",
        6.0,
        lambda genome: genome.quantisation == "rounded",
    ),
    Move(
        "Hidden signs",
        {"signs": "hidden"},
        "a sign costs a whole bit, and a parity that tells it often costs less",
        1.0,
        lambda genome: genome.quantisation == "rate-distortion" and genome.signs == "coded",
    ),
    Move(
        "Long interpolation filters",
        {"interpolation": "long"},
        "true motion falls between samples, and a long filter keeps the detail there",
        20.0,
        lambda genome: genome.moves and genome.interpolation == "linear",
    ),
    Move(
        "Mixed contexts",
        {"contexts": "mixed"},
        "contexts of a symbol, weighted by their success, predict it better than one",
        3.0,
        lambda genome: not genome.mixed,
    ),
    Move(
        "Large transforms",
        {"transform": "two"},
        "smooth blocks need few coefficients of a large transform",
        3.5,
        lambda genome: genome.transform == 8,
    ),
    Move(
        "Small transforms",
        {"transform": "three"},
        "residuals at edges are short, and so should be their transforms",
        3.5,
        lambda genome: genome.transform == "two",
    ),
    Move(
        "Motions of quarters",
        {"partition": "two"},
        "where two objects move differently, one vector cannot serve both",
        4.5,
        lambda genome: genome.moves and genome.partition == "one",
    ),
    Move(
        "Motion shared by four macroblocks",
        {"partition": "three"},
        "backgrounds move as a whole, and one flag is cheaper than four",
        1.0,
        lambda genome: genome.moves and genome.partition == "two",
    ),
    Move(
        "Decisions by coefficients",
        {"decision": "transform"},
        "the bits of a residual depend on its coefficients, not on its samples",
        4.0,
        lambda genome: genome.moves and genome.decision == "difference",
    ),
    Move(
        "Two references and their mean",
        {"references": 2},
        "the mean of two earlier frames has less coding noise than one, and the older one shows what was hidden",
        6.0,
        lambda genome: genome.moves and genome.references == 1,
    ),
    Move(
        "Last finer frame as reference",
        {"older": "finer", "cascade": 8, "cascade_step": 1.5},
        "the last finer frame shows what does not change better than the frame before the last",
        8.0,
        lambda genome: genome.moves and genome.references == 2 and genome.older == "before",
    ),
    Move(
        "Trained loop filter",
        {"loop_filter": "trained"},
        "coding noise looks alike everywhere, so its removal can be learnt once, by class of block",
        3.0,
        lambda genome: genome.loop_filter == "none",
    ),
    Move(
        "Trained loop filter for chroma",
        {"chroma_filter": "trained"},
        "noise of chroma shows beside what luma and the other chroma plane tell, and a quarter of the PSNR is chroma",
        1.5,
        lambda genome: genome.loop_filter == "trained" and genome.chroma_filter == "none",
    ),
    Move(
        "Trained beginnings of contexts",
        {"beginnings": "trained"},
        "contexts need not learn again in every sequence what all sequences share",
        1.5,
        lambda genome: genome.mixed and genome.beginnings == "even",
    ),
    Move(
        "Finer frames in between",
        {"cascade": 4, "cascade_step": 1.3},
        "an occasional finer frame is a better reference for all that follow",
        3.0,
        lambda genome: genome.moves and not genome.cascade,
    ),
    Move(
        "Bits worth less in finer frames",
        {"bit_worth": "graded"},
        "what a bit improves in a finer frame is inherited by all frames that are predicted from it",
        0.9,
        lambda genome: genome.moves and genome.cascade > 0 and genome.bit_worth == "even",
    ),
    Move(
        "Short endings of packets",
        {"ending": "short"},
        "the last bytes of a packet may be any number in the coder's range, so take one that ends in zeros",
        0.4,
        lambda genome: genome.ending == "plain",
    ),
    Move(
        "Finer first frame",
        {"first_step": 0.65},
        "all later frames are predicted from the first",
        0.5,
        lambda genome: genome.moves and genome.first_step == 1.0,
    ),
    Move(
        "Finer chroma",
        {"chroma_step": 0.6},
        "chroma planes cost few bits, so more quality for them is cheap",
        3.0,
        lambda genome: genome.chroma_step == 1.0,
    ),
    Move(
        "Chroma enlarged to match its means",
        {"enlarging": "matched"},
        "the mean of enlarged chroma samples should be the decoded sample, not a blur of it",
        2.5,
        lambda genome: genome.enlarging == "linear",
    ),
    Move(
        "Long chroma filters",
        {"chroma_taps": 4},
        "linear interpolation blurs chroma a little more with every frame",
        1.5,
        lambda genome: genome.moves and genome.chroma_taps == 2,
    ),
    Move(
        "Overlapped motion",
        {"overlap": True},
        "a block's neighbours know something about the motion at its sides",
        1.5,
        lambda genome: genome.moves and not genome.overlap,
    ),
    Move(
        "Deblocking",
        {"deblocking": 0.25},
        "steps between blocks are noise that would be predicted into every later frame",
        1.0,
        lambda genome: not genome.deblocking,
    ),
    Move(
        "Fourteen intra modes",
        {"intra": "some"},
        "edges run on into the next block at an angle",
        2.0,
        lambda genome: genome.intra == "few",
    ),
    Move(
        "Intra modes tried after quantisation",
        {"intra_trials": 2},
        "the mode with the smallest difference is not always the cheapest",
        1.0,
        lambda genome: genome.intra_trials == 1,
    ),
    Move(
        "Decisions in larger batches",
        {"pace": "quick"},
        "what a decision saves in time, other tools can spend",
        0.1,
        lambda genome: genome.pace == "plain",
    ),
    Move(
        "Levels rebuilt towards zero",
        {"reconstruction_bias": 2},
        "values within a quantiser cell are denser towards zero",
        1.0,
        lambda genome: genome.reconstruction_bias == 0,
    ),
)
"""The coding tools that a search can add."""

SETTING_REASONS = {
    "memory": "a context's memory should fit the length of a sequence",
    "mixing_shift": "weights that learn faster follow the content, slower ones are steadier",
    "vector_weight": "the search should weigh a vector by the bits that it costs",
    "rate_weight": "a bit should be worth as much in every decision as on the curve",
    "rounding": "a wider dead zone saves bits where a level is worth little",
    "reconstruction_bias": "values within a quantiser cell are denser towards zero",
    "chroma_step": "bits should go to the plane in which they help most",
    "first_step": "the first frame's quality is inherited by all others",
    "cascade": "an occasional finer frame is a better reference",
    "cascade_step": "the frames between the finer ones may be coarser",
    "deblocking": "the filter should remove steps, not detail",
    "intra": "more directions fit more edges, but a choice costs bits",
    "intra_trials": "the mode with the smallest difference is not always the cheapest",
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
