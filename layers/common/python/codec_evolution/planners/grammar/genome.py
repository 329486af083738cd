"""The genome of a codec: its coding tools and their settings."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

MARK = "# genome: "
"""Starts the line of a source that declares its genome."""

GENES: dict[str, tuple[Any, ...]] = {
    "prediction": ("none", "replenish", "motion"),
    "intra": ("grey", "mean", "planar", "angular"),
    "transform": (8, 16, "adaptive"),
    "entropy": ("golomb", "adaptive", "mixed"),
    "memory": (24, 40, 70, 120, 200),
    "mixing_rate": (0.005, 0.01, 0.02),
    "motion_block": (16, "split"),
    "motion_precision": (1, 2, 4),
    "references": (1, 2),
    "interpolation": ("linear", "long"),
    "search_range": (8, 16, 24),
    "vector_candidates": (1, 3, 4),
    "vector_weight": (0.2, 0.3, 0.4, 0.55, 0.75),
    "rate_weight": (0.04, 0.08, 0.12, 0.16, 0.22),
    "quantisation": ("fixed", "density"),
    "intra_rounding": (0.5, 0.4, 0.33, 0.25),
    "inter_rounding": (0.5, 0.4, 0.33, 0.25, 0.2, 0.15),
    "reconstruction_bias": (0, 1, 2, 3, 4),
    "weighting": (0.0, 0.15, 0.3),
    "chroma_step": (0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2),
    "chroma_upsampling": ("nearest", "linear"),
    "first_frame_step": (1.0, 0.9, 0.8, 0.7, 0.6, 0.5),
    "cascade": (0, 2, 4),
    "cascade_step": (1.1, 1.2, 1.3),
    "deblocking": (0.0, 0.2, 0.4, 0.6),
}
"""The values that each gene may take; ordered ones from plain to strong."""


@dataclass(frozen=True)
class Genome:
    """One codec of the grammar; the defaults are the plain codec from which a search starts.

    The fields are the genes of `GENES`. Steps and weights are factors; roundings are fractions of a quantiser
    step; `reconstruction_bias` counts 1/32 of a step; `search_range` counts luma samples.
    """

    prediction: str = "none"
    intra: str = "grey"
    transform: int | str = 8
    entropy: str = "golomb"
    memory: int = 40
    mixing_rate: float = 0.005
    motion_block: int | str = 16
    motion_precision: int = 1
    references: int = 1
    interpolation: str = "linear"
    search_range: int = 16
    vector_candidates: int = 1
    vector_weight: float = 0.4
    rate_weight: float = 0.12
    quantisation: str = "fixed"
    intra_rounding: float = 0.4
    inter_rounding: float = 0.33
    reconstruction_bias: int = 0
    weighting: float = 0.0
    chroma_step: float = 1.0
    chroma_upsampling: str = "nearest"
    first_frame_step: float = 1.0
    cascade: int = 0
    cascade_step: float = 1.1
    deblocking: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError, with the gene's name, for a value that is not in the grammar."""
        for gene, values in GENES.items():
            if not _is_among(getattr(self, gene), values):
                raise ValueError(f"gene {gene}: {getattr(self, gene)!r} is not one of {values}")

    @property
    def arithmetic(self) -> bool:
        """Whether symbols are coded arithmetically."""
        return self.entropy != "golomb"

    @property
    def spatial(self) -> bool:
        """Whether blocks are predicted from decoded samples around them."""
        return self.intra != "grey"

    @property
    def temporal(self) -> bool:
        """Whether blocks are predicted from the previous frame."""
        return self.prediction != "none"

    def canonical(self) -> Genome:
        """Return the same codec, with every gene that it does not use at its default."""
        unused: list[str] = []
        if not self.arithmetic:
            unused += ["memory"]
        if self.entropy != "mixed":
            unused += ["mixing_rate"]
        if self.prediction != "motion":
            unused += [
                "motion_block",
                "motion_precision",
                "references",
                "interpolation",
                "search_range",
                "vector_candidates",
            ]
        if self.motion_precision == 1:
            unused += ["interpolation"]
        if not self.temporal:
            unused += ["first_frame_step", "cascade"]
        if not self.temporal and not self.spatial:
            unused += ["vector_weight"]
        if not self.temporal or not self.cascade:
            unused += ["cascade_step"]
        if not self.spatial:
            unused += ["intra_rounding"]
        if self.quantisation != "fixed":
            unused += ["intra_rounding", "inter_rounding"]
        return replace(self, **{gene: _DEFAULTS[gene] for gene in unused})

    def with_genes(self, **genes: Any) -> Genome:
        """Return this genome with some genes changed, in canonical form."""
        return replace(self, **genes).canonical()

    def line(self) -> str:
        """Return the comment line that declares the genome in a source: the genes that are not at their default."""
        genes = asdict(self)
        return MARK + json.dumps({gene: value for gene, value in genes.items() if value != _DEFAULTS[gene]})


def _is_among(value: Any, values: tuple[Any, ...]) -> bool:
    return any(type(value) is type(known) and value == known for known in values)


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
