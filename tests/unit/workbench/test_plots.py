"""Which windows a plot shows: those of a contest, or the sealed ones where there are no others."""

from typing import Any

import pytest

from infra.workbench.plots import draw_rate_distortion

RANGE = {"low_db": 32.0, "high_db": 41.0, "reference_db": 36.0, "reference_mbps": 10.0}


class NoReferences:
    """References without a curve."""

    def curve(self, window: object, codec: str) -> None:
        return None


class AnyClips:
    """A clip set that has every clip."""

    def clip(self, name: str) -> Any:
        return type("Clip", (), {"windows": [None] * 8})()


def row(name: str, window: int, role: str) -> dict[str, Any]:
    points = [{"bitrate_mbps": 2.0**n, "psnr_db": 32.0 + 3 * n} for n in range(4)]
    return {"name": name, "window": window, "role": role, "points": points, "quality_range": RANGE}


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        (
            [row("bunny", 3, "train"), row("bunny", 1, "train"), row("bikes", 7, "sealed")],
            ["bunny, window 1"],
        ),
        (
            [row(name, 7, "sealed") for name in ("city", "bikes", "bunny")],
            ["bikes, window 7", "bunny, window 7", "city, window 7"],
        ),
    ],
    ids=["a contest", "sealed windows alone"],
)
def test_a_panel_is_a_clips_first_window_of_the_contest_or_else_the_sealed_one(tmp_path, rows, shown):
    (file,) = draw_rate_distortion(tmp_path / "plot.svg", [("version 1", rows)], AnyClips(), NoReferences())
    text = file.read_text()
    titles = [f"{each['name']}, window {each['window']}" for each in rows]
    assert sorted(title for title in titles if f"<!-- {title} -->" in text or title in text) == shown
