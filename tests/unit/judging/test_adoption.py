"""The adoption rule on reports made up for each case."""

import copy
import dataclasses
from typing import Any

import pytest
from codec_evolution.contracts import Report
from codec_evolution.judging import adoption
from codec_evolution.judging.adoption import RULE, Rule, Verdict, achievement
from codec_evolution.judging.comparison import curves
from codec_evolution.judging.rate_distortion import bd_rate

LEVELS = (30.0, 33.0, 36.0, 39.0, 43.0)
SIMILARITY = (0.93, 0.96, 0.98, 0.99, 0.995)
TRAIN = (("bunny", 0), ("bunny", 3), ("carphone", 0), ("carphone", 5))
HELD_OUT = (("bikes", 2), ("bikes", 4), ("city", 1), ("city", 6))


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


def report(split="train", scale=1.0, source="a" * 64, scales=None, **shape):
    """A report whose rates are `scale` times the baseline's, or `scales[clip]` times."""
    windows = TRAIN if split == "train" else HELD_OUT
    rows = [
        row
        for clip, window in windows
        for row in points(clip, window, split, (scales or {}).get(clip, scale), **shape)
    ]
    if split == "held_out":
        rows += points("carphone", 0, "train", scale, **shape)
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
    assert verdict.compression_ratio == pytest.approx(24 * 62.208 / 20)
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
    assert verdict.improvement == "15.3% bitrate reduction"
    assert verdict.rule_version == RULE.version
    assert {row.clip for row in verdict.held_out_rows} == {"bikes", "city"}


def test_exactly_ten_percent_is_enough_and_a_little_less_is_not():
    assert judge(contest(0.9), INCUMBENT).decision == "confirm"
    verdict = judge(contest(0.9001), INCUMBENT)
    assert verdict.decision == "reject"
    assert "-10.0%" in verdict.reason


def test_a_gain_on_training_that_the_held_out_clips_do_not_show_is_rejected():
    verdict = judge(contest(0.7, held_out=0.97), INCUMBENT)
    assert verdict.decision == "reject"
    assert verdict.held_out_rows


def test_no_figure_of_a_held_out_clip_is_in_the_public_part():
    verdict = judge(contest(0.7, held_out=0.97), INCUMBENT).as_dict()
    assert "-3.0%" in verdict.pop("held_out_reason")
    verdict.pop("held_out_rows")
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


def test_a_curve_that_does_not_reach_36_db_has_no_figures_of_record():
    verdict = judge(contest(1.0, levels=(36.4, 38.0, 39.0, 41.0, 43.0)), None)
    assert verdict.bitrate_mbps is verdict.compression_ratio is verdict.psnr_db is None
    assert verdict.decision == "reject"


def test_a_codec_that_is_better_only_above_36_db_is_not_adopted():
    upper = (36.2, 37.5, 39.0, 41.0, 43.0)
    verdict = judge(contest(0.5, levels=upper), INCUMBENT)
    assert verdict.decision == "reject"
    assert "36 dB" in verdict.reason


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
    flattered = with_points(((30.0, 0.87), (31.9, 1.0), (36.2, 0.9), (40.9, 0.9), (41.5, 1.0)))
    verdict = judge(flattered, with_points(EVEN, "i" * 64))
    assert verdict.decision == "reject"
    assert "BD-rate" in verdict.reason


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
    assert "share 56% of 32 to 41 dB, 75% are needed" in verdict.reason


def test_an_incumbent_that_covers_less_asks_for_nine_tenths_of_that():
    narrow = with_points(((34.8, 1.0), (36.0, 1.0), (38.0, 1.0), (40.0, 1.0), (42.0, 1.0)), "i" * 64)
    reaching = with_points(((35.2, 0.8), (36.2, 0.8), (38.0, 0.8), (40.0, 0.8), (42.0, 0.8)))
    assert "36 dB" not in judge(reaching, narrow).reason
    assert judge(reaching, narrow).decision == "adopt"
    short = with_points(((35.6, 0.8), (36.2, 0.8), (38.0, 0.8), (40.0, 0.8), (42.0, 0.8)))
    assert "62% are needed" in judge(short, narrow).reason


def test_a_codec_that_is_a_little_better_and_knows_the_training_clips_by_heart_is_not_adopted():
    verdict = judge(contest(0.2, held_out=0.88), INCUMBENT)
    assert verdict.decision == "reject"
    assert "not confirmed" in verdict.reason
    assert "show 8% of the gain" in verdict.held_out_reason
    assert judge(contest(0.52, held_out=0.88), INCUMBENT).decision == "adopt", "clips may differ that much"


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
def test_achievements_are_the_50_70_and_90_percent_lines_under_ten_megabits(mbps, text):
    assert achievement(mbps).startswith(text)
    assert bool(achievement(mbps)) == bool(text)


def test_another_rule_gives_another_decision_and_signs_with_its_version():
    verdict = judge(contest(0.95), INCUMBENT, rule=Rule(version="easy", bd_rate=-4.0))
    assert (verdict.decision, verdict.rule_version) == ("confirm", "easy")
