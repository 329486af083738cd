"""Contests that are not measured to their end: only a loss that is certain ends one."""

import pytest
from codec_evolution.judging.adoption import UNCONFIRMED

from tests.unit.judging.test_adoption import INCUMBENT, contest, judge

TRAIN_FLAT = (37.0, 37.1, 37.2, 37.3, 37.4)


def without(report, *windows, scale=None):
    """Return a report without these windows; `scale` changes the rates of a clip that is left."""
    report = dict(report)
    gone = {(clip, int(index)) for clip, index in (each.split("/") for each in windows)}
    rows = [row for row in report["points"] if (row["clip"], row["window"]) not in gone]
    for clip, factor in (scale or {}).items():
        rows = [
            row | {"bitrate_mbps": row["bitrate_mbps"] * factor}
            if row["clip"] == clip and row["role"] != "sealed"
            else row
            for row in rows
        ]
    role = report["split"]
    missing = [{"window": each, "role": "sealed" if each.endswith("/7") else role} for each in windows]
    report |= {"points": rows, "unmeasured": missing}
    kept = [key for key in report["packets_sha256"] if key not in windows]
    for name in ("packets_sha256", "frames_sha256"):
        report[name] = {key: report[name][key] for key in kept}
    return report


def trained(*windows, scale=None, **shape):
    codec = contest(0.85, **shape)
    codec.train = without(codec.train, *windows, scale=scale)
    return codec


def looked(*windows, scale=None, held_out=0.85):
    codec = contest(0.85, held_out=held_out)
    codec.held_out = without(codec.held_out, *windows, scale=scale)
    return codec


CARPHONE = ("carphone/0", "carphone/5")
CITY = ("city/1", "city/6")
SEALED = tuple(f"{clip}/7" for clip in ("bunny", "carphone", "bikes", "city"))


def test_a_clip_that_got_worse_on_all_its_windows_is_a_certain_loss():
    verdict = judge(trained(*CARPHONE, scale={"bunny": 1.25}), INCUMBENT)
    assert verdict.decision == "reject"
    assert verdict.reason == (
        "lost_early: clip bunny got worse: BD-rate +6.2%, +5% is allowed; 2 windows were not measured"
    )


def test_a_clip_with_a_window_that_is_missing_may_still_come_out_better():
    verdict = judge(trained("bunny/3", scale={"bunny": 1.25}), INCUMBENT)
    assert (verdict.decision, verdict.reason) == ("undecidable", "1 window was not measured")


def test_a_gain_that_is_too_small_so_far_is_no_certain_loss():
    assert judge(trained(*CARPHONE, scale={"bunny": 1.15}), INCUMBENT).decision == "undecidable"


def test_one_curve_without_figures_is_a_certain_loss():
    verdict = judge(trained("bunny/3", *CARPHONE, levels=TRAIN_FLAT), INCUMBENT)
    assert verdict.decision == "reject"
    assert verdict.reason.startswith("lost_early: clip bunny: no BD-rate, the curve has")


def test_too_little_quality_in_common_on_one_window_is_a_certain_loss():
    verdict = judge(trained(*CARPHONE, levels=(30.0, 31.0, 33.0, 35.0, 36.5)), INCUMBENT)
    assert verdict.decision == "reject"
    assert verdict.reason.startswith("lost_early: clip bunny: candidate and incumbent share")


def test_nothing_measured_decides_nothing():
    assert judge(trained("bunny/0", "bunny/3", *CARPHONE), INCUMBENT).decision == "undecidable"


def test_a_certain_loss_records_the_comparison_and_no_rate_of_a_part_of_the_windows():
    verdict = judge(trained(*CARPHONE, scale={"bunny": 1.25}), INCUMBENT)
    assert verdict.bd_rate_vs_incumbent == pytest.approx(6.25)
    assert [row.clip for row in verdict.rows] == ["bunny"]
    for figure in (
        "bitrate_mbps",
        "compression_ratio",
        "psnr_db",
        "bd_rate_vs_hevc",
        "training_bitrate_mbps",
    ):
        assert getattr(verdict, figure) is None, figure
    assert verdict.achievement == ""


def test_a_held_out_clip_that_got_worse_ends_the_confirmation_and_only_people_learn_how():
    verdict = judge(looked(*CITY, *SEALED, scale={"bikes": 1.25}), INCUMBENT)
    assert (verdict.decision, verdict.reason) == ("reject", UNCONFIRMED)
    assert verdict.held_out_reason == (
        "lost_early: clip bikes got worse: BD-rate +6.2%, +5% is allowed; 6 windows were not measured"
    )
    assert verdict.bd_rate_vs_incumbent == pytest.approx(-15), "of the training clips"


def test_held_out_windows_that_are_missing_can_still_decide():
    assert judge(looked(*CITY, *SEALED), INCUMBENT).decision == "undecidable"


def test_a_confirmation_without_its_sealed_windows_rejects_and_never_adopts():
    assert judge(looked(*SEALED, held_out=1.0), INCUMBENT).decision == "reject"
    assert judge(looked(*SEALED), INCUMBENT).decision == "undecidable"
    assert judge(looked(), INCUMBENT).decision == "adopt"


def test_a_repeated_window_that_differs_ends_the_confirmation():
    codec = looked(*CITY, *SEALED)
    assert codec.held_out is not None
    codec.held_out["packets_sha256"] = {"carphone/0": "other"}
    verdict = judge(codec, INCUMBENT)
    assert (verdict.decision, verdict.failure_kind) == ("reject", "nondeterministic")


def test_the_processor_of_the_repeated_window_tells_other_hardware():
    codec = looked()
    assert codec.held_out is not None
    codec.held_out["packets_sha256"] = {"carphone/0": "other"}
    codec.train |= {"processor": "A / B", "processors": {"bunny/0": "A", "carphone/0": "B"}}
    codec.held_out |= {"processor": "A / B", "processors": {"city/1": "A", "carphone/0": "B"}}
    assert judge(codec, INCUMBENT).failure_kind == "nondeterministic", "both ran it on B"
    codec.held_out["processors"]["carphone/0"] = "A"
    assert judge(codec, INCUMBENT).failure_kind == "other_hardware"
