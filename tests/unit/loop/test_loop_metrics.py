"""What the loop tells CloudWatch."""

import json

import pytest
from codec_evolution.adapters.emf import emit
from codec_evolution.contracts import CycleOpened, Report
from codec_evolution.loop import metrics
from codec_evolution.loop.metrics import Sample
from codec_evolution.ports import LoopState
from codec_evolution.record import IDENTICAL_REPORTS, Attempt

ADOPTED = {
    "lineage": "main",
    "attempt_id": "a#00",
    "status": "adopted",
    "reason": "better",
    "bitrate_mbps": 4.5,
    "compression_ratio": 332.0,
    "psnr_db": 36.0,
    "bd_rate_vs_incumbent": -12.5,
    "bd_rate_vs_hevc": 40.0,
    "plan_s": 1.5,
    "measure_s": 20.0,
    "llm_cost_usd": 0.02,
}
LAYERS = Report(
    outcome="passed",
    source_sha256="s",
    clip_set="c",
    layers={"seccomp": "ok", "uid": "EPERM", "rlimits": "ok"},
)


def named(samples, name):
    return [(sample.value, sample.dimensions) for sample in samples if sample.metric.name == name]


def test_an_adopted_attempt_tells_its_figures_by_verdict():
    samples = metrics.attempt_samples(Attempt.from_item(ADOPTED), LAYERS)
    verdict = {"Lineage": "main", "Status": "adopted"}
    assert named(samples, "Attempts") == [(1, verdict)]
    assert named(samples, "Bitrate") == [(4.5, verdict)]
    assert named(samples, "BdRateVsIncumbent") == [(-12.5, verdict)]
    assert named(samples, "SandboxLayers") == [(2, {"Lineage": "main"})]
    assert named(samples, "IdenticalResults") == []
    assert [dims["Stage"] for _, dims in named(samples, "StageDuration")] == ["plan", "measure"]


def test_a_failure_is_counted_by_its_kind_and_a_skip_by_its_word():
    failed = {
        "lineage": "main",
        "attempt_id": "a#00",
        "status": "test_failed",
        "reason": "timeout: 30 s",
        "failure_kind": "timeout",
    }
    skipped = {
        "lineage": "main",
        "attempt_id": "a#00",
        "status": "skipped",
        "reason": "infrastructure: gone: twice",
    }
    assert (
        named(metrics.attempt_samples(Attempt.from_item(failed), None), "Failures")[0][1]["FailureKind"]
        == "timeout"
    )
    assert (
        named(metrics.attempt_samples(Attempt.from_item(skipped), None), "Skips")[0][1]["Reason"]
        == "infrastructure"
    )


def test_a_candidate_that_measures_as_the_incumbent_is_counted_as_identical():
    same = {**ADOPTED, "status": "rejected", "bd_rate_vs_incumbent": 0.0}
    samples = metrics.attempt_samples(Attempt.from_item(same), None)
    assert named(samples, "IdenticalResults") == [(1, {"Lineage": "main"})]


def test_reports_that_are_all_alike_reach_the_alarm_at_once():
    alike = metrics.of_signs("main", {"identical_reports": True, "stagnant": True})
    assert named(alike, "IdenticalResults") == [(IDENTICAL_REPORTS, {"Lineage": "main"})]
    assert metrics.of_signs("main", {"identical_reports": False, "prompt_chars": 9}) == []


@pytest.mark.parametrize(
    ("opened", "outcome"),
    [
        (CycleOpened(go=True, lineage="main", cycle_id="c"), "opened"),
        (CycleOpened(go=False, reason="paused", lineage="main", cycle_id="c"), "paused"),
        (
            CycleOpened(go=False, reason="another_lineage: 'x'", lineage="main", cycle_id="c"),
            "another_lineage",
        ),
    ],
)
def test_every_tick_is_counted_by_its_outcome(opened, outcome):
    state = LoopState("main", version=4, committed_version=2)
    samples = metrics.of_tick(opened, state, 15.0, 20.0)
    assert named(samples, "Ticks") == [(1, {"Lineage": "main", "Outcome": outcome})]
    assert named(samples, "CommitsWaiting") == [(2, {"Lineage": "main"})]
    assert named(samples, "BudgetUsed") == [(75.0, {"Lineage": "main"})]
    assert named(samples, "BudgetLeft") == [(5.0, {"Lineage": "main"})]


@pytest.mark.parametrize("reason", ["daily_budget_spent", "daily_budget_below_one_call"])
def test_a_rest_that_pays_for_no_call_is_a_budget_that_is_spent_so_that_its_alarm_can_fire(reason):
    opened = CycleOpened(go=False, reason=reason, lineage="main", cycle_id="c")
    samples = metrics.of_tick(opened, LoopState("main"), 19.2, 20.0)
    assert named(samples, "BudgetUsed")[0][0] == 100.0
    assert named(samples, "BudgetLeft")[0][0] == pytest.approx(0.8)


def test_a_paused_loop_tells_nothing_that_an_alarm_watches():
    opened = CycleOpened(go=False, reason="paused", lineage="main", cycle_id="c")
    state = LoopState("main", version=4, committed_version=2, paused=True)
    samples = metrics.of_tick(opened, state, 20.0, 20.0)
    assert [sample.metric.name for sample in samples] == ["Ticks", "Version"]
    assert samples[0].dimensions["Outcome"] == "paused", "which NoVerdict does not count"


@pytest.mark.parametrize("written", ["évil", "x" * 500, "a kind of its own", "", None])
def test_a_kind_that_nobody_knows_makes_no_metric_of_its_own(written):
    failed = {
        "lineage": "main",
        "attempt_id": "a#00",
        "status": "test_failed",
        "reason": "x",
        "failure_kind": written,
    }
    assert (
        named(metrics.attempt_samples(Attempt.from_item(failed), None), "Failures")[0][1]["FailureKind"]
        == "other"
    )


@pytest.mark.parametrize("reason", ["I do not want to: it is late", "", "Übel: x", "a" * 41])
def test_a_reason_without_a_machine_word_makes_no_metric_of_its_own(reason):
    skipped = {"lineage": "main", "attempt_id": "a#00", "status": "skipped", "reason": reason}
    assert (
        named(metrics.attempt_samples(Attempt.from_item(skipped), None), "Skips")[0][1]["Reason"] == "other"
    )


def test_a_budget_of_nothing_is_spent():
    opened = CycleOpened(go=False, reason="daily_budget_spent", lineage="main", cycle_id="c")
    assert named(metrics.of_tick(opened, LoopState("main"), 0.0, 0.0), "BudgetUsed")[0][0] == 100.0


def test_what_a_tool_is_called_cannot_break_a_dimension():
    (sample,) = metrics.of_tool_call("évil\n" + "x" * 500, "")
    assert sample.dimensions == {"Tool": "vil" + "x" * 197, "Outcome": "unknown"}


def test_each_metric_has_one_name_and_a_meaning():
    names = [metric.name for metric in metrics.METRICS]
    assert len(names) == len(set(names))
    assert all(metric.meaning and metric.unit for metric in metrics.METRICS)
    named = {id(value) for value in vars(metrics).values() if isinstance(value, metrics.Metric)}
    assert named | {id(metric) for metric in metrics.OF_ATTEMPT.values()} == {id(m) for m in metrics.METRICS}


def test_a_set_of_dimensions_is_one_line_in_the_embedded_format(capsys, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "conclude")
    verdict = ("main", "adopted")
    emit(
        [
            Sample(metrics.ATTEMPTS, 1, verdict),
            Sample(metrics.BITRATE, 4.5, verdict),
            Sample(metrics.IDENTICAL, 1, ("main",)),
        ]
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 2
    (told,) = lines[0]["_aws"]["CloudWatchMetrics"]
    assert told["Namespace"] == "CodecEvolution"
    assert told["Dimensions"] == [["Lineage", "Status"]]
    assert told["Metrics"] == [
        {"Name": "Attempts", "Unit": "Count"},
        {"Name": "Bitrate", "Unit": "Megabits/Second"},
    ]
    assert lines[0]["Bitrate"] == [4.5]


def test_every_metric_has_a_unit_that_cloudwatch_knows(capsys):
    emit(Sample(metric, 1.0, tuple("x" for _ in metric.dimensions)) for metric in metrics.METRICS)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = {each["Name"] for line in lines for each in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert told == {metric.name for metric in metrics.METRICS}
