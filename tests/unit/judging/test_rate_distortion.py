"""BD-rate and its kin, against the bjontegaard package and against figures worked out by hand."""

import math
import random

import numpy as np
import pytest
from codec_evolution.judging.rate_distortion import (
    MAXIMUM_DIP,
    MAXIMUM_GAP_DB,
    Akima,
    Lines,
    Point,
    bd_rate,
    bd_rate_in_window,
    compression_ratio,
    coverage,
    interpolation_dip,
    is_measurable,
    mean_bd_rate,
    ms_ssim_at,
    pareto,
    rate_at,
    ratio_at_reference,
    ratio_in_window,
    widest_gap,
)

# x265 medium and zero latency, and JPEG, on the carphone clip: kbps, PSNR-Y
MEDIUM = [(196, 40.33), (115, 37.81), (67, 35.25), (39, 32.75), (21, 29.72), (13, 26.77)]
ZERO_LATENCY = [(292, 41.33), (165, 38.61), (92, 35.87), (53, 33.15), (28, 29.75), (15, 26.66)]
JPEG = [(324, 27.78), (487, 30.40), (715, 32.93), (1060, 36.01), (1834, 41.34)]


def curve(pairs, ms_ssim=0.95):
    return [Point(float(rate), psnr, ms_ssim) for rate, psnr in pairs]


def package(anchor, test):
    import bjontegaard  # with scipy and matplotlib: half a second of each process that collects the tests

    return bjontegaard.bd_rate(
        [p.rate for p in sorted(anchor, key=lambda p: p.rate)],
        [p.psnr_db for p in sorted(anchor, key=lambda p: p.rate)],
        [p.rate for p in sorted(test, key=lambda p: p.rate)],
        [p.psnr_db for p in sorted(test, key=lambda p: p.rate)],
        method="akima",
        require_matching_points=False,
        min_overlap=0,
    )


def random_curve(rng):
    levels = [rng.uniform(27, 31.9), *sorted(rng.uniform(32, 42) for _ in range(rng.randint(2, 5)))]
    levels.append(rng.uniform(42.1, 48))
    shift, bend = rng.uniform(-0.4, 0.4), rng.uniform(0, 0.004)
    return [
        Point(10 ** ((level - 30) / rng.uniform(9, 11) + shift + bend * (level - 27) ** 2), level, 0.9)
        for level in levels
    ]


@pytest.mark.parametrize("test", [ZERO_LATENCY, JPEG], ids=["zero latency", "jpeg"])
def test_bd_rate_of_real_encoders_agrees_with_the_bjontegaard_package(test):
    assert bd_rate(curve(MEDIUM), curve(test)) == pytest.approx(package(curve(MEDIUM), curve(test)), rel=1e-9)


def test_bd_rate_of_zero_latency_against_medium_is_what_was_published_for_this_clip():
    assert bd_rate(curve(MEDIUM), curve(ZERO_LATENCY)) == pytest.approx(23.7, abs=1.0)


def test_bd_rate_agrees_with_the_bjontegaard_package_on_two_hundred_random_pairs():
    rng = random.Random(20261121)
    compared = 0
    while compared < 200:
        anchor, test = random_curve(rng), random_curve(rng)
        if pareto(anchor) != sorted(anchor, key=lambda p: p.rate) or len(pareto(test)) != len(test):
            continue
        assert bd_rate(anchor, test) == pytest.approx(package(anchor, test), rel=1e-9, abs=1e-9)
        compared += 1


def test_a_curve_with_a_tenth_fewer_bits_everywhere_has_a_bd_rate_of_minus_ten_percent():
    saved = [Point(p.rate * 0.9, p.psnr_db, p.ms_ssim) for p in curve(MEDIUM)]
    assert bd_rate(curve(MEDIUM), saved) == pytest.approx(-10)
    assert bd_rate(saved, curve(MEDIUM)) == pytest.approx(100 / 9)


def test_a_curve_against_itself_has_no_bd_rate_to_speak_of():
    assert bd_rate(curve(JPEG), curve(JPEG)) == pytest.approx(0, abs=1e-12)


def test_a_single_point_repeated_has_no_bd_rate():
    lonely = [Point(50.0, 38.0, 0.9)] * 5
    assert bd_rate(curve(MEDIUM), lonely) is None


def test_a_curve_that_covers_less_than_half_of_32_to_41_db_has_no_bd_rate():
    narrow = curve([(100, 36.6), (110, 37.5), (120, 38.5), (130, 39.5), (140, 40.9)])
    assert coverage(narrow) == pytest.approx((40.9 - 36.6) / 9)
    assert not is_measurable(narrow)
    assert bd_rate(curve(MEDIUM), narrow) is None


def test_a_lossless_codec_has_no_bd_rate():
    assert bd_rate(curve(MEDIUM), curve([(900, 50.0)] * 5)) is None


def test_two_measurable_curves_that_share_less_than_half_of_the_window_have_no_bd_rate():
    lower = curve([(10, 31), (12, 33), (14, 35), (16, 36.6)])
    upper = curve([(20, 36.4), (22, 38), (24, 40), (26, 42)])
    assert is_measurable(lower)
    assert is_measurable(upper)
    assert bd_rate(lower, upper) is None


def test_a_point_that_costs_more_and_looks_no_better_is_dropped():
    points = curve([(10, 32), (20, 36), (25, 35), (30, 36), (40, 41)])
    assert [p.rate for p in pareto(points)] == [10, 20, 40]


def test_one_wild_point_cannot_improve_a_bd_rate():
    honest = curve([(13, 26.77), (21, 29.72), (39, 32.75), (67, 35.25), (115, 37.81), (196, 40.33)])
    with_wild = [*honest, Point(300.0, 30.0, 0.9)]
    assert bd_rate(curve(MEDIUM), with_wild) == pytest.approx(bd_rate(curve(MEDIUM), honest))


def test_the_rate_at_a_measured_quality_is_the_measured_rate():
    assert rate_at(curve(MEDIUM), 35.25) == pytest.approx(67)


def test_the_rate_at_36_db_lies_between_its_neighbours():
    assert 67 < rate_at(curve(MEDIUM), 36.0) < 115


@pytest.mark.parametrize("level", [26.0, 41.0])
def test_no_rate_is_made_up_outside_the_curve(level):
    assert rate_at(curve(MEDIUM), level) is None
    assert ms_ssim_at(curve(MEDIUM), level) is None


def test_ms_ssim_is_interpolated_at_the_same_quality():
    points = [Point(1, 30, 0.90), Point(2, 34, 0.95), Point(3, 38, 0.975), Point(4, 42, 0.9875)]
    assert ms_ssim_at(points, 34) == pytest.approx(0.95)
    assert 0.95 < ms_ssim_at(points, 36) < 0.975


def test_mean_bd_rate_is_geometric_so_that_half_and_double_cancel():
    assert mean_bd_rate([-50, 100]) == pytest.approx(0)


def test_the_compression_ratio_of_ten_megabits_is_149():
    assert compression_ratio(10) == pytest.approx(24 / (10 / 62.208))


def test_akima_goes_through_its_points_and_follows_a_straight_line():
    line = Akima([0, 1, 3, 4], [1, 3, 7, 9])
    assert [line(x) for x in (0, 0.5, 1, 2, 3.5, 4)] == pytest.approx([1, 2, 3, 5, 8, 9])
    assert line.integral(0, 4) == pytest.approx(20)


def test_akima_refuses_to_guess_outside_its_points():
    with pytest.raises(ValueError, match="outside"):
        Akima([0, 1], [0, 1])(1.5)


def test_akima_refuses_points_that_do_not_rise():
    with pytest.raises(ValueError, match="rise"):
        Akima([0, 0, 1], [0, 1, 2])


def test_more_bits_at_a_point_never_help_in_the_window_but_may_lower_akimas_curve():
    true = [Point(2 ** (level / 3), level, 0.9) for level in (31.5, 31.55, 41.5, 41.55, 41.6)]
    padded = [Point(p.rate * (1.0, 1.0, 1.0, 1.2, 1.44)[i], p.psnr_db, 0.9) for i, p in enumerate(true)]
    assert bd_rate(true, padded) < -70
    assert bd_rate_in_window(true, padded) == pytest.approx(0)
    assert interpolation_dip(true) == pytest.approx(0, abs=1e-9)
    assert interpolation_dip(padded) > 0.5


def test_for_real_encoders_both_bd_rates_nearly_agree():
    both = [measure(curve(MEDIUM), curve(ZERO_LATENCY)) for measure in (bd_rate_in_window, bd_rate)]
    assert both[0] == pytest.approx(both[1], abs=3)  # 26.8 to 40.3 dB, and 32 to 40.3 dB
    for points in (MEDIUM, ZERO_LATENCY, JPEG):
        assert interpolation_dip(curve(points)) < MAXIMUM_DIP


def test_bd_rate_in_the_window_agrees_with_a_fine_sum_by_numpy():
    rng = random.Random(7)
    for _ in range(40):
        anchor, test = random_curve(rng), random_curve(rng)
        if bd_rate(anchor, test) is None or any(
            len(pareto(points)) != len(points) for points in (anchor, test)
        ):
            continue
        (ours, our_rates), (theirs, their_rates) = (
            np.array([(p.psnr_db, math.log10(p.rate)) for p in points]).T for points in (test, anchor)
        )
        low, high = max(32, ours[0], theirs[0]), min(41, ours[-1], theirs[-1])
        ends = max(ours[0], theirs[0]), min(ours[-1], theirs[-1])
        levels = np.array([ends[0], *ours[(ours > ends[0]) & (ours < ends[1])], ends[1]])
        differences = np.interp(levels, ours, our_rates) - np.interp(levels, theirs, their_rates)
        differences[0] = differences[0] if ends[0] in ours else max(differences[0], differences[1])
        differences[-1] = differences[-1] if ends[1] in ours else max(differences[-1], differences[-2])
        fine = np.linspace(low, high, 20001)
        mean = np.trapezoid(np.interp(fine, levels, differences), fine) / (high - low)
        assert bd_rate_in_window(anchor, test) == pytest.approx((10**mean - 1) * 100, rel=1e-4, abs=1e-4)


def bent(level):
    """The curve of a codec whose log rate bends as that of real ones in Python does: ever less steep."""
    return 10 ** (1 + 0.09 * (level - 30) - 0.0018 * (level - 30) ** 2)


def test_fewer_points_of_the_same_codec_gain_nothing_in_the_window():
    dense = [Point(bent(level), level, 0.9) for level in (31, 33, 35, 37, 39, 41, 43)]
    sparse = [Point(bent(level), level, 0.9) for level in (31.0, 31.1, 42.9, 43.0)]
    assert bd_rate(dense, sparse) < -4, "a straight line joins what is bent"
    assert ratio_at_reference(dense, sparse) > 1.05
    assert bd_rate_in_window(dense, sparse) > -1
    assert ratio_in_window(dense, sparse) < 1.01
    assert widest_gap(sparse) == pytest.approx(11.8) and widest_gap(sparse) > MAXIMUM_GAP_DB
    assert widest_gap(dense) == pytest.approx(2)


def test_curves_that_only_touch_have_no_ratio_in_the_window():
    lower, upper = curve([(1, 31), (2, 33), (3, 35), (4, 36)]), curve([(4, 36), (5, 37), (6, 39), (7, 41)])
    assert ratio_in_window(lower, upper) is None
    assert bd_rate_in_window(lower, upper) is None


def test_a_gap_beside_the_window_is_no_gap():
    assert widest_gap(curve([(1, 20), (2, 32), (3, 36), (4, 41), (5, 50)])) == pytest.approx(5)


VERSION_0 = [(18.4, 30.7), (24.5, 32.3), (42.2, 36.0), (69.8, 39.95), (110.3, 44.3), (167.6, 48.6)]
"""Of window 0 of bunny, as `codec-evolution benchmark` prints it."""


def test_version_0_with_useless_bits_beats_itself_by_akima_and_not_in_the_window():
    anchor = curve(VERSION_0)
    own = Akima([p.psnr_db for p in anchor], [math.log10(p.rate) for p in anchor])
    padding = ((31.5, 1.01), (31.55, 1.0), (41.5, 1.0), (41.55, 1.21), (41.6, 1.47))
    padded = [Point(10 ** own(level) * more, level, 0.9) for level, more in padding]
    assert bd_rate(anchor, padded) < -90
    assert rate_at(padded, 36.0) < rate_at(anchor, 36.0) / 50
    assert bd_rate_in_window(anchor, padded) > -1
    assert interpolation_dip(padded) > MAXIMUM_DIP


def test_the_akima_integral_agrees_with_a_fine_sum():
    xs, ys = [30.1, 32.9, 36.5, 40.0, 44.2], [0.1, 0.4, 0.9, 1.3, 1.9]
    spline = Akima(xs, ys)
    steps = 20000
    width = (43 - 31) / steps
    total = math.fsum(spline(31 + (i + 0.5) * width) for i in range(steps)) * width
    assert spline.integral(31, 43) == pytest.approx(total, rel=1e-7)


@pytest.mark.parametrize(
    ("xs", "ys", "message"),
    [
        ([1.0], [1.0], "at least two points"),
        ([1.0, 2.0], [1.0], "at least two points"),
        ([1.0, 1.0], [1.0, 2.0], "rise strictly"),
        ([2.0, 1.0], [1.0, 2.0], "rise strictly"),
    ],
)
def test_lines_need_points_whose_abscissae_rise(xs, ys, message):
    with pytest.raises(ValueError, match=message):
        Lines(xs, ys)
