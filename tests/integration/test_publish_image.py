"""PublishImage's handler with the settings of the deployed function: CodeBuild ends at this test, the table is real."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from codec_evolution import artifacts
from codec_evolution.adapters.images import BenchmarkImage, CodeBuildImages
from codec_evolution.framework import modifications as states
from codec_evolution.ports import ImageBuild

from infra.commands.framework_calls import modifications_of
from infra.local.synthesis import ROOT
from tests.support.lambda_context import CONTEXT

ID = "2004-01-01T00:00:00.000Z#image"


@pytest.fixture
def handler(session, monkeypatch) -> Any:
    outputs = session.deployment.client("cloudformation").describe_stacks(StackName="CodecEvolutionApp")
    names = {each["OutputKey"]: each["OutputValue"] for each in outputs["Stacks"][0]["Outputs"]}
    deployed = session.deployment.client("lambda").get_function_configuration(
        FunctionName=names["PublishImageFunction"]
    )
    for variable, value in deployed["Environment"]["Variables"].items():
        if not variable.startswith(("AWS_", "PYTHON", "LD_")):
            monkeypatch.setenv(variable, value)
    spec = importlib.util.spec_from_file_location(
        "publish_image", ROOT / "functions/publish_image/handler.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.lambda_handler


def test_the_end_of_a_build_is_noted_at_the_call_that_it_was_started_for(session, handler, monkeypatch):
    table = modifications_of(session)
    call = states.requested(ID, tool="install_python_package", arguments={}, reason="r", now=ID[:24])
    table.put_once(call.with_status("applied", states.Facts(image_status="building", build="p:1")))
    lock = artifacts.framework_overlay(states.IMAGE_LOCK)
    session.bucket.put_json(lock, {"sha256": "s"})
    ended = ImageBuild("p:1", True, "r@sha256:1", ID, "s", "ended", "b@sha256:2")
    monkeypatch.setattr(CodeBuildImages, "finished", lambda self, build: ended)
    monkeypatch.setattr(BenchmarkImage, "publish", lambda self, image, label: "7")
    assert (
        handler({"build": "arn:aws:codebuild:us-east-1:000000000000:build/p:1"}, CONTEXT)["status"] == "live"
    )
    noted = table.get(ID)
    assert noted is not None
    assert noted.image_message == "the benchmark runs r@sha256:1 as version 7, built on b@sha256:2"
