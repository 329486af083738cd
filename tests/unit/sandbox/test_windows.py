"""A contest measured by one invocation a window: merged, it is what a single invocation measures."""

import itertools

import pytest
from codec_evolution.contracts import Report
from codec_evolution.judging.merging import merge
from codec_sandbox.clips import ClipSet
from codec_sandbox.curve import QUALITIES
from codec_sandbox.limits import Limits
from codec_sandbox.references import References
from codec_sandbox.report import build
from codec_sandbox.request import Request, RequestError
from codec_sandbox.stages import Benchmark

from tests.unit.sandbox.test_clips import make_clip
from tests.unit.sandbox.test_stages import RecordingSandbox, Rounding

SIDES = (("train", ("measure",)), ("held_out", ("measure", "sealed")))
TIMED = ("timings_s", "billed_s")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    directory = tmp_path_factory.mktemp("clips")
    for name, role in (("one", "train"), ("two", "train"), ("three", "held_out"), ("four", "held_out")):
        make_clip(directory, name, role)
    return ClipSet(directory)


def invoke(clips, codec, stages, split="train", total_cpu_s=100.0, notes=None, **more):
    """Return the report of one invocation, in a sandbox of its own."""
    sandbox = RecordingSandbox(codec)
    benchmark = Benchmark(sandbox, clips, References(clips.directory), cores=2, window_cores=1)
    request = Request("a", b"source", None, stages, split, "s", Limits(), total_cpu_s, **more)
    report = build(benchmark, request, benchmark.run(request))
    if notes is not None:
        notes += sandbox.notes
    return report


def parts(clips, make_codec, stages, split, **more):
    """Return the report that lists the windows, and those on each of them, in the order of the list."""
    listing = invoke(clips, make_codec(), ("validate",), split, windows_of=stages, **more)
    keys = [each["window"] for each in listing["windows"]]
    return listing, {key: invoke(clips, make_codec(), stages, split, window=key, **more) for key in keys}


def merged(listing, measured):
    reports = {key: Report.model_validate(each) for key, each in measured.items()}
    return merge(Report.model_validate(listing), reports).to_payload()


@pytest.mark.parametrize(("split", "stages"), SIDES)
def test_the_merged_windows_are_field_by_field_what_one_invocation_measures(clips, split, stages):
    whole = invoke(clips, Rounding(), ("validate", *stages), split)
    together = merged(*parts(clips, Rounding, stages, split))
    assert together.keys() - whole.keys() == {"billed_s"}
    assert {name: together[name] for name in whole if name not in TIMED} == {
        name: whole[name] for name in whole if name not in TIMED
    }
    assert whole["cpu_s"] > 0
    assert len(whole["points"]) >= 5 * (4 if split == "train" else 9)


@pytest.mark.parametrize(("split", "stages"), SIDES)
def test_a_stage_took_as_long_as_its_slowest_window_and_all_of_them_are_billed(clips, split, stages):
    listing, measured = parts(clips, Rounding, stages, split)
    for number, report in enumerate(measured.values(), start=1):
        (stage,) = report["timings_s"]
        report["timings_s"] = {stage: float(number)}
    listing["timings_s"] = {"validate": 0.5}
    together = merged(listing, measured)
    count = len(measured)
    slowest = {"measure": 4.0} if split == "train" else {"measure": 5.0, "sealed": 9.0}
    assert together["timings_s"] == {"validate": 0.5, **slowest}
    assert together["billed_s"] == 0.5 + count * (count + 1) / 2


@pytest.mark.parametrize(("split", "stages"), SIDES)
def test_the_windows_together_do_what_one_invocation_does_and_repeat_one_run_a_stage(clips, split, stages):
    one, several = [], []
    invoke(clips, Rounding(), stages, split, notes=one)
    for window in (each["window"] for each in parts(clips, Rounding, stages, split)[0]["windows"]):
        notes = []
        invoke(clips, Rounding(), stages, split, window=window, notes=notes)
        runs = notes.count("start encoder")
        assert runs >= len(QUALITIES)
        several += notes
    assert sorted(several) == sorted(one)


def test_a_codec_that_disagrees_with_itself_is_found_by_the_window_that_repeats_a_run(clips):
    class Changing(Rounding):
        """Gives other packets in every process."""

        numbers = itertools.count()

        def encode(self, frame, index, config):
            packet = super().encode(frame, index, config)
            packet.data += bytes([next(self.numbers) % 256])
            return packet

        def decode(self, data, index, config, shape):
            return super().decode(data[:-1], index, config, shape)

    together = merged(*parts(clips, Changing, ("measure",), "train"))
    assert (together["failure"]["kind"], together["outcome"]) == ("nondeterministic", "failed")
    whole = invoke(clips, Changing(), ("measure",))
    assert together["failure"] == whole["failure"]
    assert together["packets_sha256"] == {}


def test_the_budget_is_of_all_windows_together_and_none_may_exceed_it_alone(clips):
    used = {key: each["cpu_s"] for key, each in parts(clips, Rounding, ("measure",), "train")[1].items()}
    allowed = max(used.values()) * 1.5
    listing, measured = parts(clips, Rounding, ("measure",), "train", total_cpu_s=allowed)
    assert all(each["outcome"] == "passed" for each in measured.values())
    failure = merged(listing, measured)["failure"]
    whole = invoke(clips, Rounding(), ("measure",), total_cpu_s=allowed)["failure"]
    assert (failure["stage"], failure["kind"]) == (whole["stage"], whole["kind"]) == ("measure", "budget")
    # A single invocation also names the frame at which the budget was spent.
    assert whole["message"].partition(": ")[2] == failure["message"]
    alone = invoke(clips, Rounding(), ("measure",), total_cpu_s=0.01, window=next(iter(used)))
    assert alone["failure"]["kind"] == "budget"


def test_the_earliest_window_that_failed_is_the_failure(clips):
    listing, measured = parts(clips, Rounding, ("measure",), "train")
    keys = list(measured)
    for key in (keys[2], keys[1]):
        failure = {"stage": "measure", "kind": "runtime", "message": key}
        measured[key] |= {"outcome": "failed", "failure": failure}
    together = merged(listing, measured)
    assert together["failure"]["message"] == keys[1]
    assert {f"{row['clip']}/{row['window']}" for row in together["points"]} == set(keys)


def test_a_window_beside_which_others_are_measured_runs_one_worker_at_a_time(clips):
    notes = []
    window = invoke(clips, Rounding(), ("validate",), windows_of=("measure",))["windows"][0]["window"]
    invoke(clips, Rounding(), ("measure",), window=window, notes=notes)
    workers = [note for note in notes if note.split()[0] in ("start", "kill")]
    assert workers[::2] == ["start encoder", "start decoder"] * (len(workers) // 4)
    assert workers[1::2] == ["kill encoder", "kill decoder"] * (len(workers) // 4)


@pytest.mark.parametrize("window", ["one/7", "three/0", "nowhere/0"])
def test_a_window_that_is_not_of_the_contest_is_refused_by_name(clips, window):
    with pytest.raises(RequestError, match="window must be one of the contest's"):
        invoke(clips, Rounding(), ("measure",), window=window)


def test_a_candidate_that_fails_before_lists_no_windows(clips):
    report = invoke(clips, Rounding(load_cpu_s=1000.0), ("validate",), windows_of=("measure",))
    assert (report["outcome"], report["windows"]) == ("failed", [])
    assert merged(report, {}) == report
