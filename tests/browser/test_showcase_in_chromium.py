"""The page of ``show``: a slider uncovers one picture under another, and the pictures can be chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from codec_sandbox.clips import ClipSet

from infra.workbench.showcase import Showcase, Take
from infra.workbench.showcase_page import draw_showcases


def test_the_slider_and_the_choice_of_pictures_work_without_an_error(chromium, tmp_path: Path):
    takes = [Take(f"take {n}", np.full((48, 64, 3), 40 * n, np.uint8), 1000 + n, 36.0) for n in range(1, 4)]
    shown = Showcase(
        ClipSet().clip("bunny"), 24, np.zeros((48, 64, 3), np.uint8), *takes, versions=[takes[0]]
    )
    draw_showcases(tmp_path / "show.html", [shown])
    page = chromium.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((tmp_path / "show.html").as_uri())
    page.fill("input", "25")
    assert page.eval_on_selector(".stage", "each => each.style.getPropertyValue('--at')") == "25%"
    page.select_option("select.right", index=0)
    chosen, shown_right = page.input_value("select.right"), page.get_attribute("img.under", "src")
    assert chosen == shown_right != page.get_attribute("img.over", "src")
    assert page.eval_on_selector("img.under", "each => each.complete && each.naturalWidth") == 64
    assert problems == []
    page.close()
