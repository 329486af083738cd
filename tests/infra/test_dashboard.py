"""The dashboard: every metric that it names is one that the code emits, and its widgets call what exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from codec_evolution.contracts import CycleOpened, Report
from codec_evolution.loop import metrics
from codec_evolution.loop.metrics import Metric
from codec_evolution.ports import INCUMBENT_FAILED, LoopState
from codec_evolution.record import Attempt
from codec_evolution.widgets.views import VIEWS

from infra.capabilities.dashboard import FAILURE_KINDS, TICK_OUTCOMES
from tests.support.cloudwatch import Resources, dashboard_widgets, of_dashboard

KNOWN = {metric.name: metric for metric in metrics.METRICS}
MACHINE = {"ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut"}


@pytest.fixture(scope="session")
def widgets(app_resources: Resources) -> list[dict[str, Any]]:
    return dashboard_widgets(app_resources)


def named_metrics(widgets: list[dict[str, Any]]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of every metric on the dashboard."""
    for namespace, name, at in of_dashboard(widgets):
        yield namespace, name, dict(at)


def test_every_metric_on_the_dashboard_is_emitted_with_these_dimensions(
    widgets: list[dict[str, Any]],
) -> None:
    own = [(each, at) for namespace, each, at in named_metrics(widgets) if namespace == metrics.NAMESPACE]
    assert len(own) > 30
    for each, at in own:
        assert set(at) == set(KNOWN[each].dimensions)
    others = {each for namespace, each, _ in named_metrics(widgets) if namespace != metrics.NAMESPACE}
    assert others <= MACHINE


def test_every_metric_of_the_code_is_on_the_dashboard_or_watched(
    widgets: list[dict[str, Any]], app_resources: Resources
) -> None:
    shown = {each for _, each, _ in named_metrics(widgets)}
    alarms = json.dumps([each for each in app_resources.values() if each["Type"] == "AWS::CloudWatch::Alarm"])
    watched = {each for each in KNOWN if f'"{each}"' in alarms}
    searched = {each for each in KNOWN if each in json.dumps(widgets)}
    left_to_explore = {"Version", "BudgetLeft", "CompressionRatio", "Psnr", "Skips", "IdenticalResults"}
    assert set(KNOWN) - shown - watched - searched <= left_to_explore


def test_the_code_emits_every_metric_that_is_listed() -> None:
    attempt = {
        **dict.fromkeys(("bitrate_mbps", "compression_ratio", "psnr_db", "bd_rate_vs_hevc"), 1.0),
        **dict.fromkeys(("tokens_in", "tokens_cache_read", "tokens_cache_write", "tokens_out"), 1),
        **{"bd_rate_vs_incumbent": 0.0, "llm_cost_usd": 0.1, "compute_cost_usd": 0.1, "plan_s": 1.0},
        **{"lineage": "main", "attempt_id": "a#00", "reason": "x", "failure_kind": "timeout"},
    }
    report = Report(outcome="passed", source_sha256="s", clip_set="c", layers={"seccomp": "ok"})
    samples = [
        sample
        for status in ("adopted", "test_failed", "skipped")
        for sample in metrics.attempt_samples(Attempt.from_item({**attempt, "status": status}), report)
    ]
    opened = CycleOpened(go=True, lineage="main", cycle_id="c")
    samples += metrics.of_tick(opened, LoopState("main"), 1.0, 2.0)
    own = LoopState("main", paused=True, paused_reason=f"{INCUMBENT_FAILED}: version 1 fails")
    samples += metrics.of_tick(opened, own, 1.0, 2.0)
    samples += metrics.of_tool_call("modify_framework_file", "applied")
    samples += metrics.of_host_away("main")
    assert {sample.metric for sample in samples} == set(metrics.METRICS)


def test_dimensions_that_the_dashboard_names_are_values_that_occur(widgets: list[dict[str, Any]]) -> None:
    values: dict[str, set[str]] = {}
    for namespace, _, at in named_metrics(widgets):
        if namespace == metrics.NAMESPACE:
            for key, value in at.items():
                values.setdefault(key, set()).add(value)
    assert values["Lineage"] == {"main"}
    assert values["Status"] == {"adopted", "rejected", "test_failed", "skipped"}
    assert values["Stage"] == {"plan", "measure", "confirm"}
    assert values["Outcome"] == set(TICK_OUTCOMES)
    assert values["FailureKind"] == set(FAILURE_KINDS)


def test_each_view_is_drawn_once_by_the_live_widget_function(widgets: list[dict[str, Any]]) -> None:
    drawn = [each["properties"] for each in widgets if each["type"] == "custom"]
    assert sorted(each["params"]["view"] for each in drawn) == sorted(VIEWS)
    for each in drawn:
        assert each["endpoint"].startswith("FunctionsWidgetsLive")
        assert each["title"] == VIEWS[each["params"]["view"]].title
        assert each["updateOn"]["refresh"] is True


def test_the_overview_and_the_controls_come_first(widgets: list[dict[str, Any]]) -> None:
    top = sorted(widgets, key=lambda each: (each["y"], each["x"]))
    assert [each["properties"]["title"] for each in top[:3]] == [
        "Overview",
        "Controls",
        "Waiting for approval",
    ]
    for each in widgets:
        assert each["x"] + each["width"] <= 24


def test_every_alarm_is_on_the_dashboard(widgets: list[dict[str, Any]], app_resources: Resources) -> None:
    (status,) = [each["properties"] for each in widgets if each["type"] == "alarm"]
    on_board = {re.sub(r".*:alarm:", "", each) for each in status["alarms"]}
    names = {
        each["Properties"]["AlarmName"]
        for each in app_resources.values()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert on_board == names


def test_a_metric_asks_for_each_of_its_dimensions() -> None:
    from infra.capabilities.dashboard import metric

    with pytest.raises(ValueError, match="zip"):
        metric(Metric("X", "Count", ("Lineage", "Status"), "x"), "main")


def test_console_pages_are_among_the_outputs(assembly: Any) -> None:
    found = {}
    for stack in ("CodecEvolutionData", "CodecEvolutionApp"):
        found |= json.loads((assembly / f"{stack}.template.json").read_text())["Outputs"]
    pages = {name: json.dumps(each["Value"]) for name, each in found.items() if name.endswith("Url")}
    tables = ("EvolutionRecordUrl", "LoopControlUrl", "FrameworkModificationsUrl")
    assert set(pages) == {"DashboardUrl", "StateMachineUrl", "AlarmsUrl", *tables}
    for page in pages.values():
        assert ".console.aws.amazon.com/" in page and '{"Ref": "AWS::Region"}' in page
    for name in tables:
        assert "#item-explorer?table=" in pages[name] and name.removesuffix("Url") in pages[name]
