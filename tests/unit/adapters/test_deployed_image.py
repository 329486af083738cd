"""The image of the deployed sources: found or built, waited for so long and no longer, and told to CloudFormation."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.stub import Stubber
from codec_evolution.adapters import custom_resource, deployed_image
from codec_evolution.adapters.custom_resource import ResourceRequest, answer
from codec_evolution.adapters.deployed_image import UNREAD_BASE, DeployedImage
from codec_evolution.ports import PublishRefused

TAG, DIGEST, BUILD = "live-abc", f"sha256:{'0' * 64}", "images:1"
BASE = f"public.ecr.aws/lambda/python@sha256:{'1' * 64}"


@pytest.fixture
def image(monkeypatch) -> Iterator[tuple[DeployedImage, Stubber, Stubber]]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(deployed_image, "POLL_S", 0.001)
    made = DeployedImage("images", "repository")
    with Stubber(made._codebuild) as builds, Stubber(made._ecr) as ecr:
        yield made, builds, ecr
        builds.assert_no_pending_responses()
        ecr.assert_no_pending_responses()


def lacks(ecr: Stubber) -> None:
    ecr.add_client_error("describe_images", "ImageNotFoundException")


def has(ecr: Stubber) -> None:
    asked = {"repositoryName": "repository", "imageIds": [{"imageTag": TAG}]}
    ecr.add_response("describe_images", {"imageDetails": [{"imageDigest": DIGEST}]}, asked)


def starts(builds: Stubber) -> None:
    variable = {"name": "IMAGE_TAG", "value": TAG, "type": "PLAINTEXT"}
    asked = {"projectName": "images", "idempotencyToken": "r", "environmentVariablesOverride": [variable]}
    builds.add_response("start_build", {"build": {"id": BUILD, "buildStatus": "IN_PROGRESS"}}, asked)


def stands(builds: Stubber, status: str) -> None:
    found: dict[str, Any] = {"id": BUILD, "buildStatus": status, "logs": {"deepLink": "https://log"}}
    if status == "SUCCEEDED":
        found["exportedEnvironmentVariables"] = [{"name": "BASE_IMAGE", "value": BASE}]
    builds.add_response("batch_get_builds", {"builds": [found]}, {"ids": [BUILD]})


def soon() -> float:
    return time.monotonic() + 60


def test_an_image_that_is_there_is_not_built_again(image):
    made, _, ecr = image
    has(ecr)
    assert made.ensure(TAG, "r", soon()) == (DIGEST, UNREAD_BASE)


def test_an_image_that_lacks_is_built_and_known_by_its_digest(image):
    made, builds, ecr = image
    lacks(ecr)
    starts(builds)
    stands(builds, "IN_PROGRESS")
    stands(builds, "SUCCEEDED")
    has(ecr)
    assert made.ensure(TAG, "r", soon()) == (DIGEST, BASE)


@pytest.mark.parametrize("status", ["FAILED", "FAULT", "TIMED_OUT", "STOPPED"])
def test_a_build_that_fails_names_its_log(image, status):
    made, builds, ecr = image
    lacks(ecr)
    starts(builds)
    stands(builds, status)
    with pytest.raises(PublishRefused, match=f"{BUILD} ended as {status}: https://log"):
        made.ensure(TAG, "r", soon())


def test_a_call_that_aws_refuses_is_a_reason_too(image):
    made, _, ecr = image
    ecr.add_client_error("describe_images", "AccessDeniedException")
    with pytest.raises(PublishRefused, match="AccessDenied"):
        made.ensure(TAG, "r", soon())


def test_a_build_is_waited_for_until_the_functions_time_is_over(image):
    made, builds, ecr = image
    lacks(ecr)
    starts(builds)
    with pytest.raises(PublishRefused, match="is not done in time"):
        made.ensure(TAG, "r", time.monotonic())


# --- the answer --------------------------------------------------------------------------------------


class _CloudFormation(BaseHTTPRequestHandler):
    """Takes what is put, as the bucket behind the signed address does."""

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = self.server.refusals.pop() if self.server.refusals else 0  # type: ignore[attr-defined]
        self.server.put.append((self.headers["Content-Type"], json.loads(body)))  # type: ignore[attr-defined]
        self.send_response(refused or 200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def cloudformation(monkeypatch) -> Iterator[SimpleNamespace]:
    monkeypatch.setattr(custom_resource, "PAUSE_S", 0.001)
    server = HTTPServer(("127.0.0.1", 0), _CloudFormation)
    server.put, server.refusals = [], []  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    asked = {
        "RequestType": "Create",
        "ResponseURL": "https://signed",
        "StackId": "stack",
        "RequestId": "r",
        "LogicalResourceId": "Image",
        "ResourceProperties": {"ServiceToken": "arn", "Tag": TAG},
    }
    request = ResourceRequest.model_validate(asked)
    request = request.model_copy(update={"url": f"http://127.0.0.1:{server.server_port}/"})
    yield SimpleNamespace(server=server, request=request)
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_an_image_is_told_with_its_digest(cloudformation):
    answer(cloudformation.request, {"Digest": DIGEST})
    ((kind, said),) = cloudformation.server.put
    assert kind == "", "the address is signed for none"
    assert said == {
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": "Image",
        "StackId": "stack",
        "RequestId": "r",
        "LogicalResourceId": "Image",
        "Data": {"Digest": DIGEST},
    }


def test_a_failure_is_told_with_its_reason_within_what_cloudformation_takes(cloudformation):
    answer(cloudformation.request, failure="x" * 10_000)
    ((_, said),) = cloudformation.server.put
    assert said["Status"] == "FAILED"
    assert len(json.dumps(said)) < 4096


def test_an_answer_that_is_refused_once_is_put_again(cloudformation):
    cloudformation.server.refusals.append(503)
    answer(cloudformation.request)
    assert len(cloudformation.server.put) == 2
