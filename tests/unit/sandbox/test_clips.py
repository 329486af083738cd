"""The clip set: its windows, its hash, and which windows a contest takes."""

import json

import numpy as np
import pytest
from codec_sandbox.clips import (
    CLIP_DIRECTORY,
    SEALED_WINDOW,
    ClipError,
    ClipSet,
    frames_sha256,
    read_manifest,
    window_path,
)
from codec_sandbox.references import References


def make_clip(directory, name, role, *, size=(16, 24), manifest="manifest.json", seed=0):
    """Eight windows of noise for one clip, entered in a manifest."""
    rng = np.random.default_rng([seed, *name.encode()])
    windows = [rng.integers(0, 256, (2, *size, 3), dtype=np.uint8) for _ in range(8)]
    enter_clip(directory, name, role, windows, manifest)


def enter_clip(directory, name, role, windows, manifest="manifest.json"):
    """Eight windows, each (T, H, W, 3), of one clip, entered in a manifest."""
    rows = []
    for index, frames in enumerate(windows):
        path = window_path(directory, name, index)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            np.savez_compressed(stream, frames=frames)
        length, height, width, _ = frames.shape
        rows.append({"frames": length, "width": width, "height": height, "sha256": frames_sha256(frames)})
    path = directory / manifest
    entries = json.loads(path.read_text())["clips"] if path.exists() else []
    entry = {"name": name, "role": role, "fps": 25.0, "content": "noise", "licence": "CC0", "pictures": True}
    path.write_text(json.dumps({"clips": [*entries, {**entry, "windows": rows}]}))


@pytest.fixture
def directory(tmp_path):
    make_clip(tmp_path, "one", "train")
    make_clip(tmp_path, "two", "train", size=(8, 8))
    make_clip(tmp_path, "three", "held_out")
    make_clip(tmp_path, "four", "held_out")
    return tmp_path


def keys(windows):
    return [window.key for window in windows]


def test_the_same_seed_picks_the_same_windows(directory):
    for split in ("train", "held_out"):
        assert keys(ClipSet(directory).choose(split, "s")) == keys(ClipSet(directory).choose(split, "s"))


def test_other_seeds_pick_other_windows_and_in_time_all_of_them(directory):
    clips = ClipSet(directory)
    for split in ("train", "held_out"):
        seen = {key for seed in range(60) for key in keys(clips.choose(split, str(seed)))}
        names = [clip.name for clip in clips.clips if clip.role == split]
        assert seen == {f"{name}/{index}" for name in names for index in range(SEALED_WINDOW)}


@pytest.mark.parametrize(("split", "names"), [("train", {"one", "two"}), ("held_out", {"three", "four"})])
def test_a_contest_takes_two_windows_of_each_clip_and_never_a_sealed_one(directory, split, names):
    for seed in range(40):
        chosen = ClipSet(directory).choose(split, str(seed))
        assert len({window.key for window in chosen}) == 4
        assert {window.clip for window in chosen} == names
        assert all(window.index != SEALED_WINDOW for window in chosen)


def test_no_window_is_in_every_contest(directory):
    chosen = [set(keys(ClipSet(directory).choose("train", str(seed)))) for seed in range(40)]
    assert set.intersection(*chosen) == set()


def test_the_sealed_windows_are_one_of_each_clip_the_shipped_clips_first(directory):
    assert keys(ClipSet(directory).sealed()) == ["one/7", "two/7", "three/7", "four/7"]
    for number in range(4):
        make_clip(directory, f"mine{number}", "train", manifest="windows/added.json")
    assert keys(ClipSet(directory).sealed())[4:] == ["mine0/7", "mine1/7"]


def test_the_shipped_sealed_windows_share_no_frame_with_any_other():
    """Frames that a contest shows would not be sealed."""
    for entry in read_manifest(CLIP_DIRECTORY / "manifest.json"):
        sealed = entry["windows"][SEALED_WINDOW]
        for other in entry["windows"][:SEALED_WINDOW]:
            assert (
                other["start"] + other["frames"] <= sealed["start"]
                or sealed["start"] + sealed["frames"] <= other["start"]
            ), entry["name"]


def test_many_clips_do_not_make_a_contest_longer(directory):
    for number in range(5):
        make_clip(directory, f"more{number}", "held_out")
        make_clip(directory, f"other{number}", "train")
    clips = ClipSet(directory)
    held_out = clips.choose("held_out", "s")
    train = clips.choose("train", "s")
    assert len(held_out) == 6
    assert len({window.clip for window in held_out}) == 6
    assert len(train) == 6
    assert len({window.clip for window in train}) == 6


def test_the_repeated_window_is_the_smallest_training_window_of_the_contest(directory):
    clips = ClipSet(directory)
    for seed in map(str, range(20)):
        repeated = clips.control(seed)
        assert repeated.clip == "two"
        assert repeated.key in keys(clips.choose("train", seed))


def test_frames_come_back_read_only_and_as_stored(directory):
    clips = ClipSet(directory)
    window = clips.clip("one").windows[3]
    frames = clips.load(window)
    assert frames.shape == (2, 16, 24, 3)
    assert frames_sha256(frames) == window.sha256
    with pytest.raises(ValueError, match="read-only"):
        frames[0, 0, 0, 0] = 1


def test_the_hash_of_the_set_changes_with_a_frame_a_role_and_an_added_clip(directory):
    before = ClipSet(directory).digest
    make_clip(directory, "mine", "train", manifest="windows/added.json")
    after = ClipSet(directory).digest
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["clips"][0]["role"] = "held_out"
    (directory / "manifest.json").write_text(json.dumps(manifest))
    assert len({before, after, ClipSet(directory).digest}) == 3


def test_the_hash_of_the_set_does_not_depend_on_the_order_of_clips(directory):
    before = ClipSet(directory).digest
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["clips"].reverse()
    (directory / "manifest.json").write_text(json.dumps(manifest))
    assert ClipSet(directory).digest == before


def test_a_window_that_was_not_extracted_says_so(directory):
    clips = ClipSet(directory)
    window_path(directory, "one", 2).unlink()
    with pytest.raises(ClipError, match="one/2 has not been extracted"):
        clips.load(clips.clip("one").windows[2])


@pytest.mark.parametrize("damage", [b"", b"not a zip at all", "cut"])
def test_a_damaged_window_says_so(directory, damage):
    clips = ClipSet(directory)
    path = window_path(directory, "one", 2)
    path.write_bytes(path.read_bytes()[:900] if damage == "cut" else damage)
    with pytest.raises(ClipError, match="one/2 is damaged"):
        clips.load(clips.clip("one").windows[2])


def test_a_window_with_other_frames_is_refused(directory):
    clips = ClipSet(directory)
    with window_path(directory, "one", 2).open("wb") as stream:
        np.savez_compressed(stream, frames=np.zeros((2, 16, 24, 3), np.uint8))
    with pytest.raises(ClipError, match="other frames"):
        clips.load(clips.clip("one").windows[2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"role": "test"}, "role must be one of train, held_out"),
        ({"windows": []}, "must have 8 windows"),
        ({"licence": None}, "lacks licence"),
    ],
)
def test_a_wrong_manifest_names_the_clip_and_the_field(directory, change, message):
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["clips"][0].update(change)
    if None in change.values():
        del manifest["clips"][0][next(iter(change))]
    (directory / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ClipError, match=message):
        read_manifest(directory / "manifest.json")


def test_a_manifest_may_name_the_size_of_the_smoke_frames(directory):
    assert ClipSet(directory).smoke_size == (1080, 1920)
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "smoke_size": [96, 128]}))
    assert ClipSet(directory).smoke_size == (96, 128)
    for wrong in ([96], [96, 128, 3], [0, 128], [96, 9999], [96, "128"], [96, 128.0], 96, {}):
        path.write_text(json.dumps({**manifest, "smoke_size": wrong}))
        with pytest.raises(ClipError, match="smoke_size must be a list of height and width, each 16 to 4320"):
            ClipSet(directory)


def test_an_unknown_split_and_an_unknown_clip_are_refused(directory):
    with pytest.raises(ClipError, match="split"):
        ClipSet(directory).choose("all", "s")
    with pytest.raises(ClipError, match="no clip is named 'five'; there are one, two"):
        ClipSet(directory).clip("five")


def stored_references(directory, window, **more):
    rows = [{"bitrate_mbps": 1.0, "psnr_db": 36.0, "ms_ssim": 0.98, "parameter": 28, "bytes": 10}]
    entry = {"sha256": window.sha256, "curves": {"x265_zerolatency": {"points": rows}}, **more}
    (directory / "references.json").write_text(json.dumps({"windows": {window.key: entry}}))


def test_reference_curves_are_given_out_for_the_frames_they_were_measured_on(directory):
    window = ClipSet(directory).clip("one").windows[1]
    stored_references(directory, window)
    (anchor,) = References(directory).anchors([window])
    assert (anchor["clip"], anchor["window"], anchor["codec"]) == ("one", 1, "x265_zerolatency")
    assert anchor["points"] == [{"bitrate_mbps": 1.0, "psnr_db": 36.0, "ms_ssim": 0.98}]


def test_reference_curves_of_other_frames_are_not_given_out(directory):
    window = ClipSet(directory).clip("one").windows[1]
    stored_references(directory, window, sha256="0" * 64)
    assert References(directory).anchors([window]) == []
    assert References(directory).codecs(window) == []
    assert References(directory).range_db(window) == (32.0, 41.0)


def test_a_window_is_measured_over_the_range_that_its_anchor_covers(directory):
    window = ClipSet(directory).clip("one").windows[1]
    stored = {"low_db": 28.5, "high_db": 38.25, "reference_db": 31.0, "reference_mbps": 10.0}
    stored_references(directory, window, quality_range=stored)
    assert References(directory).range_db(window) == (28.5, 38.25)
    assert References(directory).quality_range(window) == stored
