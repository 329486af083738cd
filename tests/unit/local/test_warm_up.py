"""Starting environments of the benchmark before a run needs them."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError
from codec_evolution.loop.cycle import stage_of
from codec_evolution.ports import Objects
from codec_sandbox.request import parse

from infra.local.deploy import LocalDeployment
from infra.local.warm_up import MEASURING, REQUEST, WarmUp


class Benchmark:
    """Lambda's client, whose invocations last until they are let go."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.go = threading.Event()

    def invoke(self, **asked: Any) -> None:
        self.asked.append(asked)
        assert self.go.wait(10)


def warm_up(client: object, environments: int) -> WarmUp:
    deployment = SimpleNamespace(client=lambda _: client, functions={"Benchmark": "app-benchmark"})
    return WarmUp(cast(LocalDeployment, deployment), environments)


def settle() -> None:
    for thread in threading.enumerate():
        if thread.name == "warm-up":
            thread.join(10)


@pytest.mark.parametrize(("comes_up", "others"), [(True, 2), (False, 1)])
def test_the_first_environment_starts_at_once_and_the_others_when_an_attempt_is_at_the_gates(
    comes_up: bool, others: int
) -> None:
    benchmark = Benchmark()
    warm = warm_up(benchmark, 3)
    warm.start()
    warm.saw(["planning"])
    if comes_up:
        benchmark.go.set()
        settle()
    assert len(benchmark.asked) == 1
    for _ in range(2):
        warm.saw(["rejected", MEASURING])
    benchmark.go.set()
    settle()
    assert len(benchmark.asked) == 1 + others, "one that has not come up makes the gates start another"
    asked = {(each["FunctionName"], each["Qualifier"]) for each in benchmark.asked}
    assert asked == {("app-benchmark", "live")}


def test_an_attempt_that_measures_is_said_to() -> None:
    proposed = SimpleNamespace(exists=lambda key: key.endswith("proposal.json"))
    assert stage_of(cast(Objects, proposed), "main", "c#00") == MEASURING


def test_it_asks_for_version_0_without_a_measurement() -> None:
    request = parse(json.loads(REQUEST))
    assert (request.policy, request.stages, request.windows_of) == (None, ("validate",), ())


def test_an_emulator_that_stops_ends_it_quietly() -> None:
    def gone(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    warm_up(SimpleNamespace(invoke=gone), 1).start()
    settle()
