"""The order of a measurement, seen by a sandbox that runs codecs in this process and records the calls."""

import itertools
import json
import re
import time
from dataclasses import replace
from importlib import resources
from types import SimpleNamespace

import numpy as np
import pytest
from codec_sandbox.clips import ClipSet
from codec_sandbox.curve import QUALITIES, extra_qualities
from codec_sandbox.faults import CandidateFault
from codec_sandbox.limits import Limits
from codec_sandbox.parallel import repeated_job
from codec_sandbox.policy import Policy, ceiling_text
from codec_sandbox.probing import MAX_PROBE_CLIPS, PROBE_QUALITIES, probe_jobs
from codec_sandbox.references import References
from codec_sandbox.report import build, processor
from codec_sandbox.request import Request
from codec_sandbox.runs import FRAMING_BYTES, CpuMeter, Deadline, RunFailed, Runner, framed
from codec_sandbox.smoke import smoke_frames
from codec_sandbox.stages import Benchmark

from tests.unit.sandbox.test_clips import make_clip

POLICY = (resources.files("codec_evolution") / "data" / "language_policy.toml").read_text("utf-8")


class Rounding:
    """A codec that keeps `depth(quality)` bits of every sample, in as many bytes as those bits need."""

    bits_report = b""

    def __init__(self, depth=lambda quality: 2 + quality // 20, cpu_s=0.001, load_cpu_s=0.0):
        self.depth, self.cpu_s, self.load_cpu_s = depth, cpu_s, load_cpu_s

    def encode(self, frame, index, config):
        bits = self.depth(config["quality"])
        kept = (frame >> (8 - bits)).astype(np.uint8)
        packed = np.packbits(np.unpackbits(kept.reshape(-1, 1), axis=1)[:, 8 - bits :])
        return SimpleNamespace(data=packed.tobytes(), cpu_s=self.cpu_s)

    def decode(self, data, index, config, shape):
        bits = self.depth(config["quality"])
        rows = np.unpackbits(np.frombuffer(data, np.uint8))[: int(np.prod(shape)) * bits].reshape(-1, bits)
        weights = 1 << np.arange(bits - 1, -1, -1)
        frame = ((rows @ weights) * 256 + 128) >> bits
        return SimpleNamespace(frame=frame.astype(np.uint8).reshape(shape), cpu_s=self.cpu_s)


class RecordingSandbox:
    """Runs one codec in this process and records the calls, in order."""

    def __init__(self, codec):
        self.codec, self.notes, self.tampered = codec, [], []
        self.layers, self.minimum = {"none": "ok"}, ()

    def close(self):
        pass

    def worker(self, role, source, policy, limits):
        return RecordingWorker(self, role)

    def validate(self, source, policy):
        return []


class RecordingWorker:
    def __init__(self, sandbox, role):
        self.sandbox, self.role = sandbox, role
        self.load_cpu_s = sandbox.codec.load_cpu_s

    def __enter__(self):
        self.sandbox.notes.append(f"start {self.role}")
        return self

    def __exit__(self, *error):
        self.sandbox.notes.append(f"kill {self.role}")

    def encode(self, frame, index, config):
        self.sandbox.notes.append(f"encode {index}")
        return self.sandbox.codec.encode(frame, index, config)

    def bits(self):
        return SimpleNamespace(data=self.sandbox.codec.bits_report, cpu_s=0.0)

    def decode(self, data, index, config, shape):
        self.sandbox.notes.append(f"decode {index}")
        return self.sandbox.codec.decode(data, index, config, shape)


@pytest.fixture
def clips(tmp_path):
    for name, role in (("one", "train"), ("two", "train"), ("three", "held_out"), ("four", "held_out")):
        make_clip(tmp_path, name, role)
    return ClipSet(tmp_path)


def measure(
    clips, codec, *, split="train", total_cpu_s=100.0, stages=("measure",), observe=None, wall_s=100.0
):
    sandbox = RecordingSandbox(codec)
    benchmark = Benchmark(sandbox, clips, References(clips.directory), cores=2, observe=observe)
    request = Request("a", b"source", None, stages, split, "s", Limits(), total_cpu_s)
    return build(benchmark, request, benchmark.run(request, wall_s=wall_s)), sandbox.notes


def run_once(codec, meter=None):
    sandbox = RecordingSandbox(codec)
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    coded = Runner(sandbox, b"", None, Limits()).code(frames, 25.0, 50, meter or CpuMeter(10.0))
    return coded, sandbox.notes


def test_everything_is_encoded_and_the_encoder_killed_before_the_decoder_starts():
    _, notes = run_once(Rounding())
    encoding = ["start encoder", "encode 0", "encode 1", "encode 2", "kill encoder"]
    assert notes == [*encoding, "start decoder", "decode 0", "decode 1", "decode 2", "kill decoder"]


def test_every_packet_is_charged_its_framing():
    coded, _ = run_once(Rounding())
    assert coded.size_bytes == 3 * (8 * 8 * 3 * 4 // 8 + FRAMING_BYTES)


def test_a_length_that_two_bytes_cannot_say_costs_four():
    assert [framed(length) for length in (0, 65535, 65536)] == [2, 65537, 65540]


def test_cpu_seconds_are_those_of_all_frames():
    coded, _ = run_once(Rounding(cpu_s=0.5))
    assert (coded.encode_cpu_s, coded.decode_cpu_s) == (1.5, 1.5)


def test_a_worker_is_killed_when_the_budget_is_spent_and_the_fault_names_the_frame():
    with pytest.raises(RunFailed) as failed:
        run_once(Rounding(cpu_s=1.0), CpuMeter(1.5))
    assert (failed.value.fault.kind, failed.value.fault.frame) == ("budget", 1)


def test_loading_is_among_the_recorded_cpu_seconds_of_both_roles():
    meter = CpuMeter(10.0)
    coded, _ = run_once(Rounding(cpu_s=0.5, load_cpu_s=2.0), meter)
    assert (coded.encode_cpu_s, coded.decode_cpu_s, coded.load_cpu_s) == (3.5, 3.5, 4.0)
    assert meter.used_s == 7.0


def test_a_codec_that_works_while_it_is_loaded_meets_the_cpu_budget():
    with pytest.raises(RunFailed) as failed:
        run_once(Rounding(load_cpu_s=2.0), CpuMeter(1.5))
    fault = failed.value.fault
    assert (fault.kind, fault.frame) == ("budget", None)
    assert fault.message.startswith("loading the encoder:")


def test_loading_is_charged_when_a_candidate_is_only_validated(clips):
    report, _ = measure(clips, Rounding(load_cpu_s=2.0), stages=("validate",))
    assert (report["outcome"], report["cpu_s"]) == ("passed", 4.0)
    failure = measure(clips, Rounding(load_cpu_s=2.0), stages=("validate",), total_cpu_s=1.0)[0]["failure"]
    assert (failure["stage"], failure["kind"]) == ("validate", "budget")


def test_the_screen_counts_loading_once_for_each_process_and_not_for_each_pixel(clips):
    loads = 2 * len(QUALITIES) * len(clips.choose("train", "s"))
    codec = Rounding(cpu_s=0.0, load_cpu_s=1.0)
    enough = measure(clips, codec, stages=("screen",), total_cpu_s=loads / 1.5)[0]
    assert enough["outcome"] == "passed", enough["failure"]
    short = measure(clips, codec, stages=("screen",), total_cpu_s=loads / 1.5 - 0.1)[0]
    assert (short["failure"]["stage"], short["failure"]["kind"]) == ("screen", "budget")


def test_a_run_that_outlives_its_deadline_ends_with_stage_clip_and_reason(clips):
    class Idle(Rounding):
        def encode(self, frame, index, config):
            time.sleep(0.05)
            return super().encode(frame, index, config)

    report, notes = measure(clips, Idle(), wall_s=0.01)
    failure = report["failure"]
    assert (failure["stage"], failure["kind"], failure["clip"]) == ("measure", "budget", "one")
    assert "0.01 seconds of wall clock" in failure["message"]
    assert notes.count("encode 0") <= 2


def test_the_deadline_is_of_the_whole_run_and_not_of_a_stage():
    deadline = Deadline(5.0, ends=time.monotonic() - 1)
    with pytest.raises(CandidateFault, match="the whole run took more than its 5 seconds"):
        CpuMeter(10.0, deadline).charge(0.0)
    CpuMeter(10.0, Deadline.after(5.0)).charge(0.0)


def test_each_call_gets_a_config_of_its_own_with_all_that_is_promised():
    seen = []

    class Nosy(Rounding):
        def encode(self, frame, index, config):
            seen.append(dict(config))
            result = super().encode(frame, index, config)
            config.clear()
            return result

    run_once(Nosy())
    expected = {"quality": 50, "max_edges": 500, "width": 8, "height": 8, "fps": 25.0, "frames": 3}
    assert seen == [expected] * 3


def qualities(report):
    return {row["quality"] for row in report["points"]}


def test_five_qualities_are_measured_when_they_cover_32_to_41_db(clips):
    wide = Rounding(lambda quality: {10: 2, 30: 3, 50: 4, 70: 5, 90: 6}.get(quality, 8))
    report, _ = measure(clips, wide)
    assert qualities(report) == set(QUALITIES)


@pytest.mark.parametrize(
    ("depth", "extra"),
    [
        (lambda quality: 3 if quality == 0 else 6 + quality // 70, {0}),
        (lambda quality: 8 if quality == 100 else 2 + quality // 40, {100}),
        (lambda quality: 4, {0, 100}),
    ],
    ids=["too good", "too poor", "too narrow"],
)
def test_at_most_two_more_qualities_are_measured_where_an_end_is_not_reached(clips, depth, extra):
    report, _ = measure(clips, Rounding(depth))
    assert qualities(report) == set(QUALITIES) | extra


def test_a_held_out_measure_repeats_one_training_window(clips):
    report, _ = measure(clips, Rounding(), split="held_out")
    assert {row["role"] for row in report["points"]} == {"train", "held_out"}
    assert clips.control("s").key in report["packets_sha256"]


def test_the_sealed_stage_measures_the_sealed_windows_and_says_no_more_of_a_failure_than_its_kind(clips):
    report, _ = measure(clips, Rounding(), split="held_out", stages=("measure", "sealed"))
    sealed = {(row["clip"], row["window"]) for row in report["points"] if row["role"] == "sealed"}
    assert sealed == {(name, 7) for name in ("one", "two", "three", "four")}
    assert set(report["timings_s"]) == {"measure", "sealed"}
    assert {row["role"] for row in report["points"]} == {"train", "held_out", "sealed"}

    class Telling(Rounding):
        def encode(self, frame, index, config):
            raise CandidateFault("runtime", f"ValueError: {frame.tolist()}", line=7)

    failure = measure(clips, Telling(), stages=("sealed",))[0]["failure"]
    assert (failure["stage"], failure["kind"]) == ("sealed", "runtime")
    assert failure["message"] == "failed on the sealed windows"
    assert failure["clip"] is failure["line"] is failure["frame"] is None


@pytest.mark.parametrize("stage", ["screen", "measure"])
def test_a_failure_on_real_frames_carries_no_samples_of_them(clips, stage):
    class Telling(Rounding):
        def encode(self, frame, index, config):
            samples = " ".join(map(str, frame.ravel().tolist()))
            traceback = f"line 1, in compress_video_frame: source\n{samples}"
            raise CandidateFault("runtime", f"ValueError: {samples}", line=1, traceback=traceback)

    failure = measure(clips, Telling(), stages=(stage,))[0]["failure"]
    assert failure["message"].startswith("encoding frame 0: ValueError: ")
    assert len(re.findall(r"\d+", failure["message"])) <= 9
    assert len(failure["message"]) <= 240
    assert failure["traceback"] == "line 1, in compress_video_frame: source"


@pytest.mark.parametrize(
    ("levels", "extra"),
    [
        ((30, 34, 38, 42, 46), []),
        ((28, 31, 40, 44, 48), [40]),
        ((20, 33, 35, 49, 50), [60, 20]),
        ((33, 35, 37, 44, 45), [0, 60]),
        ((33, 34, 35, 36, 40.9), [0, 100]),
        ((12, 20, 33, 37, 42), [40]),
        ((30, 34, 38, 41, 49), []),
    ],
    ids=["even", "a gap", "two gaps", "an end and a gap", "both ends", "a gap below", "a gap above"],
)
def test_further_qualities_go_to_missing_ends_and_then_to_wide_gaps(levels, extra):
    assert extra_qualities(dict(zip(QUALITIES, map(float, levels), strict=True))) == extra


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_any_window_at_any_quality_may_be_the_one_that_is_run_twice(clips, split):
    windows = clips.choose(split, "s")
    jobs = [(window, quality) for quality in QUALITIES for window in windows]
    drawn = {repeated_job(jobs, f"seed {number}") for number in range(400)}
    assert drawn == set(jobs)
    assert repeated_job(jobs, "seed 1") == repeated_job(jobs[::-1], "seed 1"), "the seed alone decides"


def test_one_run_is_repeated_and_not_reported_twice(clips):
    report, notes = measure(clips, Rounding())
    assert notes.count("start encoder") == len(report["points"]) + 1


def test_a_codec_that_disagrees_with_itself_where_it_is_repeated_is_nondeterministic(clips):
    class Drifting(Rounding):
        calls = itertools.count()  # runs go on at the same time: only a number drawn once differs for certain

        def encode(self, frame, index, config):
            packet = super().encode(frame, index, config)
            more = next(self.calls) if config["quality"] == quality else 0
            return SimpleNamespace(data=packet.data + bytes(more), cpu_s=packet.cpu_s)

        def decode(self, data, index, config, shape):
            size = int(np.prod(shape)) * self.depth(config["quality"])
            return super().decode(data[: -(-size // 8)], index, config, shape)

    windows = clips.choose("train", "s")
    window, quality = repeated_job([(w, q) for q in QUALITIES for w in windows], "s")
    failure = measure(clips, Drifting())[0]["failure"]
    assert (failure["kind"], failure["clip"], failure["quality"]) == (
        "nondeterministic",
        window.clip,
        quality,
    )


def test_hashes_cover_the_base_qualities_only_so_that_extra_ones_do_not_change_them(clips):
    narrow, _ = measure(clips, Rounding(lambda q: 3 + q // 20 if q in QUALITIES else 2))
    other, _ = measure(clips, Rounding(lambda q: 3 + q // 20 if q in QUALITIES else 1))
    assert narrow["packets_sha256"] == other["packets_sha256"]


def test_a_fault_stops_the_other_runs_and_names_clip_frame_and_quality(clips):
    class Breaking(Rounding):
        def encode(self, frame, index, config):
            if config["quality"] == 30 and index == 1:
                raise CandidateFault("runtime", "IndexError: out of bounds", line=7)
            return super().encode(frame, index, config)

    report, notes = measure(clips, Breaking())
    failure = report["failure"]
    assert failure["clip"] in ("one", "two")
    assert (failure["stage"], failure["kind"], failure["frame"]) == ("measure", "runtime", 1)
    assert (failure["quality"], failure["line"]) == (30, 7)
    assert notes.count("start encoder") < 16


def test_an_observer_sees_originals_and_decoded_frames_of_every_point(clips):
    seen = []
    report, _ = measure(
        clips, Rounding(), observe=lambda window, quality, a, b: seen.append((window.key, quality))
    )
    assert sorted(seen) == sorted((f"{p['clip']}/{p['window']}", p["quality"]) for p in report["points"])


def test_stages_after_a_failure_are_not_run(clips):
    report, _ = measure(clips, Rounding(lambda quality: 1), stages=("screen", "measure"))
    assert report["failure"]["stage"] == "screen"
    assert set(report["timings_s"]) == {"screen"}
    assert report["points"] == []


def test_a_codec_too_slow_to_be_measured_is_stopped_after_a_few_frames(clips):
    report, notes = measure(clips, Rounding(cpu_s=1.0), stages=("screen", "measure"), total_cpu_s=20.0)
    assert (report["failure"]["stage"], report["failure"]["kind"]) == ("screen", "budget")
    assert "about 80 CPU seconds" in report["failure"]["message"]
    assert notes.count("start encoder") == 2


def test_smoke_frames_are_random_black_and_gray_at_full_hd():
    size = ClipSet().smoke_size
    frames = smoke_frames(*size)
    assert frames.shape == (3, 1080, 1920, 3)
    assert frames[0].std() > 70
    assert (frames[1].max(), frames[2].min(), frames[2].max()) == (0, 128, 128)
    assert np.array_equal(frames, smoke_frames(*size))


def test_what_has_passed_the_smoke_stage_passes_to_the_next_one_at_once_but_not_another_source_policy_or_limit(
    clips, monkeypatch
):
    monkeypatch.setattr(
        "codec_sandbox.stages.smoke_frames", lambda *_: np.zeros((1, 8, 8, 3), dtype=np.uint8)
    )
    policy = Policy.from_toml(POLICY, ceiling_text())
    gated, alone = ("smoke", "screen"), ("smoke",)
    first = Request("a", b"one", policy, gated, "train", "s", Limits(), 100.0, policy_sha256="p")
    sandbox = RecordingSandbox(Rounding())
    benchmark = Benchmark(sandbox, clips, References(clips.directory), cores=1)
    smoked = "encode 0", "kill encoder"  # the screen stage encodes more frames

    def smokes(request):
        sandbox.notes.clear()
        assert benchmark.run(request).failure is None
        return tuple(sandbox.notes[1:3]) == smoked

    assert smokes(first)
    assert not smokes(first)
    assert not smokes(replace(first, attempt_id="b", seed="another contest"))
    for other in (
        replace(first, source=b"two"),
        replace(first, policy_sha256="q"),
        replace(first, limits=Limits(call_s=5.0)),
        replace(first, total_cpu_s=50.0),
        # Who asks for smoke alone wants to know, and a control run of version 0 must show that the sandbox works.
        replace(first, stages=alone),
        replace(first, policy=None, policy_sha256=""),
    ):
        assert smokes(other)
    assert smokes(replace(first, policy=None, policy_sha256=""))


def test_a_source_that_failed_in_the_smoke_stage_fails_again(clips, monkeypatch):
    monkeypatch.setattr(
        "codec_sandbox.stages.smoke_frames", lambda *_: np.zeros((1, 8, 8, 3), dtype=np.uint8)
    )
    policy = Policy.from_toml(POLICY, ceiling_text())
    request = Request(
        "a", b"one", policy, ("smoke", "screen"), "train", "s", Limits(), 1.5, policy_sha256="p"
    )
    sandbox = RecordingSandbox(Rounding(cpu_s=1.0))
    benchmark = Benchmark(sandbox, clips, References(clips.directory), cores=1)
    failures = [benchmark.run(request).failure for _ in (1, 2)]
    assert [(each.stage, each.fault.kind) for each in failures if each] == [("smoke", "budget")] * 2


def test_a_report_names_the_processor_it_was_measured_on(clips):
    report, _ = measure(clips, Rounding())
    assert report["processor"] == processor() != ""


def test_a_probe_measures_each_training_clip_once_at_each_of_its_qualities(clips):
    probed, _ = measure(clips, Rounding(), stages=("probe",))
    full, _ = measure(clips, Rounding())
    assert {(p["clip"], p["quality"]) for p in probed["points"]} == set(
        itertools.product(("one", "two"), PROBE_QUALITIES)
    )
    assert len(probed["points"]) == 4 and set(PROBE_QUALITIES) < set(QUALITIES)
    assert all(point in full["points"] for point in probed["points"]), (
        "all frames of a window of the contest, so that the incumbent's curve is of the same frames"
    )


def test_a_fault_in_a_probe_names_the_probe(clips):
    report, _ = measure(clips, Rounding(cpu_s=5.0), stages=("probe",), total_cpu_s=10.0)
    assert (report["failure"]["stage"], report["failure"]["kind"]) == ("probe", "budget")
    assert report["failure"]["clip"] in ("one", "two")


def test_a_probe_tells_the_shares_of_the_bits_that_a_codec_counts(clips):
    codec = Rounding(depth=lambda quality: 4)
    size = measure(clips, codec, stages=("probe",))[0]["points"][0]["bytes"]
    codec.bits_report = json.dumps({"luma": 4 * size, "modes": 2 * size}).encode()
    assert measure(clips, codec, stages=("probe",))[0]["bits"] == {"modes": 25, "luma": 50, "other": 25}
    assert "bits" not in measure(clips, codec)[0], "only a probe asks"


@pytest.mark.parametrize(
    "answer",
    [
        b"[1]",
        b'{"pixels": 1}',
        b'{"luma": -1}',
        b'{"luma": 1.5}',
        b'{"luma": true}',
        b'{"luma": "1"}',
        b"{" * 400,
        b'{"luma": 1' + b" " * 400 + b"}",
        b"\xff",
    ],
)
def test_what_is_no_count_of_bits_fails_the_probe_with_a_sentence(clips, answer):
    codec = Rounding()
    codec.bits_report = answer
    failure = measure(clips, codec, stages=("probe",))[0]["failure"]
    assert (failure["stage"], failure["kind"]) == ("probe", "return_type")
    assert "bits_report must return a dict of int" in failure["message"]


def test_a_codec_cannot_count_more_bits_than_its_packets_have(clips):
    codec = Rounding()
    codec.bits_report = json.dumps({"luma": 1 << 40}).encode()
    failure = measure(clips, codec, stages=("probe",))[0]["failure"]
    assert "counts more bits than the packets have" in failure["message"]


def test_a_probe_stays_short_however_many_clips_there_are(tmp_path):
    for number in range(6):
        make_clip(tmp_path, f"clip{number}", "train")
    jobs = probe_jobs(ClipSet(tmp_path).choose("train", "s"))
    assert len({window.clip for window, _ in jobs}) == MAX_PROBE_CLIPS
    assert len(jobs) == len(set(jobs)) == MAX_PROBE_CLIPS * len(PROBE_QUALITIES)


class Stepped(Rounding):
    """A codec whose depth is a setting of its own; below two bits it fails."""

    def encode(self, frame, index, config):
        if config.get("bits", 4) < 2:
            raise CandidateFault("runtime", "too few bits")
        return super().encode(frame, index, {**config, "quality": 20 * config.get("bits", 4) - 40})

    def decode(self, data, index, config, shape):
        return super().decode(data, index, {**config, "quality": 20 * config.get("bits", 4) - 40}, shape)


def test_a_probe_measures_a_candidate_with_each_of_several_settings(clips):
    sandbox = RecordingSandbox(Stepped())
    benchmark = Benchmark(sandbox, clips, References(clips.directory), cores=2)
    request = Request("a", b"source", None, ("probe",), "train", "s", Limits(), 100.0)
    configs = ({}, {"bits": 6}, {"bits": 1}, {"bits": 4})
    report = build(benchmark, asked := replace(request, configs=configs), benchmark.run(asked))
    sizes = {n: sum(p["bytes"] for p in report["points"] if p["variant"] == n) for n in range(4)}
    assert report["outcome"] == "passed"
    assert sizes[1] > sizes[0] == sizes[3] > sizes[2] == 0
    assert [each["failure"][:8] for each in report["variants"]] == ["", "", "runtime:", ""]
    assert [each["config"] for each in report["variants"]] == [dict(each) for each in configs]
    assert "bits" not in report
