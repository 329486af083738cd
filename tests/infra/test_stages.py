"""Stages: two deployments in one account and region have no name in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.errors import UserError
from infra.settings import STAGE_VARIABLE, Settings, stage_of_environment
from tests.support.assemblies import STAGES
from tests.support.policies import rendered

NAMES = ("AlarmName", "DashboardName", "StateMachineName", "LogGroupName")
UNIQUE = {"AWS::Scheduler::Schedule": "Name"}
"""Properties that are physical names, and one that is a name in this type only."""


def physical_names(folder: Path, settings: Settings) -> Iterator[str]:
    for stack in (settings.data_stack, settings.app_stack):
        yield stack
        template = json.loads((folder / f"{stack}.template.json").read_text())
        for output in template.get("Outputs", {}).values():
            assert "Export" not in output, "an export has one owner in a region"
        for each in template["Resources"].values():
            properties = each.get("Properties", {})
            wanted = (*NAMES, UNIQUE.get(each["Type"], ""))
            yield from (text(properties[name]) for name in wanted if name in properties)


def names_of_a_stage(synthesised: Callable[[Settings], Path], settings: Settings) -> set[str]:
    folder, stage = synthesised(settings), settings.stage
    manifest = json.loads((folder / "manifest.json").read_text())["artifacts"]
    data, app = manifest[settings.data_stack]["properties"], manifest[settings.app_stack]["properties"]
    assert data["tags"] == app["tags"] == {"application": "codec-evolution", "stage": stage, "lineage": stage}
    assert data["terminationProtection"] is True
    # A reference to a resource of the same template is no name.
    return {name for name in physical_names(folder, settings) if not name.startswith("<")}


def text(value: Any) -> str:
    return str(rendered(value))


def test_two_stages_share_no_name_and_the_data_of_each_are_tagged_and_protected(
    synthesised: Callable[[Settings], Path],
) -> None:
    first, second = (names_of_a_stage(synthesised, stage) for stage in STAGES)
    assert len(first) == len(second) > 15
    assert not first & second
    assert all(name.removeprefix("/aws/vendedlogs/states/").startswith("a-") for name in first)


def test_two_regions_share_no_dashboard(app_resources: dict[str, Any]) -> None:
    (dashboard,) = [each for each in app_resources.values() if each["Type"] == "AWS::CloudWatch::Dashboard"]
    assert {"Ref": "AWS::Region"} in dashboard["Properties"]["DashboardName"]["Fn::Join"][1]


def test_a_stage_evolves_a_lineage_of_its_own() -> None:
    """Metrics and git branches carry the lineage."""
    assert Settings(stage="blue").lineage == "blue"
    assert Settings(stage="blue", lineage="green").lineage == "green"
    assert Settings().lineage == "main"


@pytest.mark.parametrize("stage", ["A", "a-b", "1a", "x" * 13, "a b"])
def test_a_stage_that_aws_would_refuse_in_a_name_is_refused(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="stage must be"):
        Settings(stage=stage)
    monkeypatch.setenv(STAGE_VARIABLE, stage)
    with pytest.raises(UserError, match="stage must be"):
        stage_of_environment()
