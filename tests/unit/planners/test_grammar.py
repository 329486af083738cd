"""Every codec of the grammar is readable Python that decodes to exactly what its encoder remembers."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from codec_evolution.candidate import MAX_SOURCE_BYTES
from codec_evolution.planners.grammar.genome import GENES, MARK, Genome, origin_of, read_genome
from codec_evolution.planners.grammar.writer import write_codec
from codec_sandbox.elements import read_bits
from codec_sandbox.policy import Policy, ceiling_text
from codec_sandbox.validator import check

from .codec_runs import decode, encode, load, moving_frames, psnr

STRONG = Genome(
    prediction="motion",
    intra="many",
    intra_trials=2,
    transform="three",
    contexts="mixed",
    beginnings="trained",
    quantisation="rate-distortion",
    signs="hidden",
    reconstruction_bias=2,
    chroma_step=0.6,
    partition="three",
    decision="transform",
    interpolation="long",
    references=2,
    overlap=True,
    first_step=0.65,
    cascade=2,
    older="finer",
    chroma_taps=4,
    enlarging="matched",
    bit_worth="graded",
    ending="short",
    deblocking=0.25,
    loop_filter="trained",
    chroma_filter="trained",
    pace="quick",
).canonical()
ONE_GENE_CHANGED = sorted(
    {STRONG.with_genes(**{gene: value}) for gene, values in GENES.items() for value in values}
    | {Genome().canonical()},
    key=Genome.line,
)
FRAMES = moving_frames(3, 35, 50)
FEWER_BLOCKS = moving_frames(3, 27, 38)
"""For what is done with every value of every gene: in both directions a whole macroblock, and a part of one."""


source_of = functools.cache(write_codec)
"""The source of a genome, written once for all tests."""


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every statement below a node; leaving expressions out makes this several times as fast as `ast.walk`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield child
            yield from statements(child)


class Declarations(NamedTuple):
    """What a source imports, and which of its functions have no docstring."""

    imports: set[str]
    undocumented: list[str]


@functools.cache
def declarations(source: str) -> Declarations:
    """Parse a source, which takes 20 ms; a hundred trees, kept, would take a gigabyte."""
    found = list(statements(ast.parse(source, feature_version=(3, 11))))
    functions = [n for n in found if isinstance(n, ast.FunctionDef)]
    return Declarations(
        {n.names[0].name for n in found if isinstance(n, ast.Import)},
        [f.name for f in functions if not ast.get_docstring(f)],
    )


def random_genome(seed: int) -> Genome:
    draw = random.Random(seed)
    return Genome(**{gene: draw.choice(values) for gene, values in GENES.items()}).canonical()


def assert_exact(source: str, frames: list[np.ndarray], quality: int) -> list[np.ndarray]:
    """Assert that a decoder in a namespace of its own ends with the encoder's planes; return the decoded frames."""
    packets, sender = encode(source, frames, quality)
    decoded, receiver = decode(source, packets, frames, quality)
    for sent, received in zip(sender["SENT"].planes, receiver["RECEIVED"].planes, strict=True):
        assert np.array_equal(sent, received)
    for frame, original in zip(decoded, frames, strict=True):
        assert frame.dtype == np.uint8
        assert frame.shape == original.shape
    assert all(type(packet) is bytes and packet for packet in packets)
    return decoded


def assert_round_trip(source: str, quality: int, frames: list[np.ndarray] = FRAMES) -> float:
    return psnr(frames, assert_exact(source, frames, quality))


@pytest.mark.slow
@pytest.mark.parametrize("genome", ONE_GENE_CHANGED, ids=lambda genome: "")
def test_every_gene_value_round_trips_exactly_on_an_odd_size(genome: Genome) -> None:
    assert assert_round_trip(source_of(genome), 60, FEWER_BLOCKS) > 25


@pytest.mark.slow
@pytest.mark.parametrize("genes", [{}, {"quantisation": "rounded"}, {"decision": "difference"}], ids=str)
def test_a_quick_codec_shows_about_what_a_plain_one_does_at_about_its_rate(genes: dict[str, Any]) -> None:
    sizes, qualities = [], []
    for pace in ("plain", "quick"):
        source = source_of(STRONG.with_genes(pace=pace, **genes))
        runs = [(quality, encode(source, FRAMES, quality)[0]) for quality in (40, 60)]
        sizes.append(sum(len(packet) for _, packets in runs for packet in packets))
        shown = [psnr(FRAMES, decode(source, packets, FRAMES, quality)[0]) for quality, packets in runs]
        qualities.append(sum(shown) / len(shown))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)
    assert qualities[1] == pytest.approx(qualities[0], abs=0.25)


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, 15))]
)
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


@pytest.mark.slow
def test_a_source_imports_numpy_and_a_little_of_the_standard_library() -> None:
    for genome in ONE_GENE_CHANGED:
        trained = {"base64", "lzma"} if "trained" in (genome.beginnings, genome.loop_filter) else set()
        assert declarations(source_of(genome)).imports == {"math", "struct", "zlib", "numpy"} | trained


def test_a_source_declares_its_genome() -> None:
    for seed in range(50):
        genome = random_genome(seed)
        assert read_genome(source_of(genome)) == genome


def test_a_source_of_another_grammar_declares_no_genome() -> None:
    assert read_genome("import numpy as np\n") is None
    assert read_genome('# genome 2: {"prediction": "psychic"}\n') is None
    assert read_genome("# genome 2: [1, 2]\n") is None
    assert read_genome("# genome 2: {") is None


def test_a_genome_of_an_older_grammar_is_named_as_such() -> None:
    older = '# genome: {"prediction": "replenish", "entropy": "golomb"}\n'
    assert read_genome(older) is None
    assert "older grammar" in origin_of(older)
    assert "older" not in origin_of("import numpy as np\n")


@pytest.mark.parametrize(
    ("genes", "digest"),
    [
        ({}, "23292b474df1e2eb"),
        (
            {
                "prediction": "motion",
                "intra": "many",
                "intra_trials": 2,
                "transform": "three",
                "contexts": "mixed",
                "beginnings": "trained",
                "quantisation": "rate-distortion",
                "references": 2,
                "overlap": True,
                "partition": "three",
                "cascade": 4,
                "deblocking": 0.25,
                "loop_filter": "trained",
            },
            "586cf039ca51f8b1",
        ),
    ],
    ids=["plain", "strong"],
)
def test_a_genome_of_an_earlier_record_gives_the_same_source(genes: dict[str, Any], digest: str) -> None:
    """Gained tools are new genes whose defaults leave the text as it was."""
    source = write_codec(Genome(**genes).canonical(), "", "")
    assert hashlib.sha256(source.encode()).hexdigest().startswith(digest)


def test_a_value_outside_the_grammar_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="references"):
        Genome(references=3)


@pytest.mark.slow
def test_a_source_is_readable_and_small() -> None:
    for genome in ONE_GENE_CHANGED:
        source = source_of(genome)
        assert len(source.encode()) < MAX_SOURCE_BYTES
        assert max(len(line) for line in source.splitlines() if not line.startswith(MARK)) <= 120
        assert "\n\n\n\n" not in source
        assert set(declarations(source).undocumented) <= {"__init__", "shrink", "look_up"}


def test_only_the_tools_of_the_genome_are_in_the_text() -> None:
    plain, strong = source_of(Genome()), source_of(STRONG)
    for word in (
        "fraction_planes",
        "mix_6",
        "deblock",
        "overlap",
        "mark_skipped",
        "BEGINNINGS",
        "apply_filter",
    ):
        assert word in strong
        assert word not in plain


@pytest.mark.parametrize(
    "genome", [STRONG, *(Genome(prediction=each, pace="quick") for each in GENES["prediction"])]
)
def test_a_quick_codec_reports_its_bits_by_syntax_element_to_the_last_one(genome: Genome) -> None:
    frames = moving_frames(4, 40, 48)
    packets, codec = encode(write_codec(genome), frames)
    counted = read_bits(json.dumps(codec["bits_report"]()).encode(), 8 * sum(map(len, packets)))
    assert sum(counted.values()) == 8 * sum(map(len, packets))
    assert counted["headers"] == 32
    assert ("motion" in counted) == (genome.prediction == "motion")
    assert min(counted[name] for name in ("luma", "chroma", "modes")) > 0


@pytest.mark.slow
def test_short_endings_save_a_byte_in_most_packets() -> None:
    plain, short = (
        encode(source_of(STRONG.with_genes(ending=ending)), FRAMES)[0] for ending in ("plain", "short")
    )
    assert all(len(a) >= len(b) for a, b in zip(plain, short, strict=True))
    assert sum(map(len, plain)) - sum(map(len, short)) >= len(FRAMES) - 1


@pytest.mark.slow
def test_two_encoders_write_the_same_packets() -> None:
    source = source_of(STRONG)
    assert encode(source, FRAMES)[0] == encode(source, FRAMES)[0]


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(
    "genome", [Genome().canonical(), STRONG.with_genes(pace="plain")], ids=["plain", "strong"]
)
def test_frames_too_large_for_serial_coding_are_packed_and_decode_exactly(genome: Genome) -> None:
    draw = np.random.default_rng(3)
    frames = [draw.integers(0, 256, (720, 1000, 3), dtype=np.uint8)]
    frames += [frames[0], np.full((720, 1000, 3), 90, dtype=np.uint8)]
    source = source_of(genome)
    assert_exact(source, frames, 70)
    first, same, even = map(len, encode(source, frames, 70)[0])
    assert same < first / 10
    assert even < first / 100


def test_quick_codecs_predict_the_motion_of_high_definition_and_pack_what_is_larger() -> None:
    full_hd = 1920 * 1088
    quick, plain = (load(source_of(STRONG.with_genes(pace=pace))) for pace in ("quick", "plain"))
    assert plain["MOST_SAMPLES"] < full_hd <= quick["MOST_SAMPLES"] < 2 * full_hd
    assert (
        load(source_of(Genome(pace="quick")))["MOST_SAMPLES"] < full_hd
    )  # without motion, nothing is gained


@pytest.mark.slow
def test_quick_codecs_follow_far_motion_where_a_frame_is_larger_than_those_of_a_contest() -> None:
    draw = np.random.default_rng(1)
    scene = sum(
        np.kron(draw.normal(0, 2 * np.sqrt(size), (512 // size, 512 // size)), np.ones((size, size)))
        for size in (4, 16, 64)
    )
    scene = np.stack([scene + 128] * 3, axis=2).clip(0, 255).astype(np.uint8)
    frames = [scene[y : y + 288, x : x + 384] for y, x in ((0, 0), (37, 45), (74, 90))]
    source = source_of(STRONG.with_genes(pace="quick"))
    first, second, third = (len(packet) for packet in encode(source, frames, 50)[0])
    assert max(second, third) < first / 2


@pytest.mark.slow
def test_quick_codecs_pack_large_frames_of_noise_or_without_detail_and_search_the_motion_of_all_others() -> (
    None
):
    source = source_of(STRONG)
    small = source.replace("ASKED_SAMPLES = 600000", "ASKED_SAMPLES = 1000")
    assert small != source
    moving = moving_frames(6, 48, 80)
    noise = np.random.default_rng(3).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    black, gray = np.zeros_like(noise), np.full_like(noise, 128)
    frames = [noise, black, gray, gray, *moving[:3], noise, *moving[3:]]
    assert_exact(small, frames, 50)
    packets, _ = encode(small, frames)
    # The first packet begins with the size of the frames.
    assert [p[4 if n == 0 else 0] for n, p in enumerate(packets)] == [1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0]
    assert max(map(len, packets[1:4])) < 60
    # Everything else is coded as in small frames, but for that byte.
    alone, asked = encode(source, moving, 30)[0], encode(small, moving, 30)[0]
    assert [p[:4] + p[5:] if n == 0 else p[1:] for n, p in enumerate(asked)] == alone


@pytest.mark.parametrize("strip", [64, 1024])
def test_the_loop_filter_of_a_strip_is_that_of_the_plane(strip: int) -> None:
    draw = np.random.default_rng(5)
    plane, prediction = draw.integers(0, 256, (2, 48, 64), dtype=np.int32)
    coded = draw.integers(0, 2, (6, 8))
    quick, plain = (load(source_of(STRONG.with_genes(pace=pace))) for pace in ("quick", "plain"))
    quick["STRIP"] = strip
    corrections = [codec["filter_correction"](plane, prediction, coded, 200) for codec in (quick, plain)]
    assert np.array_equal(*corrections)


@pytest.mark.parametrize("pace", ["quick", "plain"])
def test_the_parity_of_a_block_tells_the_sign_of_its_last_level(pace: str) -> None:
    draw = np.random.default_rng(6)
    residuals = draw.normal(0, 12, (300, 8, 8)) * draw.uniform(0, 2, (300, 1, 1))
    levels = {}
    for signs in ("coded", "hidden"):
        codec = load(source_of(STRONG.with_genes(signs=signs, pace=pace)))
        blocks = residuals if pace == "quick" else codec["forward_fast"](residuals)
        quantiser = codec["Quantiser"](codec["Model"](), 2, 8)
        levels[signs] = quantiser.choose(blocks, 160)[0].reshape(-1, 64)[:, quantiser.order]
    last = 63 - np.argmax(levels["hidden"][:, ::-1] != 0, axis=1)
    told = (last >= codec["HIDDEN_FROM"]) & levels["hidden"].any(axis=1)
    odd = np.abs(levels["hidden"]).sum(axis=1) % 2 == 1
    assert np.array_equal(odd[told], levels["hidden"][told, last[told]] < 0)
    changes = np.abs(levels["hidden"] - levels["coded"]).sum(axis=1)
    assert set(changes) == {0, 1}
    assert told.sum() > 60 and 0.3 < changes[told].mean() < 0.7
    assert not changes[~told].any()


def reach_of(step: int) -> int:
    return 4 + (step + 8) // 16


def test_the_features_of_chroma_are_clipped_differences_in_all_three_planes() -> None:
    draw = np.random.default_rng(7)
    codec = load(source_of(STRONG))
    planes, expected = ([draw.integers(0, 256, (size, 24)) for size in (16, 8, 8)] for _ in range(2))
    planes[0], expected[0] = (np.kron(each[0][:16], [[1, 1]]) for each in (planes, expected))
    blue, red = (np.stack(each) for each in codec["chroma_features"](planes, expected, 100))
    assert blue.shape == red.shape == (codec["CHROMA_FEATURES"], 8, 24)
    fine = codec["chroma_step"](100)
    for place, (y, x) in enumerate(codec["CHROMA_OFFSETS"]):
        for first, plane, step in ((0, planes[2], fine), (7, codec["halved"](planes[0]), 100)):
            padded, reach = np.pad(plane, 2, mode="edge"), reach_of(step)
            beside = [padded[2 + n * y : 10 + n * y, 2 + n * x : 26 + n * x] - plane for n in (-1, 1)]
            assert np.array_equal(red[first + place], sum(np.clip(each, -reach, reach) for each in beside))
    assert np.array_equal(blue[6], np.clip(expected[1] - planes[1], -reach_of(fine), reach_of(fine)))
    assert np.array_equal(blue[14:], red[:7])


def test_a_filtered_plane_is_never_further_from_its_source() -> None:
    draw = np.random.default_rng(8)
    codec = load(source_of(STRONG))
    plane, source = draw.integers(0, 256, (2, 16, 16))
    for sign, filters in ((1, True), (-1, False)):
        coder = codec["RangeEncoder"](codec["Model"]())
        result = codec["filtered"](plane, 64 * sign * (source - plane), source, coder, 2040)
        assert (np.square(result - source).sum() < np.square(plane - source).sum()) == filters
        assert np.array_equal(result, plane) != filters


@pytest.mark.parametrize(
    "size",
    [
        (1, 1),
        *(pytest.param(each, marks=pytest.mark.slow) for each in ((17, 9), (7, 33), (16, 16), (48, 80))),
    ],
)
def test_any_size_and_a_single_frame_round_trip_exactly(size: tuple[int, int]) -> None:
    draw = np.random.default_rng(4)
    frames = [draw.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(2)]
    for count in (1, 2):
        assert_exact(source_of(STRONG), frames[:count], 40)


@pytest.mark.slow
def test_a_scene_cut_costs_about_as_much_as_a_first_frame() -> None:
    first, second = moving_frames(1, 48, 64, seed=1)[0], moving_frames(1, 48, 64, seed=2)[0]
    source = source_of(STRONG.with_genes(cascade=0, first_step=1.0))
    packets, _ = encode(source, [first, first, second])
    alone, _ = encode(source, [second])
    assert len(packets[2]) < 1.3 * len(alone[0])


def test_chroma_is_enlarged_to_the_means_that_were_coded() -> None:
    rise = np.array([[90.0, 100.0, 130.0, 110.0, 100.0, 95.0]] * 6)
    errors = []
    for enlarging in ("linear", "matched"):
        large = load(source_of(Genome(enlarging=enlarging)))["enlarge"](rise)
        means = large.reshape(6, 2, 6, 2).mean(axis=(1, 3))
        errors.append(np.abs(means - rise).max())
    assert errors[1] < errors[0] / 4


def test_the_last_finer_frame_stays_a_reference_until_the_next_one() -> None:
    source = source_of(STRONG.with_genes(older="finer", cascade=4))
    frames = moving_frames(7, 16, 16)
    namespace = load(source)
    kept = []
    for n, frame in enumerate(frames):
        namespace["compress_video_frame"](frame, n, {"quality": 50})
        planes = namespace["SENT"].planes
        kept.append(planes)
        references = namespace["SENT"].frames
        assert references[0] is planes
        if n:
            assert references[1] is kept[0 if n < 5 else 4]


@pytest.mark.slow
def test_a_still_scene_costs_almost_nothing_after_its_first_frame() -> None:
    still = [FRAMES[0]] * 4
    packets, _ = encode(source_of(STRONG.with_genes(cascade=0)), still)
    assert sum(map(len, packets[2:])) < len(packets[0]) / 20
