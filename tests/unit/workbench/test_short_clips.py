"""The short clips of the tests follow the shipped ones, and a variable puts a clip set in place of another."""

import json
import os
import subprocess
import sys

import pytest
from codec_evolution.contracts import QualityRange
from codec_sandbox.clip_directory import CLIP_DIRECTORY, CLIPS_VARIABLE
from codec_sandbox.clips import ClipSet
from codec_sandbox.references import References

from infra.workbench.references import MINIMUM_SPAN_DB
from tests.support.short_clips import SHORT_CLIPS, shortened


def test_they_are_the_middles_of_windows_of_three_shipped_clips():
    shipped, short = (
        json.loads((each / "manifest.json").read_text()) for each in (CLIP_DIRECTORY, SHORT_CLIPS)
    )
    for clip in short["clips"]:
        for window in clip["windows"]:
            assert len(window.pop("sha256")) == 64
    assert short == shortened(shipped)


def test_every_window_can_be_judged_and_they_have_a_hundredth_of_the_pixels():
    references, short = References(SHORT_CLIPS), ClipSet(SHORT_CLIPS)
    windows = [window for clip in short.clips for window in clip.windows]
    for window in windows:
        within = QualityRange.model_validate(references.quality_range(window))
        assert within.high_db - within.low_db > MINIMUM_SPAN_DB
    shipped = [window for clip in ClipSet(CLIP_DIRECTORY).clips for window in clip.windows]
    pixels = [sum(each.frames * each.width * each.height for each in of) for of in (windows, shipped)]
    assert pixels[0] < pixels[1] / 100
    assert short.digest != ClipSet(CLIP_DIRECTORY).digest


@pytest.mark.parametrize(
    ("value", "expected"), [("", str(CLIP_DIRECTORY)), ("some/where", "{cwd}/some/where")]
)
def test_a_variable_names_another_clip_set(tmp_path, value, expected):
    program = "from codec_sandbox.clips import CLIP_DIRECTORY; print(CLIP_DIRECTORY)"
    shell = {**os.environ, CLIPS_VARIABLE: value}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=shell,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == expected.format(cwd=tmp_path)
