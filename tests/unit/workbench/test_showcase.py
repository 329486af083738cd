"""What is shown beside what, and that nothing in it can become markup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from codec_sandbox.clips import ClipSet

from infra.workbench.showcase import Showcase, Take, closest
from infra.workbench.showcase_page import draw_showcases, page


def take(name: str, size: int, psnr: float = 36.0) -> Take:
    return Take(name, np.full((64, 96, 3), size % 256, np.uint8), size, psnr)


@pytest.fixture
def shown() -> Showcase:
    ours = take("version 2, quality 40", 1000)
    return Showcase(
        clip=ClipSet().clip("bunny"),
        frames=24,
        original=np.zeros((64, 96, 3), np.uint8),
        ours=ours,
        equal_bits=take("x265, CRF 28", 1010, 37.0),
        equal_psnr=take("x265, CRF 30", 800),
        versions=[take("version 0, quality 3", 1020, 30.0), ours],
    )


@pytest.mark.parametrize("goal", [0, 1, 37, 99, 100])
def test_the_closest_is_found_whether_bytes_rise_or_fall_with_the_parameter(goal: int):
    for rising in (True, False):
        calls: list[int] = []

        def code(parameter: int, rising: bool = rising, calls: list[int] = calls) -> Take:
            calls.append(parameter)
            return take("x", parameter if rising else 100 - parameter)

        found = closest(code, (0, 100), lambda each: each.size_bytes - goal, rising=rising)
        assert found.size_bytes == goal
        assert len(calls) <= 7


def test_a_goal_that_no_parameter_reaches_gives_the_nearest_end():
    assert (
        closest(lambda q: take("x", q), (0, 100), lambda each: each.size_bytes - 500, rising=True).size_bytes
        == 100
    )
    assert (
        closest(lambda q: take("x", q), (0, 100), lambda each: each.size_bytes + 5, rising=True).size_bytes
        == 0
    )


def test_the_page_holds_every_picture_and_its_figures(shown: Showcase):
    text = page([shown])
    assert text.count("data:image/png;base64,") == 2 * 5  # for either side
    assert "x265, CRF 30: 800 bytes (-20%), 36.00 dB" in text
    assert "Blender Foundation" in text
    assert "http://" not in text and "https://" not in text


def test_a_name_cannot_become_markup(shown: Showcase):
    evil = replace(shown.ours, name='"><script>alert(1)</script>')
    text = page([replace(shown, ours=evil)])
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


@pytest.mark.slow
def test_the_picture_has_all_rows(shown: Showcase, tmp_path: Path):
    draw_showcases(tmp_path / "show.png", [shown, shown])
    one = tmp_path / "one.png"
    draw_showcases(one, [replace(shown, versions=[shown.ours])])
    assert cv2.imread(str(tmp_path / "show.png")).shape[0] == 2 * cv2.imread(str(one)).shape[0]
