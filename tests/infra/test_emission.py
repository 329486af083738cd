"""What dashboard and alarms ask for is what comes out of the emitter: same name, same dimensions, same values."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from codec_evolution import record
from codec_evolution.adapters.emf import emit
from codec_evolution.contracts import CycleOpened, Report
from codec_evolution.loop import cycle, metrics
from codec_evolution.ports import INCUMBENT_FAILED, LoopState
from codec_sandbox import faults

from tests.support.assemblies import OTHER_HOST
from tests.support.cloudwatch import Resources, Series, dashboard_widgets, of_alarm, of_dashboard, of_log

LINEAGE = OTHER_HOST.lineage
FIGURES = {
    **dict.fromkeys(("bitrate_mbps", "compression_ratio", "psnr_db", "bd_rate_vs_hevc"), 1.0),
    **dict.fromkeys(("tokens_in", "tokens_cache_read", "tokens_cache_write", "tokens_out"), 1),
    **dict.fromkeys(("plan_s", "measure_s", "confirm_s", "llm_cost_usd", "compute_cost_usd"), 1.0),
    **{"lineage": LINEAGE, "attempt_id": "a#00", "bd_rate_vs_incumbent": 0.0},
}


def attempt(**fields: str) -> record.Attempt:
    return record.Attempt.from_item({**FIGURES, **fields})


@pytest.fixture(scope="module")
def resources(synthesised) -> Resources:
    """The app of a lineage that is not the default one, with a repository, so that every alarm is there."""
    assembly = synthesised(OTHER_HOST)
    return json.loads((assembly / "CodecEvolutionApp.template.json").read_text())["Resources"]


@pytest.fixture
def told(capsys, monkeypatch) -> set[Series]:
    """Everything that the loop can say about its lineage, through the real emitter."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "conclude")
    report = Report(outcome="passed", source_sha256="s", clip_set="c", layers={"seccomp": "ok"})
    for status in record.STATUSES:
        emit(metrics.attempt_samples(attempt(status=status, reason="infrastructure: gone"), report))
    for kind in (*metrics.FAILURE_KINDS, "anything else"):
        emit(metrics.attempt_samples(attempt(status="test_failed", failure_kind=kind), None))
    for outcome in ("opened", *cycle.REFUSALS):
        opened = CycleOpened(go=outcome == "opened", reason=outcome, lineage=LINEAGE, cycle_id="c")
        emit(metrics.of_tick(opened, LoopState(LINEAGE), 1.0, 2.0))
    own_pause = LoopState(LINEAGE, paused=True, paused_reason=f"{INCUMBENT_FAILED}: version 1 fails")
    emit(metrics.of_tick(CycleOpened(go=False, lineage=LINEAGE, cycle_id="c"), own_pause, 1.0, 2.0))
    emit(metrics.of_host_away(LINEAGE))
    return set(of_log(capsys.readouterr().out.splitlines()))


def own(series: Any) -> set[Series]:
    return {each for each in series if each[0] == metrics.NAMESPACE}


def test_every_graph_asks_for_a_series_that_is_told(resources, told):
    asked = own(of_dashboard(dashboard_widgets(resources)))
    assert len(asked) > 40
    assert asked <= told


def test_every_alarm_watches_a_series_that_is_told(resources, told):
    alarms = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    watched = {each["AlarmName"]: own(of_alarm(each)) for each in alarms}
    assert sum(map(bool, watched.values())) >= 8
    for name, asked in watched.items():
        assert asked <= told, name


def test_a_search_on_the_dashboard_names_exactly_the_dimensions_that_are_told(resources, capsys):
    emit(metrics.of_tool_call("restart_orchestrator", "applied"))
    ((namespace, name, at),) = set(of_log(capsys.readouterr().out.splitlines()))
    searched = re.findall(
        r"SEARCH\('\{([^}]*)\} MetricName=\"(\w+)\"",
        json.dumps(dashboard_widgets(resources)).replace('\\"', '"'),
    )
    assert searched == [(",".join([namespace, *(key for key, _ in sorted(at, reverse=True))]), name)]


def test_every_kind_that_the_sandbox_knows_has_a_line_of_its_own():
    assert (*faults.KINDS, "other_hardware") == metrics.FAILURE_KINDS


def test_every_reason_for_which_a_cycle_is_refused_has_a_line_of_its_own():
    """The reasons in the source are read, because a new one must not be left out of the list."""
    tree = ast.parse(Path(cycle.__file__).read_text("utf-8"))
    (opener,) = [each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == "CycleOpener"]
    said = set()
    for node in ast.walk(opener):
        if isinstance(node, ast.keyword) and node.arg == "reason" and isinstance(node.value, ast.Constant):
            said.add(node.value.value)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant) and node.value.value:
            said.add(str(node.value.value).partition(":")[0])
        if isinstance(node, ast.FunctionDef) and node.name == "_refusal":
            texts = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
            said |= {
                text.partition(":")[0]
                for text in texts
                if isinstance(text, str) and re.fullmatch(r"[a-z]+(_[a-z]+)*(: .*)?", text)
            }
    said -= {"attempts", "spent_usd"}  # attributes of the day's counters
    assert said == set(cycle.REFUSALS)
