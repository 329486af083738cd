"""The picture of a training window that a sealed stage takes for people."""

import base64

import cv2
import numpy as np
from codec_sandbox.picture import PICTURE_SIZE, crop, jpeg

from tests.unit.sandbox.test_stages import Rounding, clips, measure  # noqa: F401


def test_the_crop_is_the_centre_of_the_middle_frame():
    frames = np.zeros((5, 200, 301, 3), np.uint8)
    frames[2, 52:148, 70:230] = 255
    taken = crop(frames)
    assert (taken.shape[1], taken.shape[0]) == PICTURE_SIZE
    assert taken.min() == 255


def test_a_frame_smaller_than_the_crop_is_shown_whole():
    assert crop(np.zeros((2, 80, 96, 3), np.uint8)).shape == (80, 96, 3)


def test_the_jpeg_shows_the_frame_in_its_own_colours():
    frame = np.full((96, 160, 3), (200, 90, 30), np.uint8)
    data = np.frombuffer(base64.b64decode(jpeg(frame)), np.uint8)
    shown = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.abs(shown.astype(int) - frame).max() <= 3


def test_the_sealed_stage_shows_the_first_training_clip_at_the_rate_nearest_to_two_mbps(clips):  # noqa: F811
    report, _ = measure(clips, Rounding(), stages=("sealed",))
    picture = report["picture"]
    assert (picture["clip"], picture["window"]) == ("one", 0)
    assert picture["window_sha256"] == clips.clip("one").windows[0].sha256
    rates = {row["quality"]: row["bitrate_mbps"] for row in report["points"] if row["clip"] == "one"}
    assert picture["quality"] == min(rates, key=rates.__getitem__), "all of them are above two Mbps"
    assert all(row["window"] == 7 for row in report["points"]), "it is no point of the contest"


def test_no_other_stage_and_no_failed_candidate_has_a_picture(clips):  # noqa: F811
    assert "picture" not in measure(clips, Rounding(), stages=("measure",))[0]
    assert "picture" not in measure(clips, Rounding(cpu_s=60.0), stages=("sealed",))[0]
