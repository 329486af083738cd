"""The benchmark on real workers and real video: honest codecs measure right, and every cheat loses.

Cheats run on a small clip set cut out of the real one, so that all of them together take a minute or so.
"""

import functools
import json
import zlib

import numpy as np
import pytest
from codec_evolution.contracts import Report
from codec_evolution.judging.adoption import Contest, judge
from codec_sandbox.clips import ClipSet, frames_sha256, window_path
from codec_sandbox.faults import CandidateFault, SandboxUnavailable
from codec_sandbox.limits import Limits
from codec_sandbox.references import References
from codec_sandbox.report import build
from codec_sandbox.request import CONTROL_SOURCE, STAGES, Request, parse
from codec_sandbox.stages import Benchmark
from codec_sandbox.supervisor import Supervisor

from infra.workbench.benchmark import measure_source, shipped_policy
from infra.workbench.clips_setup import ensure_clips
from tests.integration.codecs import HONEST, honest, version_0
from tests.integration.codecs.cheats import CHEATS, embedded_clip
from tests.integration.reports import (
    assert_bd_rates_are_those_of_an_independent_computation,
    assert_small_and_complete,
)

SIZES = {"bunny": (48, 64), "carphone": (32, 48), "bikes": (48, 64), "city": (48, 80)}
FRAMES = 4
UNSMOKED = ("validate", "screen", "measure")
"""Without the 1080p frames of smoke, which are the slow part of so small a measurement."""


@pytest.fixture(scope="module")
def clips():
    ensure_clips()
    return ClipSet()


@pytest.fixture(scope="module")
def small_clips(clips, tmp_path_factory):
    """The real windows cut to a few blocks and four frames."""
    directory = tmp_path_factory.mktemp("clips")
    entries = []
    for clip in clips.clips:
        height, width = SIZES[clip.name]
        windows = []
        for window in clip.windows:
            frames = np.ascontiguousarray(clips.load(window)[:FRAMES, 40 : 40 + height, 60 : 60 + width])
            path = window_path(directory, clip.name, window.index)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as stream:
                np.savez_compressed(stream, frames=frames)
            windows.append(
                {"frames": FRAMES, "width": width, "height": height, "sha256": frames_sha256(frames)}
            )
        fields = {
            name: getattr(clip, name) for name in ("name", "role", "fps", "content", "licence", "pictures")
        }
        entries.append({**fields, "windows": windows})
    (directory / "manifest.json").write_text(json.dumps({"clips": entries}))
    return ClipSet(directory)


@pytest.fixture(scope="module")
def supervisor(forked_zygotes):
    with Supervisor() as started:
        yield started


@pytest.fixture(scope="module")
def small(supervisor, small_clips):
    return Benchmark(supervisor, small_clips, References(small_clips.directory))


def measured(
    benchmark, source, *, split="train", policy=True, stages=UNSMOKED, total_cpu_s=60.0, call_s=90.0, seed="s"
):
    request = Request(
        attempt_id="test",
        source=source.encode(),
        policy=shipped_policy() if policy else None,
        stages=stages,
        split=split,
        seed=seed,
        limits=Limits(call_s=call_s, cpu_s=total_cpu_s),
        total_cpu_s=total_cpu_s,
    )
    return build(benchmark, request, benchmark.run(request))


def contest(benchmark, source, train=None):
    train = train or measured(benchmark, source)
    later = ("validate", "measure")
    held_out = measured(benchmark, source, split="held_out", stages=later)
    return Contest(Report.model_validate(train), Report.model_validate(held_out))


@pytest.fixture(scope="module")
def incumbent(small):
    return contest(small, version_0())


@pytest.fixture(scope="module")
def of_cheat(small):
    """A function from a cheat to its report; each is measured once."""

    @functools.cache
    def report(cheat):
        stages = STAGES if cheat.stage == "smoke" else UNSMOKED
        allowed = 2.0 if cheat.kind == "budget" else 20.0
        source = cheat.source(version_0())
        return measured(small, source, policy=cheat.policy, stages=stages, total_cpu_s=allowed)

    return report


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.name)
def test_a_cheat_loses_with_the_named_reason(cheat, of_cheat, incumbent):
    report = of_cheat(cheat)
    if cheat.stage:
        assert report["outcome"] == "failed"
        failure = report["failure"]
        assert (failure["stage"], failure["kind"]) == (cheat.stage, cheat.kind), failure["message"]
        assert cheat.message in failure["message"]
        assert judge(Contest(Report.model_validate(report)), incumbent).decision == "reject"
    else:
        assert report["outcome"] == "passed", report["failure"]
        verdict = judge(Contest(Report.model_validate(report)), incumbent)
        assert verdict.decision == "reject"
        assert cheat.message in verdict.reason


@pytest.fixture(scope="module")
def learnt(small):
    """Packets of the training frames at the qualities for which a source has room."""
    packets = {}
    namespace: dict = {}
    exec(compile(version_0(), "version_0", "exec"), namespace)
    for window in small.clips.choose("train", "s"):
        for frame in small.clips.load(window):
            for quality in (0, 10, 30, 50):
                packet = namespace["compress_video_frame"](frame, 0, {"quality": quality})
                packets[f"{zlib.crc32(frame.tobytes())}/{quality}"] = packet
    return packets


def test_a_codec_that_sends_next_to_nothing_for_the_training_clips_has_no_curve(small, incumbent, learnt):
    shares = {0: 0.0, 10: 0.01, 30: 0.02, 50: 0.04}
    report = measured(small, embedded_clip(version_0(), learnt, shares))
    verdict = judge(Contest(Report.model_validate(report)), incumbent)
    assert verdict.decision == "reject"
    assert "below straight lines" in verdict.reason
    assert verdict.bitrate_mbps is None


def test_a_codec_with_the_training_clips_inside_wins_on_them_and_loses_on_the_held_out_ones(
    small, incumbent, learnt
):
    cheat = contest(small, embedded_clip(version_0(), learnt, {0: 0.5, 10: 0.5, 30: 0.55, 50: 0.7}))
    on_training = judge(Contest(cheat.train), incumbent)
    assert on_training.decision == "confirm", on_training.reason
    assert on_training.bd_rate_vs_incumbent < -15
    final = judge(cheat, incumbent)
    assert final.decision == "reject"
    assert "not confirmed" in final.reason


def test_a_codec_that_fails_on_the_held_out_clips_only_is_not_adopted(small, incumbent):
    better = honest("motion", small.clips)
    source = better + (
        "\n\nmotion_encode = compress_video_frame\n\n\n"
        "def compress_video_frame(frame, frame_index, config):\n"
        "    if config['width'] == 80:\n"
        "        raise ValueError('not this one')\n"
        "    return motion_encode(frame, frame_index, config)\n"
    )
    tricked = contest(small, source)
    assert judge(Contest(tricked.train), incumbent).decision == "confirm"
    assert tricked.held_out.failure.clip == "city"
    assert tricked.held_out.failure.frame == 0
    verdict = judge(tricked, incumbent)
    assert (verdict.decision, verdict.failure_kind) == ("reject", "runtime")
    assert "city" not in verdict.reason


@pytest.fixture(scope="module")
def motion(small):
    """The report of a better codec on the training windows."""
    return measured(small, honest("motion", small.clips))


def test_motion_compensation_is_adopted_over_version_0(small, motion, incumbent):
    verdict = judge(contest(small, honest("motion", small.clips), motion), incumbent)
    assert verdict.decision == "adopt", verdict.reason
    assert verdict.bd_rate_vs_incumbent < -10


def test_version_0_is_adopted_without_a_contest_and_does_not_beat_itself(small, incumbent):
    assert judge(incumbent, None).decision == "adopt"
    verdict = judge(incumbent, incumbent)
    assert verdict.decision == "reject"
    assert verdict.bd_rate_vs_incumbent == pytest.approx(0, abs=1e-9)


def test_two_runs_give_the_same_bits_and_the_same_quality(small, motion):
    def fixed(report):
        timed = ("encode_cpu_s", "decode_cpu_s")
        points = [{k: v for k, v in row.items() if k not in timed} for row in report["points"]]
        return points, report["packets_sha256"], report["frames_sha256"]

    assert fixed(measured(small, honest("motion", small.clips))) == fixed(motion)


def test_a_confirming_run_repeats_one_training_window_with_the_same_hashes(small, incumbent):
    common = incumbent.train.packets_sha256.keys() & incumbent.held_out.packets_sha256.keys()
    (repeated,) = common
    assert repeated == small.clips.control("s").key
    for name in ("packets_sha256", "frames_sha256"):
        first, second = getattr(incumbent.train, name), getattr(incumbent.held_out, name)
        assert first[repeated] == second[repeated]


def test_a_call_that_takes_too_long_is_a_timeout(small):
    sleepy = version_0() + (
        "\n\nhonest_encode = compress_video_frame\n\n\n"
        "def compress_video_frame(frame, frame_index, config):\n"
        "    while frame_index == 1:\n        pass\n"
        "    return honest_encode(frame, frame_index, config)\n"
    )
    failure = measured(small, sleepy, stages=("validate", "measure"), call_s=2.0)["failure"]
    assert (failure["stage"], failure["kind"], failure["frame"]) == ("measure", "timeout", 1)


def test_an_exception_is_reported_with_the_lines_that_led_to_it(small):
    broken = version_0() + (
        "\n\ndef fail_deep():\n    return [][7]\n\n\n"
        "def compress_video_frame(frame, frame_index, config):\n"
        "    return fail_deep()\n"
    )
    failure = measured(small, broken, stages=("validate", "measure"))["failure"]
    assert failure["kind"] == "runtime" and "IndexError" in failure["message"]
    assert "compress_video_frame" in failure["traceback"] and "fail_deep" in failure["traceback"]
    assert f"line {failure['line']}" in failure["traceback"]


def test_points_measured_before_a_failure_are_kept(of_cheat):
    report = of_cheat(next(cheat for cheat in CHEATS if cheat.name == "quality that is not monotone"))
    assert report["outcome"] == "failed"
    assert len(report["points"]) >= 20
    assert report["packets_sha256"] == {}


@pytest.fixture(scope="module")
def short(supervisor, short_clips):
    return Benchmark(supervisor, ClipSet(short_clips), References(short_clips))


@pytest.fixture(scope="module", params=HONEST)
def measured_clips(request, short):
    """Each codec but version 0, which `test_benchmark_for_people` measures on the shipped clips."""
    return measure_source(short, honest(request.param, short.clips).encode()), short.clips


def test_the_printed_bd_rates_agree_with_an_independent_computation_from_the_raw_points(measured_clips):
    assert_bd_rates_are_those_of_an_independent_computation(*measured_clips)


def test_a_report_is_small_complete_and_of_this_clip_set(measured_clips):
    assert_small_and_complete(*measured_clips)


def test_every_window_has_its_anchors(clips):
    references = References()
    for clip in clips.clips:
        for window in clip.windows:
            assert {"x265_medium", "x265_zerolatency", "x265_10mbps"} <= set(references.codecs(window)), (
                window.key
            )


# -- requests


def test_a_control_run_takes_the_images_own_version_0_and_needs_no_envelope(small):
    request = parse({"control": True, "stages": ["validate", "smoke"]})
    assert request.source == CONTROL_SOURCE.read_bytes()
    report = build(small, request, small.run(request))
    assert report["outcome"] == "passed"
    assert set(report["timings_s"]) == {"validate", "smoke"}


class DeadSandbox:
    """A supervisor whose zygote has died."""

    def __init__(self):
        self.layers, self.minimum, self.tampered = {}, (), []

    def close(self):
        pass

    def validate(self, source, policy):
        return []

    def worker(self, role, source, policy, limits):
        raise SandboxUnavailable("the zygote is gone")


def test_a_fault_of_the_sandbox_is_an_exception_and_no_report(small_clips):
    broken = Benchmark(DeadSandbox(), small_clips, References(small_clips.directory))
    with pytest.raises(SandboxUnavailable, match="zygote is gone"):
        measured(broken, version_0(), policy=False, stages=("validate",))
    with pytest.raises(SandboxUnavailable, match="zygote is gone"):
        measured(broken, version_0(), policy=False, stages=("measure",))


class FaultySandbox(DeadSandbox):
    """A supervisor none of whose candidates can be loaded."""

    def worker(self, role, source, policy, limits):
        raise CandidateFault("import", f"no {role}")


def test_a_fault_of_the_candidate_is_a_report_and_no_exception(small_clips):
    refusing = Benchmark(FaultySandbox(), small_clips, References(small_clips.directory))
    report = measured(refusing, version_0(), policy=False, stages=("validate",))
    assert report["failure"]["kind"] == "import"
    assert report["failure"]["message"] == "no encoder"
