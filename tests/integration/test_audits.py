"""A full-size audit: real rates of a person's own video beside x265; what cannot be audited is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from codec_sandbox.clips import Window
from typer.testing import CliRunner, Result

from infra.cli import app
from infra.errors import UserError
from infra.workbench import audit as audits
from infra.workbench.audit import Segment, check_length, judged
from infra.workbench.film import examine
from infra.workbench.lineage_page import versions_of, write_page
from tests.integration.test_films import X264, make

VERSION_0 = "sandbox_container/codecs/version_0.py"
SIZE, FRAMES, SEGMENTS = "176x144", 3, 2


def audit(video: Path, *options: object) -> Result:
    command = ["audit", str(video), "--source", VERSION_0, "--state-dir", str(video.parent / "none")]
    return CliRunner().invoke(app, [*command, *map(str, options)])


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    make(
        folder / audits.HEVC_FILE,
        SIZE,
        "-c:v",
        "libx265",
        "-crf",
        "30",
        "-x265-params",
        "log-level=none",
        frames=8,
    )
    return make(folder / "own.mkv", SIZE, *X264, frames=8)


@pytest.fixture(scope="module")
def found(video) -> dict:
    done = audit(video, "--segments", SEGMENTS, "--frames", FRAMES, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_segments_are_spread_from_the_first_frame_to_the_last(found):
    assert [each["start_s"] for each in found["segments"]] == [0.0, round((8 - FRAMES) / 25, 3)]
    assert (found["width"], found["height"], found["fps"]) == (176, 144, 25.0)


def test_rates_are_those_of_the_video_itself(found):
    """At 176x144 and 25 fps, 1 Mbps at 1080p30 equivalent is 0.0102 Mbps."""
    for segment in found["segments"]:
        assert len(segment["points"]) == 5
        assert segment["psnr_db"] is not None
        rates = [point["bitrate_mbps"] for point in segment["points"]]
        assert rates == sorted(rates)
        assert max(rates) < 176 * 144 * 25 * 24 / 1e6, "a raw frame has 24 bits a pixel"


def test_the_codec_is_held_against_x265_on_the_same_segments(found):
    rates = [segment["bd_rate"] for segment in found["segments"]]
    assert all(rate is not None and rate > 0 for rate in rates), "version 0 is a plain codec"
    assert min(rates) <= found["bd_rate"] <= max(rates)
    assert found["encode_s"] > 0
    assert found["decode_s"] > 0


def test_an_hevc_file_beside_the_video_is_measured_too(found):
    for segment in found["segments"]:
        beside = segment["hevc_file"]
        assert 20 < beside["psnr_db"] < 60
        assert beside["codec_mbps"] is None or beside["codec_mbps"] > beside["bitrate_mbps"] / 100


def test_people_get_a_table_and_progress(video):
    done = audit(video, "--segments", 1, "--frames", 1)
    assert "segment 1 of 1: quality 90" in done.stderr
    assert "vs x265" in done.stdout
    assert "HEVC_HD_10Mbps.mp4" in done.stdout


def test_a_film_that_is_too_short_is_refused_before_anything_is_measured(video):
    done = audit(video, "--segments", 3, "--frames", 3)
    assert isinstance(done.exception, UserError)
    assert "has 8 frames, 3 segments of 3 need 9" in str(done.exception)


def test_more_frames_than_memory_holds_are_refused(video):
    with pytest.raises(UserError, match="--frames is at most 120"):
        check_length(examine(video), 1, 121)


def test_a_flat_segment_has_a_note_in_place_of_figures():
    window = Window("black.mp4", "train", 0, 8, 64, 64, 25.0, "")
    flat = [{"bitrate_mbps": 0.01 * n, "psnr_db": 60.0, "ms_ssim": 1.0} for n in range(1, 5)]
    own = {audits.ANCHOR: flat, audits.RANGE_ANCHOR: flat}
    segment = judged(Segment(0.0, [], [], 0.0, 0.0), window, own, flat, 1.0, None)
    assert segment.bd_rate is None
    assert "too little in the picture" in segment.note


def test_the_page_of_a_version_shows_its_audits(found, tmp_path: Path):
    versions = versions_of(1, tmp_path, "main", lambda line: None)
    shown = replace(versions[0], audits=({**found, "video": "<b>own</b>"},))
    write_page(tmp_path / "report.html", [shown, *versions[1:]])
    text = (tmp_path / "report.html").read_text("utf-8")
    assert f"{found['bd_rate']:+.1f} %" in text
    assert "<b>own</b>" not in text
