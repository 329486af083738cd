"""Writes the Python source of a genome, with only the coding tools that it uses."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import jinja2

from codec_evolution.planners.grammar.genome import Genome

TEMPLATES = Path(__file__).parent / "templates"

RAYS = {
    "grey": (),
    "mean": (),
    "planar": ((1, 0), (0, 1)),
    "angular": (
        *((1, 0), (0, 1), (1, 1), (2, 1), (1, 2), (4, 1), (1, 4), (4, 3), (3, 4)),  # from above and the left
        *((1, -1), (2, -1), (4, -1)),  # from above and the right
    ),
}
"""Directions (down, right) of intra prediction by the value of the gene `intra`."""


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def write_codec(genome: Genome) -> str:
    """Return the complete source of a codec, at most about 60 KB; the same genome gives the same text."""
    genome = genome.canonical()
    units = 2 if genome.motion_block == "split" else 1
    text = (
        _environment()
        .get_template("codec_file.py.j2")
        .render(
            g=genome,
            units=units,
            vector_size=16 // units,
            rays=RAYS[genome.intra],
            intra_rounding=_rounding_argument(genome, genome.intra_rounding),
            inter_rounding=_rounding_argument(genome, genome.inter_rounding),
            tools=describe(genome),
            genome_line=genome.line(),
        )
    )
    return re.sub(r"\n{4,}", "\n\n\n", text).rstrip("\n") + "\n"


def _rounding_argument(genome: Genome, rounding: float) -> str:
    """Return the last argument of a call of `quantise`; density quantisation takes none."""
    return f", {rounding}" if genome.quantisation == "fixed" else ""


def describe(genome: Genome) -> list[str]:
    """Return one phrase for each coding tool of a genome."""
    transforms = {8: "8 x 8", 16: "16 x 16", "adaptive": "8 x 8 or 16 x 16, whichever costs less,"}
    tools = [
        "4:2:0 planes in BT.709",
        f"cosine transform of {transforms[genome.transform]} blocks".rstrip(","),
    ]
    tools += {
        "grey": [],
        "mean": ["blocks predicted from the mean of their neighbours"],
        "planar": ["blocks predicted from their neighbours in four modes"],
        "angular": ["blocks predicted from their neighbours in fourteen modes"],
    }[genome.intra]
    if genome.prediction == "replenish":
        tools.append("conditional replenishment: what did not change is not sent")
    if genome.prediction == "motion":
        parts = "16 x 16 or 8 x 8" if genome.motion_block == "split" else "16 x 16"
        precision = {1: "whole samples", 2: "half samples", 4: "quarter samples"}[genome.motion_precision]
        tools.append(f"motion compensation of {parts} blocks in {precision}")
    tools += {
        "golomb": ["levels as runs in Exp-Golomb codes"],
        "adaptive": ["context-adaptive binary arithmetic coding"],
        "mixed": ["binary arithmetic coding with mixed contexts"],
    }[genome.entropy]
    if genome.deblocking:
        tools.append("deblocking inside the prediction loop")
    return tools
