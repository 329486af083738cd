"""The page about a lineage: its figures are those of the record, and what a model wrote is no markup."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from codec_sandbox.clips import ClipSet
from codec_sandbox.references import References

from infra.errors import UserError
from infra.local.shipped import ShippedLineage
from infra.workbench.lineage_page import ROLES, versions_of, write_page

SHIPPED = ShippedLineage()


def quiet(line: str) -> None:
    """Show nothing."""


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    return versions_of(None, tmp_path_factory.mktemp("empty"), "main", quiet)


@pytest.fixture(scope="module")
def page(versions, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, versions)
    return path.read_text("utf-8")


def test_without_an_evolution_the_versions_are_those_that_ship_newest_first(versions):
    assert [each.attempt for each in versions] == [
        SHIPPED.versions[n] for n in range(SHIPPED.incumbent, -1, -1)
    ]


@pytest.mark.slow
def test_the_page_tells_the_bd_rates_of_each_kind_of_window_apart(page, versions):
    rows = dict(re.findall(r"<tr><td>(\w+)</td>((?:<td class=\"number\">[^<]*</td>){4})</tr>", page))
    shown = {clip: re.findall(r">([^<]+)<", cells) for clip, cells in rows.items()}
    assert set(shown) == {"bikes", "bunny", "carphone", "city"}
    for index, role in enumerate(ROLES):
        for clip, rate in versions[0].by_clip(role).items():
            assert shown[clip][index] == f"{rate:+.1f} %"
    assert shown["bikes"][:2] == ["-", "-"], "bikes is held out, and figures of held-out windows do not ship"
    for clip, rate in versions[0].ms_ssim_by_clip("sealed").items():
        assert shown[clip][3] == f"{rate:+.1f} %"


def test_other_encoders_are_compared_on_the_sealed_windows(page, versions):
    versus = versions[0].versus("x265_zerolatency", References(), ClipSet())
    assert versus == pytest.approx(versions[0].by_clip("sealed"))
    medium = versions[0].versus("x265_medium", References(), ClipSet())
    assert len(medium) == 4
    assert all(medium[clip] > versus[clip] for clip in medium), "look-ahead makes x265 better"
    row = page[page.index("x265 medium, -tune psnr</td>") :][:400]
    assert [f"{medium[clip]:+.1f} %" in row for clip in sorted(medium)] == [True] * 4


def test_every_version_is_listed_with_its_figure_and_its_hypothesis(page, versions):
    for each in versions:
        assert f"{each.attempt.bd_rate_vs_hevc:+.1f} %" in page
    assert "most blocks are a shifted part of an earlier frame" in page


def test_the_sealed_windows_are_drawn_with_x265(page):
    assert "<h2>Curves on sealed windows</h2>" in page
    assert page.count("<svg") == 2, "nothing of held-out windows is shipped"
    assert "<?xml" not in page


@pytest.mark.slow
def test_what_a_model_wrote_is_no_markup_and_moves_no_text(versions, tmp_path: Path):
    hostile = versions[0].attempt.model_copy(update={"hypothesis": "<script>alert(1)</script>\u202e\x1b[2J"})
    write_page(tmp_path / "r.html", [replace(versions[0], attempt=hostile), *versions[1:]])
    text = (tmp_path / "r.html").read_text("utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_seconds_a_frame_are_means_over_all_points(versions):
    points = [point for report in versions[0].reports for point in report.points if point.clip == "bikes"]
    frames = sum(point.frames for point in points)
    encode, decode = versions[0].seconds_a_frame()["bikes"]
    assert encode == pytest.approx(sum(point.encode_cpu_s for point in points) / frames)
    assert decode == pytest.approx(sum(point.decode_cpu_s for point in points) / frames)


def test_a_version_that_does_not_exist_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no version 99"):
        versions_of(99, tmp_path, "main", quiet)
