"""Every codec of the grammar is readable Python that decodes to exactly what its encoder remembers."""

from __future__ import annotations

import ast
import functools
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from codec_evolution.planners.grammar.genome import GENES, MARK, Genome, read_genome
from codec_evolution.planners.grammar.writer import write_codec
from codec_sandbox.policy import Policy, ceiling_text
from codec_sandbox.validator import check

from .codec_runs import decode, encode, load, moving_frames, psnr

STRONG = Genome(
    prediction="motion",
    intra="angular",
    transform="adaptive",
    entropy="mixed",
    motion_block="split",
    motion_precision=4,
    references=2,
    interpolation="long",
    vector_candidates=3,
    reconstruction_bias=2,
    weighting=0.15,
    chroma_upsampling="linear",
    first_frame_step=0.8,
    cascade=2,
    deblocking=0.4,
).canonical()
ONE_GENE_CHANGED = sorted(
    {STRONG.with_genes(**{gene: value}) for gene, values in GENES.items() for value in values}
    | {Genome().canonical()},
    key=Genome.line,
)
FRAMES = moving_frames(3, 35, 50)


source_of = functools.cache(write_codec)
"""The source of a genome, written once for all tests."""


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every statement below a node; leaving expressions out makes this several times as fast as `ast.walk`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield child
            yield from statements(child)


@functools.cache
def declarations(source: str) -> list[ast.Import | ast.ImportFrom | ast.FunctionDef]:
    """Return the imports and functions of a source; parsing one takes 20 ms."""
    tree = ast.parse(source, feature_version=(3, 11))
    return [n for n in statements(tree) if isinstance(n, ast.Import | ast.ImportFrom | ast.FunctionDef)]


def random_genome(seed: int) -> Genome:
    draw = random.Random(seed)
    return Genome(**{gene: draw.choice(values) for gene, values in GENES.items()}).canonical()


def assert_round_trip(source: str, quality: int) -> float:
    packets, sender = encode(source, FRAMES, quality)
    decoded, receiver = decode(source, packets, FRAMES, quality)
    for sent, received in zip(sender["SENT"].planes, receiver["RECEIVED"].planes, strict=True):
        assert np.array_equal(sent, received)
    for frame, original in zip(decoded, FRAMES, strict=True):
        assert frame.dtype == np.uint8
        assert frame.shape == original.shape
    assert all(type(packet) is bytes and packet for packet in packets)
    return psnr(FRAMES, decoded)


@pytest.mark.slow
@pytest.mark.parametrize("genome", ONE_GENE_CHANGED, ids=lambda genome: "")
def test_every_gene_value_round_trips_exactly_on_an_odd_size(genome: Genome) -> None:
    assert assert_round_trip(source_of(genome), 60) > 25


@pytest.mark.parametrize("seed", range(15))
def test_any_combination_of_genes_round_trips_exactly(seed: int) -> None:
    assert assert_round_trip(source_of(random_genome(seed)), 20 + 5 * seed) > 18


@pytest.mark.parametrize("genome", [Genome().canonical(), STRONG, *map(random_genome, range(6))], ids=str)
def test_a_source_is_within_the_language_policy(genome: Genome) -> None:
    root = Path(__file__).parents[3]
    text = (root / "layers/common/python/codec_evolution/data/language_policy.toml").read_text("utf-8")
    policy = Policy.from_toml(text, ceiling_text())
    names = ("compress_video_frame", "decompress_video_frame")
    tree, violations = check(source_of(genome).encode(), policy, names)
    assert tree is not None
    assert violations == []


def test_a_source_imports_only_numpy_math_and_struct() -> None:
    for genome in ONE_GENE_CHANGED:
        found = declarations(source_of(genome))
        imports = {n.names[0].name for n in found if isinstance(n, ast.Import | ast.ImportFrom)}
        assert imports == {"math", "struct", "numpy"}


def test_a_source_declares_its_genome() -> None:
    for seed in range(50):
        genome = random_genome(seed)
        assert read_genome(source_of(genome)) == genome


def test_a_source_of_another_grammar_declares_no_genome() -> None:
    assert read_genome("import numpy as np\n") is None
    assert read_genome('# genome: {"prediction": "psychic"}\n') is None
    assert read_genome("# genome: [1, 2]\n") is None
    assert read_genome("# genome: {") is None


def test_a_value_outside_the_grammar_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="motion_precision"):
        Genome(motion_precision=3)


def test_a_source_is_readable_and_small() -> None:
    for genome in ONE_GENE_CHANGED:
        source = source_of(genome)
        assert len(source.encode()) < 100 * 1024
        assert max(len(line) for line in source.splitlines() if not line.startswith(MARK)) <= 120
        assert "\n\n\n\n" not in source
        functions = [n for n in declarations(source) if isinstance(n, ast.FunctionDef)]
        undocumented = [
            f.name for f in functions if not ast.get_docstring(f) and f.name not in ("__init__", "shrink")
        ]
        assert undocumented == []


def test_only_the_tools_of_the_genome_are_in_the_text() -> None:
    plain, strong = source_of(Genome()), source_of(STRONG)
    for word in ("subpel_planes", "RangeEncoder", "deblock", "RAYS", "mark_skipped"):
        assert word in strong
        assert word not in plain


def test_two_encoders_write_the_same_packets() -> None:
    source = source_of(STRONG)
    assert encode(source, FRAMES)[0] == encode(source, FRAMES)[0]


def test_frame_0_starts_a_new_sequence() -> None:
    source = source_of(STRONG)
    settings = {"quality": 50}
    sender = load(source)
    first = [sender["compress_video_frame"](frame, n, settings) for n, frame in enumerate(FRAMES)]
    again = [sender["compress_video_frame"](frame, n, settings) for n, frame in enumerate(FRAMES)]
    assert first == again
    receiver = load(source)
    shown = [
        [receiver["decompress_video_frame"](p, n, settings) for n, p in enumerate(first)] for _ in (1, 2)
    ]
    assert all(np.array_equal(a, b) for a, b in zip(*shown, strict=True))


def test_higher_quality_costs_more_and_shows_more() -> None:
    for genome in (Genome().canonical(), STRONG):
        source = source_of(genome)
        sizes, qualities = [], []
        for quality in (10, 50, 90):
            packets, _ = encode(source, FRAMES, quality)
            sizes.append(sum(map(len, packets)))
            qualities.append(psnr(FRAMES, decode(source, packets, FRAMES, quality)[0]))
        assert sizes == sorted(sizes)
        assert qualities == sorted(qualities)


@pytest.mark.parametrize("genome", [Genome().canonical(), STRONG], ids=["plain", "strong"])
def test_noise_too_busy_for_serial_coding_is_packed_and_decodes_exactly(genome: Genome) -> None:
    draw = np.random.default_rng(3)
    frames = [draw.integers(0, 256, (400, 600, 3), dtype=np.uint8) for _ in range(2)]
    frames.append(np.full((400, 600, 3), 128, dtype=np.uint8))
    source = source_of(genome)
    packets, sender = encode(source, frames, 70)
    _, receiver = decode(source, packets, frames, 70)
    for sent, received in zip(sender["SENT"].planes, receiver["RECEIVED"].planes, strict=True):
        assert np.array_equal(sent, received)


def test_a_still_scene_costs_almost_nothing_after_its_first_frame() -> None:
    still = [FRAMES[0]] * 4
    packets, _ = encode(source_of(STRONG.with_genes(cascade=0)), still)
    assert sum(map(len, packets[2:])) < len(packets[0]) / 20
