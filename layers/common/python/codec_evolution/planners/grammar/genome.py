"""The genome of a codec: its coding tools and their settings."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

MARK = "# genome 2: "
"""Starts the line of a source that declares its genome."""

OLDER_MARKS = ("# genome: ",)
"""How sources of older grammars declare theirs; no genome of this grammar can be read from them."""

GENES: dict[str, tuple[Any, ...]] = {
    "prediction": ("none", "motion"),
    "intra": ("few", "some", "many"),
    "intra_trials": (1, 2, 3),
    "transform": (8, "two", "three"),
    "contexts": ("single", "mixed"),
    "beginnings": ("even", "trained"),
    "memory": (60, 120, 200, 250),
    "mixing_shift": (14, 15, 16),
    "ending": ("plain", "short"),
    "quantisation": ("rounded", "rate-distortion"),
    "rounding": (0.2, 0.25, 0.33, 0.4),
    "rate_weight": (0.05, 0.06, 0.075, 0.09, 0.11, 0.13),
    "signs": ("coded", "hidden"),
    "reconstruction_bias": (0, 1, 2, 3, 4),
    "chroma_step": (0.5, 0.55, 0.6, 0.65, 0.7, 0.85, 1.0),
    "enlarging": ("linear", "matched"),
    "partition": ("one", "two", "three"),
    "decision": ("difference", "transform"),
    "interpolation": ("linear", "long"),
    "chroma_taps": (2, 4),
    "references": (1, 2),
    "older": ("before", "finer"),
    "overlap": (False, True),
    "vector_weight": (0.3, 0.4, 0.5),
    "first_step": (0.45, 0.5, 0.55, 0.65, 0.75, 0.85, 1.0),
    "cascade": (0, 2, 4, 8, 16),
    "cascade_step": (1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.75),
    "bit_worth": ("even", "graded"),
    "deblocking": (0.0, 0.15, 0.25, 0.4),
    "loop_filter": ("none", "trained"),
    "chroma_filter": ("none", "trained"),
    "pace": ("plain", "quick"),
}
"""The values that each gene may take; ordered ones from plain to strong, or from small to large."""

_MOTION_GENES = (
    "partition",
    "decision",
    "interpolation",
    "chroma_taps",
    "references",
    "older",
    "overlap",
    "vector_weight",
    "first_step",
    "cascade",
)


@dataclass(frozen=True)
class Genome:
    """One codec of the grammar; the defaults are the plain codec from which a search starts.

    The fields are the genes of `GENES`. Steps and weights are factors; `rounding` is a fraction of a quantiser step;
    `reconstruction_bias` counts 1/32 of a step; `rate_weight` is in squared steps a bit.
    """

    prediction: str = "none"
    intra: str = "few"
    intra_trials: int = 1
    transform: int | str = 8
    contexts: str = "single"
    beginnings: str = "even"
    memory: int = 120
    mixing_shift: int = 15
    ending: str = "plain"
    quantisation: str = "rounded"
    rounding: float = 0.33
    rate_weight: float = 0.09
    signs: str = "coded"
    reconstruction_bias: int = 0
    chroma_step: float = 1.0
    enlarging: str = "linear"
    partition: str = "one"
    decision: str = "difference"
    interpolation: str = "linear"
    chroma_taps: int = 2
    references: int = 1
    older: str = "before"
    overlap: bool = False
    vector_weight: float = 0.4
    first_step: float = 1.0
    cascade: int = 0
    cascade_step: float = 1.2
    bit_worth: str = "even"
    deblocking: float = 0.0
    loop_filter: str = "none"
    chroma_filter: str = "none"
    pace: str = "plain"

    def __post_init__(self) -> None:
        """Raise ValueError, with the gene's name, for a value that is not in the grammar."""
        for gene, value in vars(self).items():
            _check(gene, value)

    @property
    def moves(self) -> bool:
        """Whether blocks are predicted from earlier frames."""
        return self.prediction == "motion"

    @property
    def mixed(self) -> bool:
        """Whether several contexts are mixed for one symbol."""
        return self.contexts == "mixed"

    @property
    def large(self) -> bool:
        """Whether there are transforms of 16 x 16."""
        return self.transform != 8

    @property
    def small(self) -> bool:
        """Whether there are transforms of 4 x 4."""
        return self.transform == "three"

    @property
    def split(self) -> bool:
        """Whether quarters of a macroblock may have motions of their own."""
        return self.moves and self.partition != "one"

    @property
    def big(self) -> bool:
        """Whether four macroblocks may share one motion."""
        return self.moves and self.partition == "three"

    @property
    def keeps(self) -> bool:
        """Whether the second reference is the last finer frame rather than the frame before the last."""
        return self.moves and self.references == 2 and self.cascade > 0 and self.older == "finer"

    @property
    def quick(self) -> bool:
        """Whether the encoder tries less and both sides work in larger batches."""
        return self.pace == "quick"

    @property
    def hd(self) -> bool:
        """Whether frames up to 1920x1088 are coded as small ones are, unless that takes too long."""
        return self.quick and self.moves

    @property
    def fused(self) -> bool:
        """Whether the quantiser transforms the residuals itself."""
        return self.quick and self.quantisation == "rate-distortion"

    @property
    def hides_signs(self) -> bool:
        """Whether the parity of a block's magnitudes tells the sign of its last level."""
        return self.signs == "hidden" and self.quantisation == "rate-distortion"

    @property
    def filters_chroma(self) -> bool:
        """Whether the trained loop filter also works on chroma."""
        return self.loop_filter == "trained" and self.chroma_filter == "trained"

    def canonical(self) -> Genome:
        """Return the same codec, with every gene that it does not use at its default."""
        unused: list[str] = []
        if not self.moves:
            unused += _MOTION_GENES
        if not self.moves or not self.cascade:
            unused += ["cascade_step", "bit_worth"]
        if not self.keeps:
            unused += ["older"]
        if not self.mixed:
            unused += ["mixing_shift", "beginnings"]
        if self.quantisation != "rounded":
            unused += ["rounding"]
        else:
            unused += ["signs"]
        if self.loop_filter != "trained":
            unused += ["chroma_filter"]
        changes = {gene: _DEFAULTS[gene] for gene in unused if getattr(self, gene) != _DEFAULTS[gene]}
        return self._changed(changes) if changes else self

    def with_genes(self, **genes: Any) -> Genome:
        """Return this genome with some genes changed, in canonical form."""
        for gene, value in genes.items():
            _check(gene, value)
        return self._changed(genes).canonical()

    def _changed(self, genes: dict[str, Any]) -> Genome:
        # As dataclasses.replace, which would check every gene again: a search makes a hundred thousand genomes.
        changed = object.__new__(Genome)
        vars(changed).update(vars(self) | genes)
        return changed

    def line(self) -> str:
        """Return the comment line that declares the genome in a source: the genes that are not at their default."""
        genes = asdict(self)
        return MARK + json.dumps({gene: value for gene, value in genes.items() if value != _DEFAULTS[gene]})


def _check(gene: str, value: Any) -> None:
    """Raise TypeError for a gene that there is not, and ValueError for a value that is not in the grammar."""
    if gene not in GENES:
        raise TypeError(f"there is no gene {gene!r}")
    if not _is_among(value, GENES[gene]):
        raise ValueError(f"gene {gene}: {value!r} is not one of {GENES[gene]}")


def _is_among(value: Any, values: tuple[Any, ...]) -> bool:
    return value in values and type(value) is type(values[values.index(value)])  # True == 1 == 1.0


_DEFAULTS = asdict(Genome())


def read_genome(source: str) -> Genome | None:
    """Return the genome that a source declares, or None if it declares no valid one."""
    for line in source.splitlines():
        if line.startswith(MARK):
            try:
                return Genome(**json.loads(line[len(MARK) :])).canonical()
            except (ValueError, TypeError):
                return None
    return None


def origin_of(source: str) -> str:
    """Say why a source has no genome of this grammar, for a summary."""
    if any(line.startswith(OLDER_MARKS) for line in source.splitlines()):
        return "the incumbent is of an older grammar, whose tools this one does not have"
    return "the incumbent is not of this grammar"
