"""Setting up clips: the default ones out of their packages, and an operator's own, good and bad. Real video files."""

import json
import shutil
import subprocess
from dataclasses import replace

import boto3
import numpy as np
import pytest
from codec_evolution.contracts import QualityRange
from codec_evolution.judging.rate_distortion import Point, bd_rate, rate_at
from codec_sandbox.clips import CLIP_DIRECTORY, ClipSet, window_path
from codec_sandbox.references import References

from infra.errors import UserError
from infra.workbench.clips_add import add_clips, list_clips, remove_clip
from infra.workbench.clips_setup import ensure_clips, fetch_clips
from infra.workbench.references import ANCHOR, ENCODERS, RANGE_ANCHOR, Encoder, rebuild_references
from infra.workbench.video import decode_planes, ffmpeg, planes_to_rgb, probe, rgb_to_planes, vmaf
from tests.support.aws import aws_in_process

QUICK = (
    Encoder(
        "x265_zerolatency",
        (
            "-c:v",
            "libx265",
            "-preset",
            "ultrafast",
            "-crf",
            "{parameter}",
            "-x265-params",
            "log-level=error:info=0",
        ),
        (24, 34),
        "hevc",
        r"HEVC encoder version (\S+)",
    ),
)


def video(path, *, size="96x80", frames=30, options=(), source="testsrc2"):
    """A short test video."""
    command = [ffmpeg(), "-loglevel", "error", "-y", "-f", "lavfi", "-i", f"{source}=size={size}:rate=25"]
    subprocess.run([*command, "-frames:v", str(frames), *options, str(path)], check=True, timeout=60)
    return path


@pytest.fixture(scope="session")
def fetched():
    """The default clips, fetched once for all tests."""
    ensure_clips()
    return CLIP_DIRECTORY


@pytest.fixture
def directory(fetched, tmp_path):
    """A clip directory with the real manifest and windows, free to be changed."""
    target = tmp_path / "clips"
    target.mkdir()
    shutil.copy(fetched / "manifest.json", target)
    shutil.copy(fetched / "references.json", target)
    count_as_measured(target, QUICK)
    (target / "downloads").symlink_to(fetched / "downloads")
    (target / "windows").mkdir()
    for clip in ClipSet(fetched).clips:
        (target / "windows" / clip.name).mkdir()
        for window in clip.windows:
            source = window_path(fetched, clip.name, window.index)
            window_path(target, clip.name, window.index).hardlink_to(source)
    return target


def count_as_measured(directory, encoders) -> None:
    """Let the stored curves of the shipped windows count as those of other encoders, which then measure none again."""
    path = directory / "references.json"
    stored = json.loads(path.read_text())
    for entry in stored["windows"].values():
        for encoder in encoders:
            entry["curves"][encoder.name]["command"] = encoder.command
    path.write_text(json.dumps(stored))


def test_a_set_up_that_is_complete_does_nothing(directory):
    lines = []
    fetch_clips(directory, lines.append)
    assert lines == ["bunny: ready", "carphone: ready", "bikes: ready", "city: ready"]


def test_a_set_up_makes_missing_and_damaged_windows_again_and_only_those(directory):
    window_path(directory, "carphone", 2).unlink()
    damaged = window_path(directory, "carphone", 5)
    damaged.unlink()
    damaged.write_bytes(b"cut short")
    lines = []
    clips = fetch_clips(directory, lines.append)
    assert "carphone: extracting 2 windows" in lines
    assert clips.digest == ClipSet(CLIP_DIRECTORY).digest
    for window in clips.clip("carphone").windows:
        assert clips.load(window).shape == (32, 144, 176, 3)


def test_a_package_that_holds_another_file_is_refused(directory, monkeypatch):
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["clips"][1]["source"]["member_sha256"] = "0" * 64
    (directory / "manifest.json").write_text(json.dumps(manifest))
    window_path(directory, "carphone", 0).unlink()
    with pytest.raises(UserError, match="is not the file that the manifest names"):
        fetch_clips(directory)


def test_frames_that_decode_differently_are_refused(directory):
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["clips"][1]["windows"][3]["start"] += 1
    (directory / "manifest.json").write_text(json.dumps(manifest))
    window_path(directory, "carphone", 3).unlink()
    with pytest.raises(UserError, match="carphone, window 3: decoded frames differ"):
        fetch_clips(directory)


def add(directory, path, role="train", **more):
    return add_clips(str(path), role, directory=directory, encoders=QUICK, **more)


def test_an_added_clip_has_eight_windows_references_and_changes_the_set(directory, tmp_path):
    before = ClipSet(directory)
    assert add(directory, video(tmp_path / "My Clip.mp4"), licence="CC0", pictures=True) == ["my-clip"]
    clips = ClipSet(directory)
    clip = clips.clip("my-clip")
    assert clips.digest != before.digest
    assert (clip.role, clip.licence, clip.pictures) == ("train", "CC0", True)
    for window in clip.windows:
        assert clips.load(window).shape == (24, 80, 96, 3)
        assert len(References(directory).curve(window, "x265_zerolatency")) == 2
    remove_clip("my-clip", directory)
    assert ClipSet(directory).digest == before.digest


JUDGES = tuple(
    replace(
        encoder,
        options=tuple("ultrafast" if option == "medium" else option for option in encoder.options),
        parameters=parameters,
    )
    for encoder in ENCODERS
    if (parameters := {ANCHOR: (16, 24, 32, 40), RANGE_ANCHOR: (22, 37)}.get(encoder.name))
)
"""The anchor, quicker."""


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("color=black", "spans 0.0 dB"),
        ("color=gray", "spans 0.0 dB"),
        ("gradients=speed=0", "dB are needed|Mbps"),
    ],
    ids=["black", "gray", "a still gradient"],
)
def test_a_clip_that_leaves_nothing_to_judge_by_is_refused_with_the_figure(directory, tmp_path, source, why):
    path = tmp_path / "flat.mp4"
    command = [ffmpeg(), "-loglevel", "error", "-y", "-f", "lavfi", "-i", f"{source}:size=1920x1080:rate=25"]
    if source.startswith("color"):
        command[-1] = f"{source}:size=320x192:rate=25"
    subprocess.run([*command, "-frames:v", "30", str(path)], check=True, timeout=120)
    before = ClipSet(directory).digest
    with pytest.raises(UserError, match=f"nothing was added: clip flat, window [0-7]: .*({why})"):
        add_clips(str(path), "train", directory=directory, encoders=JUDGES)
    assert ClipSet(directory).digest == before
    assert not (directory / "windows" / "flat").exists()


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ("120x160", ()),
        ("160x96", ("-pix_fmt", "yuv420p10le")),
        ("160x96", ("-vf", "setpts=N*(1+mod(N\\,3))/25/TB", "-fps_mode", "vfr")),
    ],
    ids=["portrait", "10 bit", "variable rate"],
)
def test_every_clip_that_is_added_can_be_judged(directory, tmp_path, size, options):
    path = video(tmp_path / "odd.mkv", size=size, options=options)
    count_as_measured(directory, JUDGES)
    add_clips(str(path), "train", directory=directory, encoders=JUDGES)
    references = References(directory)
    for window in ClipSet(directory).clip("odd").windows:
        within = QualityRange.model_validate(references.quality_range(window))
        assert within.low_db + 4 <= within.high_db
        assert within.low_db <= within.reference_db <= within.high_db
        points = references.curve(window, ANCHOR)
        curve = [Point(row["bitrate_mbps"], row["psnr_db"], row["ms_ssim"]) for row in points]
        assert bd_rate(curve, curve, "psnr_db", within) == pytest.approx(0)
        assert rate_at(curve, within.reference_db) == pytest.approx(within.reference_mbps, rel=0.01)


def test_the_seeds_own_files_become_one_clip_with_its_ready_made_reference(directory, tmp_path):
    folder = tmp_path / "hd"
    folder.mkdir()
    video(folder / "SOURCE_HD_RAW.mp4", size="1920x1080", options=("-c:v", "libx264", "-qp", "0"))
    video(folder / "HEVC_HD_10Mbps.mp4", size="1920x1080", options=("-c:v", "libx264", "-crf", "30"))
    assert add(directory, folder) == ["source-hd-raw"]
    entry = json.loads((directory / "windows" / "added.json").read_text())["clips"][0]
    listed = {clip["name"]: clip for clip in list_clips(directory)}
    made = listed["source-hd-raw"]["ready_made"]
    assert (made["file"], made["frames"]) == ("HEVC_HD_10Mbps.mp4", 30)
    assert 25 < made["psnr_db"] < 50
    size = (folder / "HEVC_HD_10Mbps.mp4").stat().st_size
    assert made["bitrate_mbps"] == pytest.approx(size * 8 / 30 * 30 / 1e6, abs=1e-3)
    others = [clip for name, clip in listed.items() if name != "source-hd-raw"]
    assert listed["source-hd-raw"]["added"]
    assert not any(clip["added"] or clip["ready_made"] for clip in others)
    assert {(w["width"], w["height"]) for w in entry["windows"]} == {(320, 192)}


@pytest.mark.parametrize(
    ("name", "options", "size", "note"),
    [
        ("odd.mkv", ("-c:v", "ffv1", "-pix_fmt", "yuv444p"), "97x81", "odd side"),
        ("deep.mkv", ("-c:v", "ffv1", "-pix_fmt", "yuv420p10le"), "96x80", "reduced to 8 bit"),
        ("alpha.mkv", ("-c:v", "ffv1", "-pix_fmt", "yuva420p"), "96x80", "alpha channel is left out"),
    ],
)
def test_unusual_clips_are_used_and_what_is_left_out_is_said(directory, tmp_path, name, options, size, note):
    lines = []
    path = video(tmp_path / name, size=size, options=options, source="testsrc")
    (added,) = add(directory, path, progress=lines.append)
    assert any(note in line for line in lines)
    assert ClipSet(directory).load(ClipSet(directory).clip(added).windows[7]).shape == (24, 80, 96, 3)


def test_a_clip_of_variable_rate_keeps_each_coded_frame_once(directory, tmp_path):
    slow = ("-vf", "setpts=N*N/25/TB/20", "-fps_mode", "vfr", "-c:v", "libx264", "-qp", "0")
    path = video(tmp_path / "vfr.mp4", frames=28, options=slow)
    info = probe(path)
    assert sum(1 for _ in decode_planes(path, info.width, info.height)) == 28
    lines = []
    assert info.variable_rate
    assert add(directory, path, progress=lines.append) == ["vfr"]
    assert any("frame rate varies" in line for line in lines)
    assert not probe(video(tmp_path / "even.mkv", frames=28)).variable_rate


def untouched(directory, digest):
    return (
        ClipSet(directory).digest == digest
        and not (directory / "windows" / "added.json").exists()
        and {p.name for p in (directory / "windows").iterdir()} == {"bunny", "carphone", "bikes", "city"}
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: video(p / "one.mp4", frames=1), r"one.mp4: has 1 frame, a window needs 24"),
        (lambda p: video(p / "tiny.mp4", size="32x32"), r"tiny.mp4: 32x32 is too small, 64 pixels"),
        (lambda p: p / "absent.mp4", r"absent.mp4: no video there"),
    ],
    ids=["one frame", "too small", "absent"],
)
def test_a_clip_that_cannot_be_used_is_refused_and_nothing_is_stored(directory, tmp_path, make, message):
    digest = ClipSet(directory).digest
    with pytest.raises(UserError, match=message):
        add(directory, make(tmp_path))
    assert untouched(directory, digest)


def test_a_clip_with_a_corrupt_tail_is_refused_with_the_frame(directory, tmp_path):
    digest = ClipSet(directory).digest
    path = video(tmp_path / "cut.mkv", frames=60, options=("-c:v", "libx264", "-g", "10", "-bf", "0"))
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4 :] = bytes(len(data) - len(data) * 3 // 4)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"cut.mkv: damaged after frame \d+"):
        add(directory, path)
    assert untouched(directory, digest)


def test_a_text_file_that_calls_itself_a_video_is_refused(directory, tmp_path):
    (tmp_path / "fake.mp4").write_text("not a video")
    with pytest.raises(UserError, match=r"fake\.mp4: no readable video stream"):
        add(directory, tmp_path / "fake.mp4")


def test_one_bad_clip_of_a_directory_stores_none_of_it(directory, tmp_path):
    digest = ClipSet(directory).digest
    folder = tmp_path / "mixed"
    folder.mkdir()
    video(folder / "a-good.mp4")
    video(folder / "b-short.mp4", frames=3)
    with pytest.raises(UserError, match=r"b-short\.mp4: has 3 frames"):
        add(directory, folder)
    assert untouched(directory, digest)


def test_a_content_is_not_added_twice_under_two_names_or_in_two_roles(directory, tmp_path):
    add(directory, video(tmp_path / "first.mkv"), "train")
    digest = ClipSet(directory).digest
    shutil.copy(tmp_path / "first.mkv", tmp_path / "second.mkv")
    with pytest.raises(UserError, match="clip 'second' has frames of clip 'first'"):
        add(directory, tmp_path / "second.mkv", "held_out")
    assert ClipSet(directory).digest == digest
    assert not (directory / "windows" / "second").exists()


def test_a_second_clip_of_the_same_name_and_a_wrong_role_are_refused(directory, tmp_path):
    path = video(tmp_path / "bikes.mp4")
    with pytest.raises(UserError, match="'bikes' is there already"):
        add(directory, path)
    with pytest.raises(UserError, match="role must be one of"):
        add(directory, path, role="both")


def test_references_are_not_measured_again_while_frames_and_command_are_the_same(directory):
    shutil.copy(CLIP_DIRECTORY / "references.json", directory)
    before = (directory / "references.json").read_bytes()
    assert rebuild_references(directory) == 0
    assert (directory / "references.json").read_bytes() == before


def test_references_of_a_window_whose_frames_changed_are_measured_again(directory):
    shutil.copy(CLIP_DIRECTORY / "references.json", directory)
    stored = json.loads((directory / "references.json").read_text())
    stored["windows"]["carphone/1"]["sha256"] = "0" * 64
    (directory / "references.json").write_text(json.dumps(stored))
    kept = tuple(encoder for encoder in ENCODERS if encoder.name == "x265_zerolatency")
    assert rebuild_references(directory, encoders=kept) == 1
    window = ClipSet(directory).clip("carphone").windows[1]
    fresh = References(directory).curve(window, "x265_zerolatency")
    shipped = References(CLIP_DIRECTORY).curve(window, "x265_zerolatency")
    assert [point["bytes"] for point in fresh] == [point["bytes"] for point in shipped]
    # Float32 sums come out differently in the last digits on another processor.
    assert fresh == [pytest.approx(point, rel=1e-5) for point in shipped]


def test_colour_survives_the_way_to_420_and_back():
    y, x = np.mgrid[:64, :96]
    frame = np.stack([x * 2, y * 3, 255 - x - y], axis=-1).astype(np.uint8)
    error = planes_to_rgb(rgb_to_planes(frame)).astype(int) - frame
    assert np.abs(error).mean() < 2


def test_vmaf_of_a_sequence_with_itself_is_high_and_falls_with_blur(fetched):
    clips = ClipSet(fetched)
    frames = clips.load(clips.clip("carphone").windows[0])[:4]
    blurred = [np.repeat(np.repeat(f[::4, ::4], 4, axis=0), 4, axis=1) for f in frames]
    assert vmaf(frames, list(frames), 30.0) > 95
    assert vmaf(frames, blurred, 30.0) < 60


def test_clips_are_fetched_from_a_prefix_of_a_bucket(directory, tmp_path):
    path = video(tmp_path / "from-the-bucket.mp4")
    with aws_in_process("eu-central-1"):
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="clips", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        s3.upload_file(str(path), "clips", "hd/from-the-bucket.mp4")
        s3.put_object(Bucket="clips", Key="hd/notes.txt", Body=b"no video")
        s3.put_object(Bucket="clips", Key="other/broken.mp4", Body=b"not asked for")
        assert add(directory, "s3://clips/hd/") == ["from-the-bucket"]
        with pytest.raises(UserError, match="no video there"):
            add(directory, "s3://clips/empty/")
        with pytest.raises(UserError, match="NoSuchBucket"):
            add(directory, "s3://absent/hd/")
