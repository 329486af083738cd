"""The check of round trips finds what it is there for."""

import numpy as np
import pytest

from tests.bench import bench_round_trips as round_trips

CODEC = """
import os
import numpy as np
class Sequence:
    planes = (np.zeros(1),)
SENT, RECEIVED = Sequence(), Sequence()
def compress_video_frame(frame, index, config):
    return bytes([{packet}])
def decompress_video_frame(data, index, config):
    RECEIVED.planes = (np.full(1, {plane}),)
    return np.full((config["height"], config["width"], 3), {frame}, np.uint8)
"""
HERE = 'hash("a") % 251'
"""Another number in each of the two processes."""


@pytest.fixture(scope="module")
def pools():
    found = [round_trips.start(each) for each in round_trips.ENVIRONMENTS]
    yield found
    for each in found:
        each.shutdown()


@pytest.mark.parametrize(
    ("parts", "different"),
    [
        ({}, []),
        ({"packet": HERE}, ["packets"]),
        ({"frame": HERE}, ["decoded frames"]),
        ({"plane": "1"}, ["planes"]),
    ],
)
def test_what_depends_on_the_process_is_found(pools, parts, different):
    source = CODEC.format(**{"packet": "0", "frame": "0", "plane": "0", **parts})
    assert round_trips.check(source, 0, pools) == different


def test_the_drawn_videos_have_all_contents_odd_and_single_sizes_and_single_frames():
    drawn = [round_trips.draw_video(number) for number in range(round_trips.VIDEOS)]
    shapes = np.array([frames.shape for frames, _, _ in drawn])
    assert {content for *_, content in drawn} == set(round_trips.CONTENTS)
    assert shapes[:, 0].min() == 1 and shapes[:, 1:3].min() <= 2 and (shapes[:, 1:3] % 2 == 1).any()
