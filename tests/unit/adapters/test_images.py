"""CodeBuild and the benchmark's image at the network's end: what is asked, in which order, and what a fault leaves."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from codec_evolution.adapters import images
from codec_evolution.adapters import publish as publish_adapter
from codec_evolution.adapters.images import BenchmarkImage, CodeBuildImages, rollback_by
from codec_evolution.candidate import sha256_hex
from codec_evolution.ports import PublishLater, PublishRefused

from tests.support.memory_bucket import MemoryBucket

IMAGE, GOOD = "r.example/new@sha256:1", "r.example/assets@sha256:0"
LABEL = "image for m"
BUILD = "Project:1"
ARN = f"arn:aws:codebuild:eu-central-1:1:build/{BUILD}"
LOCK = "numpy==1\n"


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)


@pytest.fixture
def builds():
    adapter = CodeBuildImages("Project", MemoryBucket())
    with Stubber(adapter._client) as stubber:
        yield adapter, stubber
        stubber.assert_no_pending_responses()


def test_a_build_gets_the_lock_file_by_its_hash(builds):
    adapter, stubber = builds
    sha256 = sha256_hex(LOCK)
    asked = {
        "projectName": "Project",
        "idempotencyToken": sha256_hex("m"),
        "environmentVariablesOverride": [
            {"name": "LOCK_SHA256", "value": sha256, "type": "PLAINTEXT"},
            {"name": "MODIFICATION_ID", "value": "m", "type": "PLAINTEXT"},
        ],
    }
    stubber.add_response("start_build", {"build": {"id": BUILD}}, asked)
    assert adapter.start("m", LOCK) == BUILD
    assert adapter._bucket == {f"framework/images/{sha256}/requirements.lock": LOCK}


def test_a_build_that_is_not_started_is_said(builds):
    adapter, stubber = builds
    stubber.add_client_error("start_build", "AccountLimitExceededException")
    with pytest.raises(PublishRefused, match="AccountLimitExceeded"):
        adapter.start("m", LOCK)


def ended(status: str, **facts: Any) -> dict[str, Any]:
    variables = [{"name": "MODIFICATION_ID", "value": "m"}, {"name": "LOCK_SHA256", "value": "s"}]
    return {"id": BUILD, "buildStatus": status, "environment": _environment(variables), **facts}


def _environment(variables: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "type": "LINUX_CONTAINER",
        "image": "i",
        "computeType": "BUILD_GENERAL1_SMALL",
        "environmentVariables": variables,
    }


@pytest.mark.parametrize(
    ("build", "succeeded", "said"),
    [
        (
            ended("SUCCEEDED", exportedEnvironmentVariables=[{"name": "IMAGE", "value": IMAGE}]),
            True,
            "SUCCEEDED",
        ),
        (ended("SUCCEEDED"), False, "SUCCEEDED"),
        (
            ended(
                "FAILED",
                phases=[
                    {"phaseType": "INSTALL", "phaseStatus": "SUCCEEDED"},
                    {"phaseType": "PRE_BUILD", "phaseStatus": "FAILED"},
                ],
                logs={"deepLink": "https://console.example/log"},
            ),
            False,
            "ended as FAILED in PRE_BUILD https://console.example/log",
        ),
        (ended("TIMED_OUT"), False, "TIMED_OUT"),
    ],
)
def test_how_a_build_ended(builds, build, succeeded, said):
    adapter, stubber = builds
    stubber.add_response("batch_get_builds", {"builds": [build]}, {"ids": [BUILD]})
    found = adapter.finished(ARN)
    assert found.build == BUILD, "as it was when the build was started"
    assert (found.succeeded, found.modification_id, found.lock_sha256) == (succeeded, "m", "s")
    assert said in found.message


# --- the benchmark's image ---------------------------------------------------------------------------


@pytest.fixture
def benchmark():
    adapter = BenchmarkImage("Benchmark")
    with (
        Stubber(adapter._client) as control,
        Stubber(adapter._invoker) as invoker,
        Stubber(adapter._ecr) as repository,
    ):
        live(control)
        keep(repository)
        yield adapter, control, invoker
        control.assert_no_pending_responses()
        invoker.assert_no_pending_responses()


def live(control: Stubber, description: str = "") -> None:
    control.add_response(
        "get_alias",
        {"Name": "live", "FunctionVersion": "3", "RevisionId": "revision"},
        {"FunctionName": "Benchmark", "Name": "live"},
    )
    control.add_response(
        "get_function",
        {"Configuration": {"Description": description}, "Code": {"ImageUri": GOOD}},
        {"FunctionName": "Benchmark", "Qualifier": "live"},
    )


def keep(repository: Stubber) -> None:
    """Expect the tag of an image that is fit."""
    found = {"images": [{"imageManifest": "m", "imageManifestMediaType": "t"}]}
    digest = {"repositoryName": "new", "imageIds": [{"imageDigest": "sha256:1"}]}
    repository.add_response("batch_get_image", found, digest)
    tagged = {
        "repositoryName": "new",
        "imageManifest": "m",
        "imageManifestMediaType": "t",
        "imageTag": f"{images.KEPT_TAG}1",
    }
    repository.add_response("put_image", {}, tagged)


def take(control: Stubber, image: str) -> None:
    control.add_response(
        "update_function_code", {"CodeSha256": "c"}, {"FunctionName": "Benchmark", "ImageUri": image}
    )
    updated = {"Configuration": {"LastUpdateStatus": "Successful", "State": "Active"}}
    control.add_response("get_function", updated, {"FunctionName": "Benchmark"})


def publish(control: Stubber) -> None:
    control.add_response(
        "publish_version",
        {"Version": "4"},
        {"FunctionName": "Benchmark", "Description": LABEL, "CodeSha256": "c"},
    )
    active = {"Configuration": {"State": "Active"}}
    control.add_response("get_function", active, {"FunctionName": "Benchmark", "Qualifier": "4"})


def answers(invoker: Stubber, event: dict[str, Any], answer: dict[str, Any], error: str = "") -> None:
    body = json.dumps(answer).encode()
    response = {"Payload": StreamingBody(io.BytesIO(body), len(body)), "StatusCode": 200}
    asked = {"FunctionName": "Benchmark:4", "Payload": json.dumps(event).encode()}
    invoker.add_response("invoke", response | ({"FunctionError": error} if error else {}), asked)


MOVE = {"FunctionName": "Benchmark", "Name": "live", "FunctionVersion": "4", "RevisionId": "revision"}


def test_an_image_is_examined_as_a_version_before_the_alias_moves(benchmark):
    adapter, control, invoker = benchmark
    take(control, IMAGE)
    publish(control)
    answers(invoker, {"doctor": True}, {"fit": True})
    answers(invoker, images.SMOKE, {"outcome": "passed"})
    control.add_response("update_alias", {}, MOVE)
    assert adapter.publish(IMAGE, LABEL) == "4"


@pytest.mark.parametrize(
    ("doctor", "smoke", "said"),
    [
        ({"fit": False, "missing": {"seccomp": "no"}}, None, "seccomp"),
        ({"fit": True}, {"outcome": "failed", "failure": {"kind": "crash"}}, "crash"),
        (None, None, "does not come up"),
    ],
    ids=["an unfit sandbox", "version 0 fails", "a dead image"],
)
def test_an_image_that_is_not_healthy_leaves_alias_and_code_where_they_were(benchmark, doctor, smoke, said):
    adapter, control, invoker = benchmark
    take(control, IMAGE)
    publish(control)
    if doctor is None:
        answers(invoker, {"doctor": True}, {"errorType": "Runtime.ExitError"}, "Unhandled")
    else:
        answers(invoker, {"doctor": True}, doctor)
    if smoke:
        answers(invoker, images.SMOKE, smoke)
    take(control, GOOD)
    with pytest.raises(PublishRefused, match=said):
        adapter.publish(IMAGE, LABEL)


def test_a_busy_benchmark_is_asked_again_and_does_not_make_a_good_image_broken(benchmark, monkeypatch):
    adapter, control, invoker = benchmark
    waited = []
    monkeypatch.setattr(publish_adapter.time, "sleep", waited.append)
    take(control, IMAGE)
    publish(control)
    invoker.add_client_error("invoke", "TooManyRequestsException")
    invoker.add_client_error("invoke", "ResourceNotReadyException")
    answers(invoker, {"doctor": True}, {"fit": True})
    answers(invoker, images.SMOKE, {"outcome": "passed"})
    control.add_response("update_alias", {}, MOVE)
    assert adapter.publish(IMAGE, LABEL) == "4"
    assert waited == list(publish_adapter.NOT_YET_WAITS_S[:2])


def test_a_benchmark_that_stays_busy_leaves_the_image_undecided_for_the_next_notice(benchmark, monkeypatch):
    adapter, control, invoker = benchmark
    monkeypatch.setattr(publish_adapter.time, "sleep", lambda _: None)
    take(control, IMAGE)
    publish(control)
    for _ in range(len(publish_adapter.NOT_YET_WAITS_S) + 1):
        invoker.add_client_error("invoke", "TooManyRequestsException")
    take(control, GOOD)
    with pytest.raises(PublishLater, match="TooManyRequests"):
        adapter.publish(IMAGE, LABEL)


def test_an_alias_that_somebody_moved_meanwhile_is_left_alone(benchmark):
    adapter, control, invoker = benchmark
    take(control, IMAGE)
    publish(control)
    answers(invoker, {"doctor": True}, {"fit": True})
    answers(invoker, images.SMOKE, {"outcome": "passed"})
    control.add_client_error("update_alias", "PreconditionFailedException")
    take(control, GOOD)
    with pytest.raises(PublishRefused, match="PreconditionFailed"):
        adapter.publish(IMAGE, LABEL)


def test_an_image_that_is_live_already_is_not_published_again():
    adapter = BenchmarkImage("Benchmark")
    with Stubber(adapter._client) as control:
        live(control, LABEL)
        assert adapter.publish(IMAGE, LABEL) == "3"


def test_a_rollback_is_asked_for_without_waiting(monkeypatch):
    made = []
    real = images.boto3.client

    def client(*given: Any, **options: Any) -> Any:
        made.append(real(*given, **options))
        return made[-1]

    monkeypatch.setattr(images.boto3, "client", client)
    undo = rollback_by("FrameworkTool:live")
    with Stubber(made[0]) as stubber:
        event = {"operation": "rollback", "modification_id": "m"}
        asked = {
            "FunctionName": "FrameworkTool:live",
            "InvocationType": "Event",
            "Payload": json.dumps(event).encode(),
        }
        stubber.add_response("invoke", {"StatusCode": 202}, asked)
        undo("m")
        stubber.assert_no_pending_responses()
