"""One publish at a time: where two meet, Lambda refuses one by the hash of its code or the revision of the alias."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber
from codec_evolution import artifacts
from codec_evolution.adapters.publish import CodePublisher
from codec_evolution.candidate import sha256_hex
from codec_evolution.ports import PublishRefused

from tests.support.memory_bucket import MemoryBucket

SEARCH = "layers/common/python/codec_evolution/planners/search.py"
CONTENT = "AMENDED = 1\n"
PACKAGE = "package.zip"


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[CodePublisher, Stubber]]:
    """The publisher up to the moment when it has given the function its code."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    package = tmp_path / PACKAGE
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("handler.py", "")
    overlay = {"content": CONTENT, "sha256": sha256_hex(CONTENT)}
    bucket: Any = MemoryBucket({artifacts.framework_overlay(SEARCH): overlay})
    adapter = CodePublisher(["Plan"], bucket)
    with Stubber(adapter._client) as stubber:
        stubber.add_response(
            "get_alias", {"RevisionId": "revision"}, {"FunctionName": "Plan", "Name": "live"}
        )
        stubber.add_response("get_function_configuration", {"Version": "3", "Description": ""}, ANY_LIVE)
        stubber.add_response("get_function", {"Code": {"Location": package.as_uri()}}, ANY_LIVE)
        stubber.add_response(
            "update_function_code", {"CodeSha256": "ours"}, {"FunctionName": "Plan", "ZipFile": ANY}
        )
        updated = {"Configuration": {"LastUpdateStatus": "Successful"}}
        stubber.add_response("get_function", updated, {"FunctionName": "Plan"})
        yield adapter, stubber
        stubber.assert_no_pending_responses()


ANY_LIVE = {"FunctionName": "Plan", "Qualifier": "live"}
PUBLISH = {"FunctionName": "Plan", "Description": ANY, "CodeSha256": "ours"}
MOVE = {"FunctionName": "Plan", "Name": "live", "FunctionVersion": "4", "RevisionId": "revision"}


def healthy(stubber: Stubber) -> None:
    stubber.add_response("publish_version", {"Version": "4"}, PUBLISH)
    body = json.dumps({"errorType": "ContractError", "errorMessage": "item is missing"}).encode()
    answer = {"Payload": StreamingBody(io.BytesIO(body), len(body)), "FunctionError": "Unhandled"}
    stubber.add_response("invoke", answer, {"FunctionName": "Plan:4", "Payload": ANY})


def latest_is(stubber: Stubber, code_sha256: str) -> None:
    stubber.add_response("get_function_configuration", {"CodeSha256": code_sha256}, {"FunctionName": "Plan"})


def restore(stubber: Stubber, live: Path) -> None:
    """Expect that ``$LATEST`` is given the live version's code again."""
    given = {"FunctionName": "Plan", "ZipFile": live.read_bytes()}
    stubber.add_response("update_function_code", {}, given)
    updated = {"Configuration": {"LastUpdateStatus": "Successful"}}
    stubber.add_response("get_function", updated, {"FunctionName": "Plan"})


def publish(adapter: CodePublisher) -> str:
    return adapter.publish({SEARCH: sha256_hex(CONTENT)})


def test_what_is_published_is_what_was_given_and_the_alias_moves_from_where_it_was_seen(publisher):
    adapter, stubber = publisher
    healthy(stubber)
    stubber.add_response("update_alias", {}, MOVE)
    assert publish(adapter).endswith("in Plan")


def test_code_that_another_publishing_has_replaced_is_not_published(publisher):
    adapter, stubber = publisher
    stubber.add_client_error(
        "publish_version", "InvalidParameterValueException", "CodeSha256", 400, {}, PUBLISH
    )
    latest_is(stubber, "theirs")
    with pytest.raises(PublishRefused, match="CodeSha256"):
        publish(adapter)


def test_an_alias_that_another_publishing_has_moved_stays_there(publisher, tmp_path):
    adapter, stubber = publisher
    healthy(stubber)
    stubber.add_client_error("update_alias", "PreconditionFailedException", expected_params=MOVE)
    latest_is(stubber, "ours")
    restore(stubber, tmp_path / PACKAGE)
    with pytest.raises(PublishRefused, match="PreconditionFailed"):
        publish(adapter)


def test_refused_code_does_not_stay_where_the_next_version_is_made_from(publisher, tmp_path):
    adapter, stubber = publisher
    stubber.add_response("publish_version", {"Version": "4"}, PUBLISH)
    body = json.dumps({"errorType": "RuntimeError", "errorMessage": "down"}).encode()
    answer = {"Payload": StreamingBody(io.BytesIO(body), len(body)), "FunctionError": "Unhandled"}
    stubber.add_response("invoke", answer, {"FunctionName": "Plan:4", "Payload": ANY})
    latest_is(stubber, "ours")
    restore(stubber, tmp_path / PACKAGE)
    with pytest.raises(PublishRefused, match="does not come up"):
        publish(adapter)
