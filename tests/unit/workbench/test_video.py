"""What is said when ffmpeg hangs, or lacks what was asked of it."""

from pathlib import Path

import numpy as np
import pytest

from infra.errors import UserError
from infra.workbench import benchmark, video
from infra.workbench.gallery import Gallery


@pytest.fixture
def ffmpeg(monkeypatch, tmp_path: Path):
    """Put a shell script in ffmpeg's place."""

    def put(script: str) -> None:
        program = tmp_path / "ffmpeg"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(video, "ffmpeg", lambda: str(program))

    return put


def test_an_ffmpeg_that_hangs_is_a_video_error_with_the_limit(ffmpeg):
    ffmpeg("exec sleep 60")
    with pytest.raises(video.VideoError, match=r"ffmpeg took more than 0\.2 s: -version"):
        video.run_ffmpeg("-version", timeout_s=0.2)


def test_vmaf_without_libvmaf_says_what_to_do(ffmpeg):
    ffmpeg('echo "No such filter: libvmaf" >&2; exit 1')
    frames = np.zeros((1, 16, 16, 3), dtype=np.uint8)
    gallery = Gallery()
    window = type("Window", (), {"index": 0, "clip": "bunny", "fps": 30.0})()
    gallery(window, 50, frames, [frames[0]])
    with pytest.raises(UserError, match="No such filter: libvmaf; measure again without --vmaf"):
        benchmark._vmaf_scores(gallery, lambda line: None)
