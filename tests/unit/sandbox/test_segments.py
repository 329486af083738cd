"""The segments of an audit: measured each by itself, apart from every contest and from the hash of the clip set."""

import json

import numpy as np
import pytest
from codec_evolution.contracts import Report
from codec_sandbox.clips import ClipError, ClipSet, frames_sha256, window_path
from codec_sandbox.curve import QUALITIES
from codec_sandbox.limits import Limits
from codec_sandbox.references import References
from codec_sandbox.report import build
from codec_sandbox.request import Request, RequestError
from codec_sandbox.segments import MOST_SEGMENTS, Segments
from codec_sandbox.stages import Benchmark

from tests.unit.sandbox.test_clips import make_clip
from tests.unit.sandbox.test_stages import RecordingSandbox, Rounding

SIDES = (16, 24)


def make_segments(directory, name, count, **fields):
    """Segments of noise of one video, entered in the manifest of an audit."""
    rng = np.random.default_rng(0)
    windows = []
    for index in range(count):
        frames = rng.integers(0, 256, (2, *SIDES, 3), dtype=np.uint8)
        path = window_path(directory / "audit", name, index)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, frames=frames)
        windows.append({"frames": 2, "sha256": frames_sha256(frames), "start_s": index * 1.5, "note": ""})
    entry = {"name": name, "video": f"{name}.mp4", "video_sha256": "f" * 64, "fps": 30.0, "licence": "own"}
    size = {"width": SIDES[1], "height": SIDES[0]}
    path = directory / "audit" / "manifest.json"
    path.write_text(json.dumps({"clips": [{**entry, **size, "windows": windows, **fields}]}))


@pytest.fixture
def directory(tmp_path):
    make_clip(tmp_path, "one", "train")
    make_clip(tmp_path, "two", "held_out")
    return tmp_path


def measure(directory, *, stages=("audit",), window="", windows_of=(), codec=None):
    sandbox = RecordingSandbox(codec or Rounding())
    benchmark = Benchmark(sandbox, ClipSet(directory), References(directory), cores=2)
    request = Request(
        "a", b"source", None, stages, "train", "s", Limits(), 100.0, window=window, windows_of=windows_of
    )
    report = build(benchmark, request, benchmark.run(request))
    return Report.model_validate(json.loads(json.dumps(report))), sandbox.notes


def test_an_image_without_segments_lists_none(directory):
    listed, _ = measure(directory, stages=("validate",), windows_of=("audit",))
    assert (listed.outcome, listed.windows) == ("passed", [])


def test_every_segment_is_listed_and_measured_by_an_invocation_of_its_own(directory):
    make_segments(directory, "film", 9)
    listed, _ = measure(directory, stages=("validate",), windows_of=("audit",))
    assert [each.window for each in listed.windows] == [f"film/{index}" for index in range(9)]
    assert {each.role for each in listed.windows} == {"audit"}
    found, _ = measure(directory, window="film/7")
    assert [(each.window, each.quality) for each in found.points] == [(7, quality) for quality in QUALITIES]
    assert {each.role for each in found.points} == {"audit"}, "the eighth segment is no sealed window"
    assert found.segments["film/7"] == {
        "video": "film.mp4",
        "video_sha256": "f" * 64,
        "start_s": 10.5,
        "note": "",
    }
    assert found.packets_sha256.keys() == found.frames_sha256.keys() == {"film/7"}


def test_one_coding_of_an_audit_is_repeated_whichever_segment_has_it(directory):
    make_segments(directory, "film", 3)
    codings = [measure(directory, window=f"film/{index}")[1].count("start encoder") for index in range(3)]
    assert sorted(codings) == [len(QUALITIES), len(QUALITIES), len(QUALITIES) + 1]


def test_segments_change_neither_the_clip_set_nor_a_contest(directory):
    before = ClipSet(directory)
    make_segments(directory, "film", 3)
    after = ClipSet(directory)
    assert after.digest == before.digest
    for split in ("train", "held_out"):
        assert after.choose(split, "s") == before.choose(split, "s")
    assert after.sealed() == before.sealed()
    contest, _ = measure(directory, stages=("measure", "sealed"))
    assert {each.clip for each in contest.points} == {"one", "two"}
    assert contest.segments == {}


def test_a_segment_that_there_is_not_is_refused(directory):
    make_segments(directory, "film", 1)
    with pytest.raises(RequestError, match="film/0"):
        measure(directory, window="film/1")


def test_a_segment_with_other_frames_than_the_manifest_says_is_refused(directory):
    make_segments(directory, "film", 1)
    path = window_path(directory / "audit", "film", 0)
    np.savez_compressed(path, frames=np.zeros((2, *SIDES, 3), np.uint8))
    with pytest.raises(ClipError, match="film/0"):
        measure(directory, window="film/0")


@pytest.mark.parametrize("damage", ["{}", '{"clips": [{}]}', "no json"])
def test_a_damaged_manifest_is_named(directory, damage):
    make_segments(directory, "film", 1)
    (directory / "audit" / "manifest.json").write_text(damage)
    with pytest.raises(ClipError, match=r"audit/manifest\.json"):
        Segments(directory)


def test_more_segments_than_the_state_machine_carries_are_refused(directory):
    make_segments(directory, "film", 1)
    path = directory / "audit" / "manifest.json"
    (entry,) = json.loads(path.read_text())["clips"]
    path.write_text(json.dumps({"clips": [{**entry, "windows": entry["windows"] * (MOST_SEGMENTS + 1)}]}))
    with pytest.raises(ClipError, match="25 segments; 24 are audited at most"):
        Segments(directory)
