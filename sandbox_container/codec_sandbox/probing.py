"""What the probe stage measures: enough to rank codecs as the whole benchmark does, in a fifth of its time.

Windows keep all their frames, because a short sequence misjudges temporal tools; few qualities are enough. The
command ``python -m tests.bench probe`` prints the rank correlation with the benchmark.
"""

from collections.abc import Sequence

from codec_sandbox.clips import Window

PROBE_QUALITIES = (30, 70)
"""Values of ``config["quality"]``; some of `codec_sandbox.curve.QUALITIES`, where the incumbent was measured too."""

MAX_PROBE_CLIPS = 3
"""Most clips in a probe."""


def probe_jobs(windows: Sequence[Window]) -> list[tuple[Window, int]]:
    """Return the windows of a contest that the probe measures, each with its quality.

    Every clip is coded once at each of `PROBE_QUALITIES`, on different windows where it has several.
    """
    clips: dict[str, list[Window]] = {}
    for window in windows:
        clips.setdefault(window.clip, []).append(window)
    return [
        (chosen[turn % len(chosen)], quality)
        for chosen in list(clips.values())[:MAX_PROBE_CLIPS]
        for turn, quality in enumerate(PROBE_QUALITIES)
    ]
