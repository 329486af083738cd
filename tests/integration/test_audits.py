"""A full-size audit: real rates of a person's own video beside x265; what cannot be audited is said."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from codec_evolution.contracts import Report
from codec_evolution.judging.audit import audits_of
from codec_sandbox.clips import ClipSet, Window
from codec_sandbox.limits import Limits
from codec_sandbox.references import References
from codec_sandbox.report import build
from codec_sandbox.request import Request
from codec_sandbox.stages import Benchmark
from codec_sandbox.supervisor import Supervisor
from typer.testing import CliRunner, Result

from infra.cli import app
from infra.errors import UserError
from infra.workbench import audit as audits
from infra.workbench import clips_audit
from infra.workbench.audit import Segment, check_length, judged
from infra.workbench.clips_audit import add_audit_clip, list_audit_clips, remove_audit_clip
from infra.workbench.film import examine
from infra.workbench.lineage_page import versions_of, write_page
from tests.integration.test_films import X264, make

VERSION_0 = "sandbox_container/codecs/version_0.py"
SIZE, FRAMES, SEGMENTS = "176x144", 3, 2
pytestmark = pytest.mark.usefixtures("forked_zygotes")


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


@pytest.fixture(scope="module")
def stored(video, tmp_path_factory) -> Path:
    """A clip directory with two segments of the video."""
    directory = tmp_path_factory.mktemp("clips")
    (directory / "manifest.json").write_text('{"clips": []}')
    name = add_audit_clip(video, segments=SEGMENTS, frames=FRAMES, licence="own", directory=directory)
    assert name == "own"
    return directory


def test_a_stored_segment_gives_the_figures_that_the_video_itself_gives(stored, found):
    with Supervisor() as supervisor:
        benchmark = Benchmark(supervisor, ClipSet(stored), References(stored))
        request = Request(
            "a", Path(VERSION_0).read_bytes(), None, ("audit",), "train", "s", Limits(), 600.0, window="own/1"
        )
        report = Report.model_validate(build(benchmark, request, benchmark.run(request)))
    ((segment,),) = [audit.segments for audit in audits_of("v", {"own/1": report})]
    expected = found["segments"][1]
    assert segment.points == expected["points"]
    rates = sorted(point["bitrate_mbps"] for point in expected["anchor"])
    assert [point["bitrate_mbps"] for point in segment.anchor] == rates
    for name in ("start_s", "bd_rate", "bitrate_mbps", "ms_ssim", "psnr_db", "hevc_file"):
        assert getattr(segment, name) == pytest.approx(expected[name], abs=2e-3), name
    assert segment.encode_s > 0


def test_stored_segments_are_listed_and_removed_like_clips(stored, video, tmp_path):
    directory = tmp_path / "clips"
    shutil.copytree(stored, directory)
    (listed,) = list_audit_clips(directory)
    assert (listed["name"], listed["role"], listed["windows"], listed["licence"]) == (
        "own",
        "audit",
        2,
        "own",
    )
    with pytest.raises(UserError, match="'own' is there already"):
        add_audit_clip(video, directory=directory)
    assert remove_audit_clip("own", directory)
    assert list_audit_clips(directory) == []
    assert not remove_audit_clip("own", directory)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"segments": 3, "frames": 3}, "has 8 frames, 3 segments of 3 need 9"),
        ({"frames": 17}, "--frames is at most 16"),
        ({"segments": 25, "frames": 1}, "24 are audited at most"),
        ({"name": "My Film"}, "no name of a clip"),
    ],
)
def test_what_no_audit_can_measure_is_refused_and_leaves_nothing(video, tmp_path, options, says):
    (tmp_path / "manifest.json").write_text('{"clips": []}')
    with pytest.raises(UserError, match=says):
        add_audit_clip(video, directory=tmp_path, **options)
    assert list_audit_clips(tmp_path) == []
    assert not list(tmp_path.rglob("*.npz"))


def test_segments_larger_than_the_image_carries_are_refused(video, tmp_path, monkeypatch):
    (tmp_path / "manifest.json").write_text('{"clips": []}')
    monkeypatch.setattr(clips_audit, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match="the image carries"):
        add_audit_clip(video, segments=1, frames=1, directory=tmp_path)
    assert list_audit_clips(tmp_path) == []
