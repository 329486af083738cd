"""Geometry of charts, and figures as they are printed."""

import itertools
import random

import pytest
from codec_evolution.widgets import figures
from codec_evolution.widgets.chart import LABEL_GAP, LABEL_RISE, PLACE_TOLERANCE, Axis, Mark, Series, draw
from codec_evolution.widgets.health import percentile
from codec_evolution.widgets.html import PALETTES
from codec_evolution.widgets.rate_distortion import shown
from codec_evolution.widgets.request import github_web_url


def test_ends_of_an_axis_are_the_ends_of_the_drawing():
    drawing = draw(
        "t",
        Axis(0, 10, "x"),
        Axis(1, 100, "y", log=True),
        [Series([(0, 1), (5, 10), (10, 100)], "", "accent")],
        width=500,
        height=300,
    )
    (line,) = drawing.lines
    assert line.dots[0] == (drawing.left, drawing.bottom)
    assert line.dots[2] == (drawing.right, drawing.top)
    assert line.dots[1] == ((drawing.left + drawing.right) / 2, (drawing.top + drawing.bottom) / 2)


def test_a_mark_outside_the_axis_is_not_drawn():
    drawing = draw(
        "t",
        Axis(0, 1, "x"),
        Axis(0, 1, "y"),
        [],
        width=300,
        height=200,
        marks=[Mark(0.5, "in"), Mark(2, "out")],
    )
    assert [mark.label for mark in drawing.marks] == ["in"]


def test_the_label_of_a_mark_is_at_the_end_where_the_line_is_farther_away():
    falling = Series([(0, 0.9), (1, 0.2)], "", "accent")
    drawing = draw(
        "t",
        Axis(0, 1, "x"),
        Axis(0, 1, "y"),
        [falling],
        width=300,
        height=200,
        marks=[Mark(0.8, "high"), Mark(0.1, "low")],
    )
    high, low = drawing.marks
    assert (high.anchor, high.label_x <= drawing.right) == ("end", True)
    assert (low.anchor, low.label_x >= drawing.left) == ("start", True)


def test_labels_of_lines_that_end_together_do_not_cover_each_other():
    together = [Series([(0, 0), (1, 0.5)], f"v{number}", "old") for number in range(4)]
    drawing = draw("t", Axis(0, 1, "x"), Axis(0, 1, "y"), together, width=300, height=200)
    places = sorted(line.label_y for line in drawing.lines)
    assert all(low + LABEL_GAP <= high for low, high in itertools.pairwise(places))


def test_a_label_stands_above_the_end_of_its_line_and_within_the_drawing():
    lines = [Series([(0, 0), (0.5, 0.5)], "v0", "old"), Series([(0, 0), (1, 0.9)], "v1", "accent")]
    drawing = draw("t", Axis(0, 1, "x"), Axis(0, 1, "y"), lines, width=300, height=200)
    middle, edge = drawing.lines
    for line in drawing.lines:
        assert line.label_y < line.dots[-1][1]
    assert (middle.anchor, edge.anchor) == ("middle", "end")
    assert edge.label_ends[1] <= drawing.right


def test_a_label_aside_has_room_right_of_its_line():
    lines = [Series([(0, 1), (1, 0)], "10.81", "accent", aside=True)]
    (line,) = draw("t", Axis(0, 1, "x"), Axis(0, 1, "y"), lines, width=300, height=200).lines
    assert line.dots[-1][0] < line.label_ends[0] < line.label_ends[1] <= 300


def test_the_label_of_the_accented_line_stays_and_the_next_moves_no_further_than_needed():
    lines = [Series([(0, 0), (1, 0.5)], "v2", "old"), Series([(0, 0), (1, 0.49)], "v3", "accent")]
    old, accent = draw("t", Axis(0, 1, "x"), Axis(0, 1, "y"), lines, width=300, height=200).lines
    assert accent.label == "v3" and accent.label_y == pytest.approx(accent.dots[-1][1] - LABEL_RISE)
    assert accent.label_y - old.label_y == pytest.approx(LABEL_GAP)


@pytest.mark.parametrize("seed", range(200))
def test_labels_find_a_place_wherever_lines_end(seed):
    draws = random.Random(seed)
    ends = [(draws.uniform(0.4, 0.6), draws.uniform(0.4, 0.6)) for _ in range(6)]
    lines = [
        Series([(0, 0), end], f"v{number}", draws.choice(("old", "accent")))
        for number, end in enumerate(ends)
    ]
    drawn = draw("t", Axis(0, 1, "x"), Axis(0, 1, "y"), lines, width=417, height=301).lines
    for one, other in itertools.combinations(drawn, 2):
        apart = one.label_ends[1] <= other.label_ends[0] or other.label_ends[1] <= one.label_ends[0]
        assert apart or abs(one.label_y - other.label_y) >= LABEL_GAP - PLACE_TOLERANCE


def test_labels_that_do_not_meet_stay_at_their_lines():
    apart = [Series([(0, 0), (0.4, 0.5)], "v0", "old"), Series([(0, 0), (0.6, 0.5)], "v1", "old")]
    drawing = draw("t", Axis(0, 1, "x"), Axis(0, 1, "y"), apart, width=300, height=200)
    assert len({line.label_y for line in drawing.lines}) == 1


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0, 10, ""), [0, 2, 4, 6, 8, 10]),
        (Axis(-1, 1, ""), [-1, -0.5, 0, 0.5, 1]),
        (Axis(0, 1, "", whole=True), [0, 1]),
        (Axis(0.9, 55, "", log=True), [1, 2, 5, 10, 20, 50]),
        (Axis(1.8, 9, "", log=True), [2, 3, 5, 7]),
    ],
)
def test_ticks_are_round(axis, ticks):
    assert axis.ticks(6) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (figures.mbps(4.519), "4.52"),
        (figures.mbps(None), "\u2013"),
        (figures.percent(-12.34), "\u221212.3\u202f%"),
        (figures.percent(0.04), "0.0\u202f%"),
        (figures.percent(718.8, 0), "+719\u202f%"),
        (figures.dollars(0.0213), "$0.0213"),
        (figures.dollars(0), "$0.00"),
        (figures.dollars(1234.5), "$1,234.50"),
        (figures.seconds(2.04), "2.0\u202fs"),
        (figures.moment("2026-11-01T02:03:04.000Z"), "1 Nov 02:03"),
        (figures.share(1, 3), "33\u202f%"),
    ],
)
def test_figures_have_few_digits_and_their_unit(text, printed):
    assert text == printed


def test_percentiles_are_of_the_nearest_rank():
    values = list(range(1, 101))
    assert (percentile(values, 0.5), percentile(values, 0.95)) == (50, 95)
    assert percentile([7.0], 0.95) == 7.0
    assert percentile([], 0.5) is None


@pytest.mark.parametrize(
    ("theme", "ground"),
    [("light", "#ffffff"), ("dark", "#141b23"), ("dark", "#161d26"), ("dark", "#0f1b2a")],
)
def test_text_and_signs_stand_out_from_the_grounds_of_page_and_console(theme, ground):
    palette = PALETTES[theme]
    for name in ("text", "muted", "accent"):
        assert contrast(palette[name], ground) >= 4.5, name
        assert contrast(palette[name], palette["faint"]) >= 4.5, name
    assert contrast(palette["on_accent"], palette["accent"]) >= 4.5
    assert contrast(palette["second"], ground) >= 3, "borders of buttons, and old curves"


def contrast(one: str, other: str) -> float:
    """The contrast of two colours by WCAG 2."""
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("incumbent", "drawn"), [(-1, []), (0, [0]), (1, [0, 1]), (2, [0, 1, 2]), (9, [0, 7, 8, 9])]
)
def test_the_incumbent_two_before_it_and_version_0_are_drawn(incumbent, drawn):
    assert shown(incumbent) == drawn


@pytest.mark.parametrize(
    ("api", "page"),
    [
        ("https://api.github.com", "https://github.com/o/r"),
        ("https://git.example.org/api/v3", "https://git.example.org/o/r"),
        ("http://127.0.0.1:8080", ""),
    ],
)
def test_the_page_of_a_repository_follows_from_its_api(api, page):
    assert github_web_url(api, "o/r") == page
