"""One synthesis for all infrastructure tests, as the local deployment makes it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.local.synthesis import CDK_ENVIRONMENT
from infra.settings import Settings
from tests.support.assemblies import CROWD, PLAIN
from tests.support.templates import named

# Before a test imports the CDK, whose Node.js keeps the environment of its start.
os.environ.update(CDK_ENVIRONMENT)

Resources = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def assembly(synthesised: Callable[[Settings], Path]) -> Path:
    return synthesised(PLAIN)


@pytest.fixture(scope="session")
def data_resources(assembly: Path) -> Resources:
    return json.loads((assembly / "CodecEvolutionData.template.json").read_text())["Resources"]


@pytest.fixture(scope="session")
def app_resources(assembly: Path) -> Resources:
    return json.loads((assembly / "CodecEvolutionApp.template.json").read_text())["Resources"]


@pytest.fixture(scope="session")
def crowd_assembly(synthesised: Callable[[Settings], Path]) -> Path:
    """The app with more slots than one execution runs at the same time."""
    return synthesised(CROWD)


@pytest.fixture(scope="session")
def crowd_resources(crowd_assembly: Path) -> Resources:
    return json.loads((crowd_assembly / "CodecEvolutionApp.template.json").read_text())["Resources"]


@pytest.fixture(scope="session")
def definition(app_resources: Resources) -> dict[str, Any]:
    return definition_of(app_resources)


@pytest.fixture(scope="session")
def crowd_definition(crowd_resources: Resources) -> dict[str, Any]:
    return definition_of(crowd_resources)


def definition_of(resources: Resources, of: str = "CycleStateMachine") -> dict[str, Any]:
    machine = named(resources, "AWS::StepFunctions::StateMachine", of)
    parts = machine["Properties"]["DefinitionString"]["Fn::Join"][1]
    return json.loads("".join(part if isinstance(part, str) else part.get("Ref", "arn") for part in parts))
