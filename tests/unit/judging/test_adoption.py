"""The adoption rule on reports made up for each case."""

import copy
import dataclasses
from typing import Any

import pytest
from codec_evolution.contracts import Report
from codec_evolution.judging import adoption
from codec_evolution.judging.adoption import BY_HEART, Verdict
from codec_evolution.judging.comparison import curves
from codec_evolution.judging.figures import RecordFigures, achievement
from codec_evolution.judging.rate_distortion import bd_rate
from codec_evolution.judging.rule import RULE, Margins, Rule
from codec_evolution.record import Measured

LEVELS = (30.0, 33.0, 36.0, 39.0, 43.0)
SIMILARITY = (0.93, 0.96, 0.98, 0.99, 0.995)
TRAIN = (("bunny", 0), ("bunny", 3), ("carphone", 0), ("carphone", 5))
HELD_OUT = (("bikes", 2), ("bikes", 4), ("city", 1), ("city", 6))
SEALED = tuple((clip, 7) for clip in ("bunny", "carphone", "bikes", "city"))


@dataclasses.dataclass
class Contest:
    """The reports of one codec as JSON, which a test may change before they are read."""

    train: dict[str, Any]
    held_out: dict[str, Any] | None = None

    def read(self) -> adoption.Contest:
        later = None if self.held_out is None else Report.model_validate(self.held_out)
        return adoption.Contest(Report.model_validate(self.train), later)


def judge(candidate: Contest, incumbent: Contest | None, rule: Rule = RULE) -> Verdict:
    return adoption.judge(candidate.read(), None if incumbent is None else incumbent.read(), rule=rule)


def points(clip, window, role, scale=1.0, levels=LEVELS, similarity=SIMILARITY):
    return [
        {
            "clip": clip,
            "role": role,
            "window": window,
            "quality": 10 + 20 * i,
            "bitrate_mbps": scale * 20 * 2 ** ((level - 36) / 6),
            "psnr_db": level,
            "ms_ssim": similarity[i],
        }
        for i, level in enumerate(levels)
    ]


def report(split="train", scale=1.0, source="a" * 64, scales=None, sealed=0.5, **shape):
    """A report whose rates are `scale` times the baseline's, or `scales[clip]` times."""
    windows = TRAIN if split == "train" else HELD_OUT
    rows = [
        row
        for clip, window in windows
        for row in points(clip, window, split, (scales or {}).get(clip, scale), **shape)
    ]
    if split == "held_out":
        rows += points("carphone", 0, "train", scale, **shape)
        rows += [row for clip, window in SEALED for row in points(clip, window, "sealed", sealed, **shape)]
        windows += SEALED
    anchors = [
        {
            "clip": clip,
            "window": window,
            "codec": "x265_zerolatency",
            "points": points(clip, window, split, 0.25),
        }
        for clip, window in windows
    ]
    return {
        "outcome": "passed",
        "failure": None,
        "source_sha256": source,
        "clip_set": "set",
        "split": split,
        "seed": "s",
        "points": rows,
        "anchors": anchors,
        "packets_sha256": {"carphone/0": "p" + source},
        "frames_sha256": {"carphone/0": "f" + source},
    }


def contest(scale=1.0, held_out=None, source="c" * 64, **shape):
    later = None if held_out is None else report("held_out", held_out, source, **shape)
    return Contest(report("train", scale, source, **shape), later)


INCUMBENT = contest(1.0, 1.0, source="i" * 64)


def test_version_0_is_adopted_without_a_contest_when_it_measured_well():
    verdict = judge(contest(1.0), None)
    assert verdict.decision == "adopt"
    assert verdict.bitrate_mbps == pytest.approx(20)
    assert verdict.compression_ratio == pytest.approx(24 * 62.208 / 20, abs=0.005)
    assert verdict.psnr_db == 36
    assert verdict.ms_ssim == pytest.approx(0.98)
    assert verdict.bd_rate_vs_hevc == pytest.approx(300)
    assert verdict.bd_rate_vs_incumbent is None


def test_version_0_is_not_adopted_when_its_curve_is_no_curve():
    assert judge(contest(levels=(37.0, 37.1, 37.2, 37.3, 37.4)), None).decision == "reject"


def test_better_on_training_asks_for_confirmation_and_no_more():
    verdict = judge(contest(0.85), INCUMBENT)
    assert verdict.decision == "confirm"
    assert verdict.bd_rate_vs_incumbent == pytest.approx(-15)


def test_better_on_training_and_held_out_is_adopted():
    verdict = judge(contest(0.847, held_out=0.85), INCUMBENT)
    assert verdict.decision == "adopt"
    assert verdict.improvement == "15.2% bitrate reduction", "of all contest clips together"
    assert verdict.bd_rate_vs_incumbent == pytest.approx(-15.15, abs=0.01)
    assert verdict.training_bd_rate_vs_incumbent == pytest.approx(-15.3)
    assert verdict.rule_version == RULE.version == "3"
    assert {row.clip for row in verdict.held_out_rows} == {"bikes", "city"}


def test_half_of_the_margin_on_the_training_clips_is_worth_a_look_at_the_held_out_ones():
    assert judge(contest(0.95), INCUMBENT).decision == "confirm"
    verdict = judge(contest(0.9501), INCUMBENT)
    assert verdict.decision == "reject"
    assert "-5.0%" in verdict.reason


@pytest.mark.parametrize(
    ("train", "held_out", "decision"),
    [
        (0.9, 0.9, "adopt"),
        (0.9001, 0.9001, "reject"),
        (0.8527, 0.9499, "adopt"),
        (0.8527, 0.9501, "reject"),
        (0.9499, 0.8527, "adopt"),
        (0.80, 0.96, "reject"),
    ],
)
def test_ten_percent_of_all_clips_together_and_five_of_the_held_out_ones_are_needed(
    train, held_out, decision
):
    assert judge(contest(train, held_out=held_out), INCUMBENT).decision == decision


def test_the_full_margin_on_the_held_out_clips_is_enough_where_the_training_clips_speak_against_it():
    by_heart = contest(0.3, held_out=1.0, source="i" * 64)
    honest = contest(0.85, held_out=0.85)
    assert judge(Contest(honest.train), by_heart).decision == "confirm", (
        "though it is far worse on the training clips"
    )
    verdict = judge(honest, by_heart)
    assert verdict.decision == "adopt"
    assert "held-out clips, where nothing can be known by heart" in verdict.reason
    assert judge(contest(0.92, held_out=0.92), by_heart).decision == "reject"


def test_figures_of_record_are_those_of_the_sealed_windows_and_of_the_training_ones_before():
    looked = judge(contest(0.85, held_out=0.85), INCUMBENT)
    assert looked.figures_windows == "sealed"
    assert looked.bitrate_mbps == pytest.approx(10.0)
    assert looked.bd_rate_vs_hevc == pytest.approx(100.0)
    assert looked.training_bitrate_mbps == pytest.approx(17.0)
    assert looked.training_bd_rate_vs_hevc == pytest.approx(240.0)
    assert {row.clip: row.windows for row in looked.sealed_rows} == {clip: (7,) for clip, _ in SEALED}
    not_yet = judge(contest(0.85), INCUMBENT)
    assert (not_yet.figures_windows, not_yet.sealed_rows) == ("training", ())
    assert not_yet.bitrate_mbps == not_yet.training_bitrate_mbps == pytest.approx(17.0)


def test_each_window_is_judged_in_its_own_range_and_at_its_own_reference_quality():
    candidate = contest(0.85)
    wide = {"low_db": 32.0, "high_db": 41.0, "reference_db": 36.0, "reference_mbps": 10.0}
    candidate.train["quality_ranges"] = {f"{clip}/{window}": wide for clip, window in TRAIN}
    candidate.train["quality_ranges"]["bunny/0"] = {**wide, "reference_db": 42.0, "reference_mbps": 10.0}
    measured = judge(candidate, INCUMBENT)
    assert measured.psnr_db == pytest.approx(37.5)
    assert measured.bitrate_mbps == pytest.approx(17.0 * 2 ** (1 / 4), rel=1e-3)
    candidate.train["quality_ranges"]["bunny/0"] = {**wide, "low_db": 36.0, "high_db": 52.0}
    verdict = judge(candidate, None)
    assert verdict.decision == "reject"
    assert "covers 44% of 36.0 to 52.0 dB" in verdict.reason


def test_a_gain_on_training_that_the_held_out_clips_do_not_show_is_rejected():
    verdict = judge(contest(0.8, held_out=0.97), INCUMBENT)
    assert verdict.decision == "reject"
    assert verdict.held_out_rows


def test_no_figure_of_a_held_out_clip_is_in_the_public_part():
    verdict = judge(contest(0.8, held_out=0.97), INCUMBENT).as_dict()
    assert "-3.0%" in verdict.pop("held_out_reason")
    verdict.pop("bd_rate_vs_incumbent"), verdict.pop("improvement")
    assert [row["clip"] for row in verdict.pop("held_out_rows")] == ["bikes", "city"]
    assert verdict.pop("sealed_rows")
    assert not any(name in str(verdict) for name in ("bikes", "city"))
    assert "3.0" not in verdict["reason"]


def test_one_clip_that_gets_worse_by_more_than_five_percent_stops_an_adoption():
    better = Contest(report(scales={"bunny": 0.5, "carphone": 1.06}, source="c" * 64))
    verdict = judge(better, INCUMBENT)
    assert verdict.decision == "reject"
    assert "carphone" in verdict.reason


def test_one_clip_that_gets_worse_by_less_than_five_percent_does_not():
    better = Contest(report(scales={"bunny": 0.5, "carphone": 1.04}, source="c" * 64))
    assert judge(better, INCUMBENT).decision == "confirm"


def test_a_gain_in_psnr_that_costs_ms_ssim_is_rejected():
    blurred = contest(0.85, similarity=(0.88, 0.93, 0.96, 0.98, 0.99))
    verdict = judge(blurred, INCUMBENT)
    assert verdict.decision == "reject"
    assert "MS-SSIM" in verdict.reason


def test_a_twenty_percent_higher_compression_ratio_at_36_db_is_enough_by_itself():
    better = contest(1.0)
    for row in better.train["points"]:
        factor = {30.0: 1.0, 33.0: 0.97, 36.0: 0.83, 39.0: 0.97, 43.0: 1.0}[row["psnr_db"]]
        row["bitrate_mbps"] *= factor
    verdict = judge(better, INCUMBENT)
    assert verdict.bd_rate_vs_incumbent > -10
    assert verdict.decision == "confirm"
    assert verdict.improvement.endswith("% higher compression ratio")


def test_a_codec_that_ignores_quality_cannot_win():
    verdict = judge(contest(0.01, levels=(38.0,) * 5), INCUMBENT)
    assert verdict.decision == "reject"
    assert "quality" in verdict.reason


def test_a_lossless_codec_cannot_win():
    assert judge(contest(0.01, levels=(50.0,) * 5), INCUMBENT).decision == "reject"


def test_reports_of_different_clip_sets_are_never_compared():
    other = contest(0.5)
    other.train["clip_set"] = "another"
    verdict = judge(other, INCUMBENT)
    assert verdict.decision == "undecidable"
    assert "clip sets" in verdict.reason


def test_only_windows_that_both_have_measured_are_compared():
    candidate = contest(1.0)
    for row in candidate.train["points"]:
        if row["window"] != 0:
            row["window"] += 1
            row["bitrate_mbps"] *= 0.01
    verdict = judge(candidate, INCUMBENT)
    assert verdict.bd_rate_vs_incumbent == pytest.approx(0, abs=1e-9)
    assert verdict.decision == "reject"


def test_reports_without_a_common_window_are_undecidable():
    candidate = contest(0.5)
    for row in candidate.train["points"]:
        row["window"] = 7
    assert judge(candidate, INCUMBENT).decision == "undecidable"


def test_a_confirmation_against_an_incumbent_without_held_out_figures_is_undecidable():
    assert judge(contest(0.8, held_out=0.8), Contest(INCUMBENT.train)).decision == "undecidable"


def test_fewer_than_three_common_held_out_windows_confirm_nothing():
    candidate = contest(0.8, held_out=0.8)
    candidate.held_out["points"] = [
        row
        for row in candidate.held_out["points"]
        if (row["clip"], row["window"]) in (("bikes", 2), ("city", 1))
    ]
    assert judge(candidate, INCUMBENT).decision == "undecidable"


def test_held_out_windows_of_one_clip_only_confirm_nothing():
    candidate = contest(0.8, held_out=0.8)
    candidate.held_out["points"] = [row for row in candidate.held_out["points"] if row["clip"] == "bikes"]
    assert (
        judge(candidate, INCUMBENT, rule=dataclasses.replace(RULE, held_out_windows=2)).decision
        == "undecidable"
    )


@pytest.mark.parametrize("what", ["packets_sha256", "frames_sha256"])
def test_a_confirming_run_that_gives_other_bits_or_frames_is_nondeterministic(what):
    candidate = contest(0.8, held_out=0.8)
    candidate.held_out[what] = {"carphone/0": "other"}
    verdict = judge(candidate, INCUMBENT)
    assert verdict.decision == "reject"
    assert verdict.failure_kind == "nondeterministic"


@pytest.mark.parametrize("what", ["packets_sha256", "frames_sha256"])
def test_a_difference_between_two_processors_is_told_as_one_of_the_hardware(what):
    candidate = contest(0.8, held_out=0.8)
    candidate.train["processor"], candidate.held_out["processor"] = "Xeon A", "EPYC B"
    assert judge(candidate, INCUMBENT).decision == "adopt", "the same bits on both"
    candidate.held_out[what] = {"carphone/0": "other"}
    verdict = judge(candidate, INCUMBENT)
    assert (verdict.decision, verdict.failure_kind) == ("reject", "other_hardware")
    assert "on Xeon A and EPYC B" in verdict.reason and "integers" in verdict.reason


def test_a_confirming_run_that_repeats_no_training_clip_confirms_nothing():
    candidate = contest(0.8, held_out=0.8)
    candidate.held_out["packets_sha256"] = candidate.held_out["frames_sha256"] = {"bikes/2": "x"}
    assert judge(candidate, INCUMBENT).decision == "undecidable"


def test_a_confirmation_of_another_source_confirms_nothing():
    candidate = contest(0.8, held_out=0.8)
    candidate.held_out["source_sha256"] = "d" * 64
    assert judge(candidate, INCUMBENT).decision == "undecidable"


def test_a_candidate_that_fails_on_the_held_out_clips_only_is_rejected_with_its_kind():
    candidate = contest(0.8, held_out=0.8)
    failure = {"stage": "measure", "kind": "runtime", "message": "IndexError in bikes", "clip": "bikes"}
    candidate.held_out.update(outcome="failed", failure=failure, points=[])
    verdict = judge(candidate, INCUMBENT)
    assert (verdict.decision, verdict.failure_kind) == ("reject", "runtime")
    assert "bikes" not in verdict.reason


def test_a_candidate_that_failed_its_test_is_rejected_with_its_kind():
    failed = contest(0.5)
    failed.train.update(
        outcome="failed",
        failure={"stage": "smoke", "kind": "timeout", "message": "no answer within 30 s"},
        points=[],
    )
    verdict = judge(failed, INCUMBENT)
    assert (verdict.decision, verdict.failure_kind) == ("reject", "timeout")


def test_a_curve_that_does_not_reach_the_reference_quality_has_no_figures_of_record():
    verdict = judge(contest(1.0, levels=(36.4, 38.0, 39.0, 41.0, 43.0)), None)
    assert verdict.bitrate_mbps is verdict.compression_ratio is verdict.psnr_db is None
    assert verdict.decision == "reject"


def test_a_codec_that_is_better_only_above_the_reference_quality_is_not_adopted():
    upper = (36.2, 37.5, 39.0, 41.0, 43.0)
    verdict = judge(contest(0.5, levels=upper), INCUMBENT)
    assert verdict.decision == "reject"
    assert "reference quality" in verdict.reason


def with_points(pairs, source="c" * 64):
    """A contest of a codec with these points (dB, share of the incumbent's rate at that quality) on every window."""

    def placed(made):
        for row in made["points"]:
            level, share = pairs[(row["quality"] - 10) // 20]
            row["psnr_db"] = level
            row["bitrate_mbps"] = share * 20 * 2 ** ((level - 36) / 6)
            row["ms_ssim"] = 1 - 10 ** (-level / 20)
        return made

    return Contest(*(placed(report(split, 1.0, source)) for split in ("train", "held_out")))


EVEN = ((30.0, 1.0), (33.0, 1.0), (36.0, 1.0), (39.0, 1.0), (45.0, 1.0))
PADDED = ((31.5, 1.0), (31.55, 1.0), (41.5, 1.0), (41.55, 1.2), (41.6, 1.44))
"""No point needs fewer bits than the incumbent does; two groups, the upper one made steep by padding."""


def test_points_put_where_interpolation_flatters_do_not_win_and_have_no_figures():
    padded, incumbent = with_points(PADDED), with_points(EVEN, "i" * 64)
    key = ("bunny", 0)
    assert (
        bd_rate(curves(incumbent.read().train, "train")[key], curves(padded.read().train, "train")[key]) < -70
    )
    verdict = judge(padded, incumbent)
    assert verdict.decision == "reject"
    assert "below straight lines" in verdict.reason
    assert verdict.bd_rate_vs_incumbent is verdict.bd_rate_vs_hevc is verdict.bitrate_mbps is None
    assert verdict.improvement == ""


def test_a_padded_curve_has_no_figures_of_record_even_without_a_contest():
    verdict = judge(with_points(PADDED), None)
    assert verdict.decision == "reject"
    assert "below straight lines" in verdict.reason
    assert verdict.bitrate_mbps is verdict.compression_ratio is None


def test_a_gain_that_the_measured_points_do_not_show_is_rejected():
    flattered = with_points(((30.0, 0.80), (31.9, 1.0), (36.2, 0.94), (40.9, 0.94), (41.5, 1.0)))
    verdict = judge(Contest(flattered.train), with_points(EVEN, "i" * 64))
    assert verdict.decision == "reject"
    assert "at the measured points within the range of quality: BD-rate" in verdict.reason


def test_a_gain_outside_of_32_to_41_db_does_not_count():
    above = with_points(((30.0, 1.0), (33.0, 1.0), (36.0, 1.0), (41.0, 1.0), (45.0, 0.2)))
    below = with_points(((20.0, 0.05), (31.9, 1.0), (36.0, 1.0), (39.0, 1.0), (45.0, 1.0)))
    wide = with_points(((20.0, 1.0), (33.0, 1.0), (36.0, 1.0), (39.0, 1.0), (45.0, 1.0)), "i" * 64)
    for candidate in (above, below):
        verdict = judge(candidate, wide)
        assert verdict.decision == "reject"
        assert verdict.bd_rate_vs_incumbent is None or verdict.bd_rate_vs_incumbent < 0


def test_leaving_out_the_qualities_where_it_is_worse_does_not_help_a_codec():
    lower = with_points(((30.0, 0.8), (32.0, 0.8), (34.0, 0.8), (36.0, 0.8), (37.0, 0.8)))
    verdict = judge(lower, with_points(EVEN, "i" * 64))
    assert verdict.bd_rate_vs_incumbent == pytest.approx(-20)
    assert verdict.decision == "reject"
    assert "share 56% of 32.0 to 41.0 dB, 75% are needed" in verdict.reason


def test_an_incumbent_that_covers_less_asks_for_nine_tenths_of_that():
    narrow = with_points(((34.8, 1.0), (36.0, 1.0), (38.0, 1.0), (40.0, 1.0), (42.0, 1.0)), "i" * 64)
    reaching = with_points(((35.2, 0.8), (36.2, 0.8), (38.0, 0.8), (40.0, 0.8), (42.0, 0.8)))
    assert judge(reaching, narrow).decision == "adopt"
    short = with_points(((35.6, 0.8), (36.2, 0.8), (38.0, 0.8), (40.0, 0.8), (42.0, 0.8)))
    assert "62% are needed" in judge(short, narrow).reason


@pytest.mark.parametrize(
    ("bunny", "carphone", "decision"),
    [(0.70, 0.70, "adopt"), (0.68, 0.68, "reject"), (0.60, 0.85, "adopt"), (0.58, 0.90, "reject")],
)
def test_a_codec_that_knows_the_training_clips_by_heart_is_not_adopted(bunny, carphone, decision):
    later = report("held_out", 0.88, "c" * 64)
    train = report(scales={"bunny": bunny, "carphone": carphone}, source="c" * 64)
    verdict = judge(Contest(train, later), INCUMBENT)
    assert verdict.decision == decision
    if decision == "reject":
        assert verdict.reason == BY_HEART and verdict.reason.startswith("by_heart: ")
        assert "lower than on the held-out clips, beyond what the incumbent shows" in verdict.held_out_reason


def test_a_first_step_that_closes_a_gap_of_the_incumbent_is_not_by_heart():
    """Version 0 without motion is far worse on the still training clips; half of the gain there is honest."""
    version_0 = contest(2.0, held_out=1.0, source="i" * 64)
    assert judge(contest(0.4, held_out=0.4), version_0).decision == "adopt"
    verdict = judge(contest(0.3, held_out=0.4), version_0)
    assert (verdict.decision, verdict.reason) == ("reject", BY_HEART)


def test_a_gain_that_is_larger_where_nothing_can_be_known_is_welcome():
    assert judge(contest(0.94, held_out=0.5), INCUMBENT).decision == "adopt"


def test_the_most_that_memory_can_add_is_what_the_documentation_says():
    """A true gain of 5.1 % on every clip, and as much more on the training clips as the rule lets pass."""
    honest, most = 0.949, 0.949 * (1 - RULE.heart_mean)
    assert judge(contest(honest, held_out=honest), INCUMBENT).decision == "reject"
    verdict = judge(contest(most, held_out=honest), INCUMBENT)
    assert (verdict.decision, verdict.improvement) == ("adopt", "16.2% bitrate reduction")
    assert judge(contest(most, held_out=0.951), INCUMBENT).decision == "reject"


def test_judging_changes_nothing_in_the_reports():
    candidate, incumbent = contest(0.8, held_out=0.8).read(), INCUMBENT.read()
    before = copy.deepcopy((candidate, incumbent))
    adoption.judge(candidate, incumbent)
    assert (candidate, incumbent) == before


@pytest.mark.parametrize(
    ("mbps", "text"),
    [
        (None, ""),
        (5.01, ""),
        (5.0, "50%"),
        (3.01, "50%"),
        (3.0, "70%"),
        (1.01, "70%"),
        (1.0, "90%"),
        (0.2, "90%"),
    ],
)
def test_achievements_are_the_50_70_and_90_percent_lines_under_what_hevc_needs(mbps, text):
    for hevc_mbps in (10.0, 5.0):
        rate = None if mbps is None else mbps * hevc_mbps / 10
        found = achievement(RecordFigures(Measured(bitrate_mbps=rate), (), hevc_mbps, "sealed"))
        assert found.startswith(text)
        assert bool(found) == bool(text)


def test_another_rule_gives_another_decision_and_signs_with_its_version():
    easy = Rule(version="easy", one_side=Margins(-1.0, 1.1))
    verdict = judge(contest(0.98), INCUMBENT, rule=easy)
    assert (verdict.decision, verdict.rule_version) == ("confirm", "easy")
