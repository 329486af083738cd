"""Each alarm fires on what it is for, and on nothing else: evaluated over what the emitter really writes.

CloudWatch is played by a few lines: one period, its statistics, and the metric math that the alarms use.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from codec_evolution.adapters.emf import emit
from codec_evolution.contracts import CycleOpened, Report
from codec_evolution.loop import metrics
from codec_evolution.ports import LoopState
from codec_evolution.record import Attempt

from tests.support.assemblies import ALL_ALARMS
from tests.support.cloudwatch import Series, of_alarm, values_of_log

PREFIX = "CodecEvolutionApp-"
STATISTICS: dict[str, Callable[[list[float]], float]] = {"Sum": sum, "Maximum": max, "Minimum": min}
OF_THE_LOOP = {
    "NoVerdict",
    "SandboxLayerLost",
    "FailureRate",
    "IdenticalResults",
    "Stagnation",
    "Budget80",
    "Budget100",
    "AdoptionWaitsForCommit",
    "HostAway",
    "PausedItself",
}


def tick(outcome: str = "opened", spent: float = 1.0, **state: Any) -> None:
    opened = CycleOpened(go=outcome == "opened", reason=outcome, lineage="main", cycle_id="c")
    emit(metrics.of_tick(opened, LoopState("main", **state), spent, 20.0))


def attempt(status: str, layers: int = 5, **fields: Any) -> None:
    record = {"lineage": "main", "attempt_id": "a#00", "status": status, "failure_kind": "crash"}
    record["reason"] = "infrastructure: x"
    in_force = {f"layer{n}": "ok" for n in range(layers)}
    report = Report(outcome="passed", source_sha256="s", clip_set="c", layers=in_force)
    emit(metrics.attempt_samples(Attempt.from_item(record | fields), report))


def quiet() -> None:
    """A day on which all is well: ticks, an adoption, some rejections, few failures."""
    for _ in range(30):
        tick(version=3, committed_version=3)
    for status in ("adopted", *["rejected"] * 10, *["test_failed"] * 5):
        attempt(status, bd_rate_vs_incumbent=-3.0)


def paused() -> None:
    """A paused loop that still ticks, with its money spent and a version that is not committed."""
    for _ in range(60):
        tick("paused", spent=20.0, paused=True, paused_reason="holidays", version=4, committed_version=3)


def paused_itself() -> None:
    """A loop whose incumbent fails, as Conclude pauses it."""
    tick("paused", paused=True, paused_reason="incumbent_failed: version 4 fails (policy)")


def silent() -> None:
    """A schedule that is off."""


def hung() -> None:
    for _ in range(12):
        tick("busy", version=3, committed_version=3)


def layer_gone() -> None:
    attempt("rejected", layers=5)
    attempt("rejected", layers=4)


def failing() -> None:
    attempt("adopted")
    for _ in range(9):
        attempt("test_failed")


def lost() -> None:
    attempt("adopted")
    for _ in range(9):
        attempt("skipped")


def repeating() -> None:
    attempt("adopted")
    for _ in range(3):
        attempt("rejected", bd_rate_vs_incumbent=0.0)


def stagnant() -> None:
    for _ in range(12):
        attempt("rejected")


def nearly_spent() -> None:
    tick(spent=16.5)


def spent() -> None:
    tick("daily_budget_spent", spent=20.0)


def spent_but_for_a_rest() -> None:
    tick("daily_budget_spent", spent=19.3)


def uncommitted() -> None:
    for _ in range(5):
        tick(version=4, committed_version=3)


def host_away() -> None:
    emit(metrics.of_host_away("main"))


@pytest.fixture(scope="module")
def alarms(synthesised) -> dict[str, dict[str, Any]]:
    assembly = synthesised(ALL_ALARMS)
    resources = json.loads((assembly / "CodecEvolutionApp.template.json").read_text())["Resources"]
    found = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    return {each["AlarmName"].removeprefix(PREFIX): each for each in found}


@pytest.fixture
def firing(alarms, capsys) -> Callable[[Callable[[], None]], set[str]]:
    """Return the alarms that a period with these events in it brings to ALARM."""

    def play(events: Callable[[], None]) -> set[str]:
        capsys.readouterr()
        events()
        told: dict[Series, list[float]] = {}
        for series, values in values_of_log(capsys.readouterr().out.splitlines()):
            told.setdefault(series, []).extend(values)
        return {name for name in OF_THE_LOOP if breaches(alarms[name], told)}

    return play


def breaches(alarm: dict[str, Any], told: dict[Series, list[float]]) -> bool:
    value = value_of(alarm, told)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["TreatMissingData"] == "notBreaching"
    return value is not None and value >= alarm["Threshold"]


def value_of(alarm: dict[str, Any], told: dict[Series, list[float]]) -> float | None:
    """The alarm's metric in the period; None where there is no data."""
    if "MetricName" in alarm:
        return statistic(alarm, alarm["Statistic"], told)
    parts = {
        each["Id"]: statistic(each["MetricStat"]["Metric"], each["MetricStat"]["Stat"], told)
        for each in alarm["Metrics"]
        if "MetricStat" in each
    }
    (expression,) = [each["Expression"] for each in alarm["Metrics"] if "Expression" in each]
    names = {
        **parts,
        "FILL": lambda value, other: np.float64(other if value is None else value),
        "IF": lambda condition, yes, no: yes if condition else no,
    }
    if "FILL" not in expression and None in parts.values():
        return None
    with np.errstate(all="ignore"):
        return float(eval(expression.replace(" AND ", " and "), {"__builtins__": {}}, names))


def statistic(metric: dict[str, Any], name: str, told: dict[Series, list[float]]) -> float | None:
    at = frozenset((each["Name"], each["Value"]) for each in metric["Dimensions"])
    values = told.get((metric["Namespace"], metric["MetricName"], at))
    return STATISTICS[name](values) if values else None


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (hung, {"NoVerdict"}),
        (layer_gone, {"SandboxLayerLost"}),
        (failing, {"FailureRate"}),
        (lost, {"FailureRate"}),
        (repeating, {"IdenticalResults"}),
        (stagnant, {"Stagnation"}),
        (nearly_spent, {"Budget80"}),
        (spent, {"Budget80", "Budget100"}),
        (spent_but_for_a_rest, {"Budget80", "Budget100"}),
        (uncommitted, {"AdoptionWaitsForCommit"}),
        (host_away, {"HostAway"}),
        (paused_itself, {"PausedItself"}),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_an_alarm_fires_on_what_it_is_for(firing, events, expected):
    assert firing(events) == expected


@pytest.mark.parametrize("events", [quiet, paused, silent], ids=lambda each: each.__name__)
def test_none_fires_on_a_quiet_a_paused_or_a_sleeping_loop(firing, events):
    assert firing(events) == set()


def test_every_alarm_of_the_loop_is_played(alarms):
    watched = {name: {series[0] for series in of_alarm(alarm)} for name, alarm in alarms.items()}
    assert {name for name, spaces in watched.items() if metrics.NAMESPACE in spaces} == OF_THE_LOOP


def test_an_alarm_that_needs_several_periods_sees_the_loop_in_each(alarms):
    """A tick a minute: no period of a rule may be shorter than that, or it would miss data and never fire."""
    for name in OF_THE_LOOP:
        alarm = alarms[name]
        period = alarm.get("Period") or max(
            each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each
        )
        assert period >= 300, name
        assert alarm["EvaluationPeriods"] == 1 or name == "AdoptionWaitsForCommit"
