"""What CloudWatch is asked for by dashboard and alarms, and what the functions' logs tell it.

A series is namespace, name and the exact set of dimensions with their values: one that differs in any of them is
another series, and a graph of it stays empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

Resources = dict[str, dict[str, Any]]
Series = tuple[str, str, frozenset[tuple[str, str]]]


def dashboard_widgets(resources: Resources) -> list[dict[str, Any]]:
    """Return the widgets of the template's only dashboard; a reference is the logical id that it names."""
    (dashboard,) = [each for each in resources.values() if each["Type"] == "AWS::CloudWatch::Dashboard"]
    parts = dashboard["Properties"]["DashboardBody"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else _referred(part) for part in parts)
    return json.loads(text)["widgets"]


def of_dashboard(widgets: Iterable[dict[str, Any]]) -> Iterator[Series]:
    """Every series that a graph names, those that an expression is made of among them."""
    for widget in widgets:
        for row in widget["properties"].get("metrics", []):
            if isinstance(row[0], dict):
                continue
            namespace, name, *rest = row
            pairs = [part for part in rest if isinstance(part, str)]
            yield namespace, name, frozenset(zip(pairs[::2], pairs[1::2], strict=True))


def of_alarm(alarm: dict[str, Any]) -> Iterator[Series]:
    """Every series that an alarm watches; ``alarm`` is its properties."""
    watched = [alarm] if "MetricName" in alarm else []
    watched += [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
    for each in watched:
        at = frozenset((one["Name"], str(one["Value"])) for one in each["Dimensions"])
        yield each["Namespace"], each["MetricName"], at


def of_log(lines: Iterable[str]) -> Iterator[Series]:
    """Every series that lines of a log hold in the embedded metric format, as CloudWatch reads it."""
    for series, _ in values_of_log(lines):
        yield series


def values_of_log(lines: Iterable[str]) -> Iterator[tuple[Series, list[float]]]:
    """Every series with the values of one line, in the order of the lines."""
    for line in lines:
        if '"_aws"' not in line:
            continue
        told = json.loads(line)
        for directive in told["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                at = frozenset((name, told[name]) for name in names)
                for metric in directive["Metrics"]:
                    yield (directive["Namespace"], metric["Name"], at), told[metric["Name"]]


def _referred(reference: dict[str, Any]) -> str:
    (target,) = reference.values()
    return target if isinstance(target, str) else str(target[0] if isinstance(target, list) else target)
