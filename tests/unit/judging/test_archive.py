"""The archive: which family a codec belongs to, who enters, who is shown."""

from pathlib import Path

import pytest
from codec_evolution.contracts import Report
from codec_evolution.judging.archive import MAX_NICHES, choose, decode_seconds, elite_of, family_of, ranked
from codec_evolution.planners.grammar.genome import Genome
from codec_evolution.planners.grammar.writer import write_codec
from codec_evolution.record import Attempt, Elite

from tests.integration.support import report

VERSION_0 = Path(__file__).resolve().parents[3] / "sandbox_container" / "codecs" / "version_0.py"
RECORD = Attempt(
    lineage="main",
    attempt_id="a",
    status="rejected",
    figures_windows="training",
    training_bitrate_mbps=3.2,
    training_bd_rate_vs_hevc=32.5,
    hypothesis="h",
    source_sha256="f" * 64,
)


def with_times(seconds: float) -> Report:
    measured = report("f" * 64)
    for point in measured["points"]:
        point |= {"width": 1920, "height": 1080, "decode_cpu_s": seconds * point["frames"]}
    return Report.model_validate(measured)


def test_version_0_is_an_intra_codec_with_a_cosine_transform():
    family = family_of(VERSION_0.read_text("utf-8"), with_times(0.05))
    assert (family.transform, family.decode) == ("cosine", "fast")
    assert family.prediction in ("none", "intra")


def test_a_codec_with_motion_is_another_family():
    source = write_codec(Genome(prediction="motion").canonical())
    assert family_of(source, with_times(0.05)).prediction == "motion"


@pytest.mark.parametrize(("seconds", "name"), [(0.1, "fast"), (0.5, "medium"), (3.0, "slow")])
def test_families_differ_by_the_time_of_a_decoded_frame(seconds, name):
    assert decode_seconds(with_times(seconds)) == pytest.approx(seconds)
    assert family_of("x = 1", with_times(seconds)).decode == name


def test_a_source_that_does_not_parse_has_a_family_too():
    assert family_of("def (", with_times(0.1)).niche == "none/other/fast"


@pytest.mark.parametrize(
    ("kept", "prediction"),
    [
        ("class Reference:\n    pass\nSENT = Reference()\n", "motion"),
        ("LAST = None\ndef encode():\n    global LAST\n", "motion"),
        ("LAST = {}\ndef encode():\n    LAST['frame'] = 1\n", "motion"),
        ("LAST: list = []\ndef encode():\n    LAST.frame = 1\n", "motion"),
        ("LAST = {}\ndef encode():\n    own = {}\n    own['frame'] = LAST\n", "none"),
        ("", "none"),
    ],
)
def test_a_codec_that_keeps_nothing_between_frames_predicts_no_motion(kept, prediction):
    source = kept + "motion_vector = 1\n"
    assert family_of(source, with_times(0.1)).prediction == prediction


def test_only_a_measured_codec_enters():
    niche, elite = elite_of(RECORD, "x = 1", with_times(0.1))
    assert (niche, elite.fitness) == ("none/other/fast", 3.2)
    assert (
        elite_of(RECORD.model_copy(update={"training_bitrate_mbps": None}), "x = 1", with_times(0.1)) is None
    )
    assert elite_of(RECORD.model_copy(update={"status": "test_failed"}), "x = 1", with_times(0.1)) is None


def elite(name: str, fitness: float, prediction: str = "none", transform: str = "cosine") -> Elite:
    return Elite(attempt_id=name, fitness=fitness, prediction=prediction, transform=transform, decode="fast")


def test_the_best_are_shown_first_and_then_the_most_different():
    elites = [
        elite("best", 1.0),
        elite("second", 1.1),
        elite("near", 1.2, "intra"),
        elite("far", 9.0, "motion", "wavelet"),
    ]
    assert [e.attempt_id for e in choose(elites, 2, 1)] == ["best", "second", "far"]
    assert choose([], 2, 1) == []


def test_the_number_of_niches_is_small():
    assert MAX_NICHES == 60


def test_elites_are_ranked_by_their_figures_against_the_anchor_not_by_rates_of_changing_windows():
    first = elite("a", 9.0).model_copy(update={"bd_rate_vs_hevc": -5.0})
    second = elite("b", 2.0).model_copy(update={"bd_rate_vs_hevc": 40.0})
    assert [each.attempt_id for each in ranked([elite("c", 1.0), second, first])] == ["a", "b", "c"]
