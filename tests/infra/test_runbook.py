"""What infra/README.md says about metrics and alarms is what the code emits and the template watches."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from codec_evolution.loop import metrics

from infra.settings import Settings
from tests.support.assemblies import ALL_ALARMS

README = (Path(__file__).resolve().parents[2] / "infra/README.md").read_text("utf-8")
PREFIX = "CodecEvolutionApp-"


def rows(heading: str) -> list[list[str]]:
    """The cells of the only table below a heading, without its head."""
    section = README.partition(f"\n{heading}\n")[2].split("\n## ")[0].split("\n### ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.fixture(scope="module")
def resources(synthesised) -> dict[str, dict[str, Any]]:
    assembly = synthesised(ALL_ALARMS)
    return json.loads((assembly / "CodecEvolutionApp.template.json").read_text())["Resources"]


def test_the_readme_lists_every_metric_with_its_unit_and_dimensions():
    listed = {
        name: (unit, tuple(at.split(", ")))
        for names, unit, at, _ in rows("## Metrics")
        for name in re.findall(r"`(\w+)`", names)
    }
    assert listed == {each.name: (each.unit, each.dimensions) for each in metrics.METRICS}


def test_the_runbook_has_every_alarm_and_marks_those_that_page(resources):
    alarms = {
        logical: each["Properties"]["AlarmName"].removeprefix(PREFIX)
        for logical, each in resources.items()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    }
    (paging,) = [each for each in resources.values() if each["Type"] == "AWS::CloudWatch::CompositeAlarm"]
    rule = json.dumps(paging["Properties"]["AlarmRule"])
    told = {re.findall(r"`(\w+)`", name)[0]: "(page)" in name for name, *_ in rows("## Alarms")}
    assert told == {name: logical in rule for logical, name in alarms.items()}


def test_each_row_of_the_runbook_says_what_it_means_and_what_to_do():
    for name, means, do in rows("## Alarms"):
        assert len(means) > 20 and len(do) > 40, name


def test_a_metric_or_a_setting_that_a_row_names_exists():
    settings = set(Settings.__dataclass_fields__)
    known = {each.name for each in metrics.METRICS}
    for _, _, do in rows("## Alarms"):
        for word in re.findall(r"`(\w+)`", do):
            assert word in settings | known | {"layers", "MissedTicks", "LostEvents"}, word
