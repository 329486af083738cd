"""Writes the Python source of a genome, with only the coding tools that it uses."""

from __future__ import annotations

import re
import textwrap
from functools import lru_cache
from pathlib import Path

import jinja2

from codec_evolution.planners.grammar import trained
from codec_evolution.planners.grammar.genome import Genome

TEMPLATES = Path(__file__).parent / "templates"

_SOME_RAYS = (
    *((1, 0), (0, 1), (1, 1), (2, 1), (1, 2), (4, 1), (1, 4), (4, 3), (3, 4)),  # from above and the left
    *((1, -1), (2, -1), (4, -1)),  # from above and the right
)
_MORE_RAYS = ((8, 1), (1, 8), (8, 3), (3, 8), (8, 5), (5, 8), (7, 8), (8, 7), (8, -1), (8, -3), (4, -3))

RAYS = {"few": _SOME_RAYS[:2], "some": _SOME_RAYS, "many": (*_SOME_RAYS, *_MORE_RAYS)}
"""Directions (down, right) of intra prediction by the value of the gene `intra`."""

SIZES = {8: (8,), "two": (8, 16), "three": (4, 8, 16)}
"""Sizes of transforms by the value of the gene `transform`."""

_TEXT_WIDTH = 100


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


def write_codec(
    genome: Genome,
    beginnings: str = trained.BEGINNINGS,
    weights: str = trained.FILTER,
    chroma_weights: str = trained.CHROMA_FILTER,
) -> str:
    """Return the complete source of a codec, at most about 147 KB; the same genome gives the same text.

    Parameters
    ----------
    beginnings, weights, chroma_weights
        Trained constants, as in `trained`.
    """
    genome = genome.canonical()
    filtered = genome.loop_filter == "trained" and bool(weights)
    text = (
        _environment()
        .get_template("codec_file.py.j2")
        .render(
            g=genome,
            sections=_sections(genome),
            sizes=SIZES[genome.transform],
            rays=RAYS[genome.intra],
            trained=genome.beginnings == "trained" or filtered,
            prior_lines=_lines(beginnings),
            filter_lines=_lines(weights) if filtered else [],
            chroma_lines=_lines(chroma_weights) if filtered else [],
            tools=describe(genome),
            genome_line=genome.line(),
        )
    )
    return re.sub(r"\n{4,}", "\n\n\n", text).rstrip("\n") + "\n"


def write_trainer(genome: Genome) -> str:
    """Return the trainer of a codec's loop filters; "" for a codec that has none, or works at plain pace."""
    genome = genome.canonical()
    if genome.loop_filter != "trained" or not genome.quick:
        return ""
    return _environment().get_template("trainer.py.j2").render(g=genome).lstrip("\n")


def _sections(genome: Genome) -> list[str]:
    """Return the names of a codec's templates, in the order of its text."""
    search = "quick_search" if genome.quick else "motion_search"
    motion = ["motion", search, "decisions"] if genome.moves else []
    sections = [
        "colour",
        "transform",
        "contexts",
        "coder",
        "levels",
        *(["hidden_signs"] if genome.hides_signs else []),
        "quick_quantiser" if genome.fused else "quantiser",
        "intra",
        "picture",
        *motion,
    ]
    sections += ["syntax", "hints", "intra_blocks"]
    if genome.moves:
        sections += ["inter"]
    if genome.deblocking:
        sections += ["deblocking"]
    if genome.loop_filter == "trained":
        sections += ["loop_filter"]
    if genome.filters_chroma:
        sections += ["chroma_filter"]
    return [*sections, "quick_plain" if genome.hd else "plain", "codec"]


def _lines(text: str) -> list[str]:
    return textwrap.wrap(text, _TEXT_WIDTH, break_on_hyphens=False)


def describe(genome: Genome) -> list[str]:
    """Return one phrase for each coding tool of a genome."""
    transforms = {8: "8 x 8", "two": "16 x 16 and 8 x 8", "three": "16 x 16, 8 x 8 and 4 x 4"}
    contexts = "mixed contexts" if genome.mixed else "adaptive contexts"
    if genome.beginnings == "trained":
        contexts += " that begin trained"
    tools = [
        "4:2:0 planes in BT.709",
        f"blocks predicted from their neighbours in {2 + len(RAYS[genome.intra])} modes",
        f"cosine transforms of {transforms[genome.transform]}",
        f"binary arithmetic coding with {contexts}",
    ]
    if genome.quantisation == "rate-distortion":
        tools.append("levels chosen by rate and distortion")
    if genome.hides_signs:
        tools.append("signs hidden in the parity of magnitudes")
    if genome.moves:
        blocks = {"one": "16 x 16", "two": "16 x 16 and 8 x 8", "three": "32 x 32, 16 x 16 and 8 x 8"}
        filters = "long filters" if genome.interpolation == "long" else "linear filters"
        tools.append(
            f"motion compensation of {blocks[genome.partition]} blocks in quarter samples with {filters}"
        )
        tools.append("motions inherited from neighbours, and blocks skipped")
        if genome.decision == "transform":
            tools.append("motion and partition chosen by the cost of the residual's coefficients")
        if genome.references == 2:
            older = "the last frame and the last finer one" if genome.keeps else "two earlier frames"
            tools.append(f"{older}, or their mean")
        if genome.overlap:
            tools.append("overlapped motion compensation")
    if genome.deblocking:
        tools.append("deblocking inside the prediction loop")
    if genome.loop_filter == "trained":
        planes = " of all planes" if genome.filters_chroma else ""
        tools.append(f"a trained, classified filter{planes} inside the prediction loop")
    return tools
