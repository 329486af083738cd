"""Publishing amended code: new versions of the functions that run it, and the way back."""

from __future__ import annotations

import hashlib
import io
import json
import time
import urllib.request
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

import codec_evolution
from codec_evolution import artifacts
from codec_evolution.adapters.clients import client_config
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.contracts import LIVE_ALIAS
from codec_evolution.ports import Publisher, PublishLater, PublishRefused, Sandbox

LAYER = "layers/common/python/"
"""Path of the layer's packages in the checkout."""
DOWNLOAD_TIMEOUT_S = 30
"""Of a function's current package."""
LABEL, DEPLOYED = "amended code", "code as deployed"
"""Descriptions of published versions; the versions of a deployment have neither."""
NOT_YET = frozenset(
    {
        "TooManyRequestsException",
        "ResourceNotReadyException",
        "ResourceConflictException",
        "ENINotReadyException",
        "ENILimitReachedException",
        "EC2ThrottledException",
        "EC2UnexpectedException",
        "ServiceException",
    }
)
"""Errors of an invocation that say nothing about the function: it is busy, updated or asleep."""
NOT_YET_WAITS_S = (5, 10, 20, 30)
"""Seconds between attempts at a function that is not ready."""
CHECK_TIMEOUT_S = 150
"""Of one invocation that checks a release or an image; it runs smoke frames only."""
HEALTHY_ERROR = "ContractError"
"""The error by which a function that starts refuses an event that is not its own."""


class SandboxCheck:
    """The benchmark function as a release check uses it; implements `ports.Sandbox`."""

    def __init__(self, function: str) -> None:
        self._function = function
        self._client = boto3.client("lambda", config=client_config(CHECK_TIMEOUT_S, attempts=1))

    def check(self, attempt_id: str, envelope: Mapping[str, Any]) -> str:
        """Validate a source under its policy and run it on smoke frames; returns what is wrong, or ""."""
        event = {
            "attempt_id": attempt_id,
            "envelope": envelope,
            "stages": ["validate", "smoke"],
            "split": "train",
            "seed": "release",
        }
        try:
            report, error = invoke_when_ready(self._client, self._function, event)
        except PublishLater as later:
            return f"{later}; restart again later"
        except (ClientError, BotoCoreError) as away:
            return f"the benchmark cannot be asked: {away}"
        if error:
            return error
        if report.get("outcome") == "passed":
            return ""
        failure = report.get("failure") or {}
        return f"{failure.get('stage')}: {failure.get('kind')}: {failure.get('message')}"


class CodePublisher:
    """Publishes amended modules in the packages of the functions that run them; implements `ports.Publisher`.

    A function's own package takes precedence over its layers, so the package gets a whole copy of `codec_evolution` as
    last deployed, with the amended files in place. The host has already refused everything else.

    Parameters
    ----------
    functions
        Names of the functions that run amendable code.
    bucket
        Holds the contents of the amended files.
    """

    def __init__(self, functions: Sequence[str], bucket: ArtifactBucket) -> None:
        self._functions = functions
        self._bucket = bucket
        self._client = boto3.client("lambda", config=client_config(250, attempts=2))
        self._package = Path(codec_evolution.__file__).resolve().parent

    def publish(self, code_sha256: Mapping[str, str]) -> str:
        """Make changed code live in all functions, or in none.

        Raises
        ------
        PublishRefused
            A file is missing or altered, a function does not start, or something else was published meanwhile; every
            alias is where it was.
        """
        amended = self._amended(code_sha256)
        label = _label(amended)
        moved: list[tuple[str, str]] = []
        for function in self._functions:
            try:
                before = self._publish_in(function, amended, label)
            except PublishRefused:
                for name, good in moved:
                    self.back_to(name, good)
                raise
            if before:
                moved.append((function, before))
        return f"{label} in {', '.join(name for name, _ in moved)}" if moved else ""

    def publish_one(self, function: str, code_sha256: Mapping[str, str]) -> None:
        """Make changed code live in one function; raises `PublishRefused`, and the alias is where it was."""
        amended = self._amended(code_sha256)
        self._publish_in(function, amended, _label(amended))

    def live_version(self, function: str) -> str:
        """Return the version that a function's alias points to."""
        return str(self._client.get_alias(FunctionName=function, Name=LIVE_ALIAS)["FunctionVersion"])

    def back_to(self, function: str, version: str) -> None:
        """Point a function's alias to an earlier version, and give ``$LATEST`` that version's code again."""
        self._client.update_alias(FunctionName=function, Name=LIVE_ALIAS, FunctionVersion=version)
        self._give_latest(function, self._live_package(function))

    def _publish_in(self, function: str, amended: Mapping[str, str], label: str) -> str:
        """Publish in one function and return the version that served before; "" where this code is live already."""
        alias = self._client.get_alias(FunctionName=function, Name=LIVE_ALIAS)
        live = self._client.get_function_configuration(FunctionName=function, Qualifier=LIVE_ALIAS)
        current = live.get("Description", "")
        if current == label or (not amended and not current.startswith((LABEL, DEPLOYED))):
            return ""
        # The live version's, because $LATEST may hold what another publishing was refused.
        good = self._live_package(function)
        amended_package = self._zip(good, amended)
        taken = self._client.update_function_code(FunctionName=function, ZipFile=amended_package)[
            "CodeSha256"
        ]
        try:
            self._move(function, self._version(function, label, taken), alias["RevisionId"])
        except (PublishRefused, ClientError, BotoCoreError) as error:
            self._drop_latest(function, taken, good)
            raise PublishRefused(str(error)) from None
        return str(live["Version"])

    def _move(self, function: str, version: str, revision: str) -> None:
        # By its revision: if something else moved it meanwhile, Lambda refuses.
        self._client.update_alias(
            FunctionName=function, Name=LIVE_ALIAS, FunctionVersion=version, RevisionId=revision
        )

    def _drop_latest(self, function: str, refused_sha256: str, good: bytes) -> None:
        """Take refused code out of ``$LATEST``, unless somebody else has replaced it: a later version would get it."""
        try:
            latest = self._client.get_function_configuration(FunctionName=function)
            if latest["CodeSha256"] == refused_sha256:
                self._give_latest(function, good)
        except (ClientError, BotoCoreError) as error:
            raise PublishRefused(f"the refused code is still in $LATEST of {function}: {error}") from None

    def _give_latest(self, function: str, package: bytes) -> None:
        self._client.update_function_code(FunctionName=function, ZipFile=package)
        wait_until_updated(self._client, function)

    def _live_package(self, function: str) -> bytes:
        """Download the package of the live version."""
        found = self._client.get_function(FunctionName=function, Qualifier=LIVE_ALIAS)
        with urllib.request.urlopen(found["Code"]["Location"], timeout=DOWNLOAD_TIMEOUT_S) as answer:
            return bytes(answer.read())

    def _amended(self, code_sha256: Mapping[str, str]) -> dict[str, str]:
        """Return the contents of files that are not as last deployed, by path inside the package."""
        found = {}
        for path, sha256 in code_sha256.items():
            if not path.startswith(f"{LAYER}codec_evolution/"):
                continue
            inner = path[len(f"{LAYER}codec_evolution/") :]
            deployed = self._package / inner
            if deployed.is_file() and hashlib.sha256(deployed.read_bytes()).hexdigest() == sha256:
                continue
            overlay = self._bucket.get_json(artifacts.framework_overlay(path)) or {}
            if overlay.get("sha256") != sha256:
                raise PublishRefused(f"the bucket does not have {path} as the host has it")
            found[inner] = overlay["content"]
        return found

    def _version(self, function: str, label: str, code_sha256: str) -> str:
        wait_until_updated(self._client, function)
        return publish_healthy(self._client, function, label, code_sha256)

    def _zip(self, package: bytes, amended: Mapping[str, str]) -> bytes:
        """Return a function's package with `codec_evolution` as amended, or without it for none."""
        old = zipfile.ZipFile(io.BytesIO(package))
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
            for entry in old.infolist():
                if not entry.filename.startswith("codec_evolution/"):
                    new.writestr(entry, old.read(entry))
            if amended:
                for path in sorted(self._package.rglob("*")):
                    inner = path.relative_to(self._package).as_posix()
                    if path.is_file() and "__pycache__" not in path.parts and inner not in amended:
                        new.write(path, f"codec_evolution/{inner}")
                for inner, content in amended.items():
                    new.writestr(f"codec_evolution/{inner}", content)
        return target.getvalue()


def wait_until_updated(client: Any, function: str) -> None:
    """Wait for at most a minute until a function has taken its new code or configuration."""
    client.get_waiter("function_updated_v2").wait(
        FunctionName=function, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


def publish_healthy(client: Any, function: str, label: str, code_sha256: str) -> str:
    """Publish a function's ``$LATEST``, start it once, and return the version; raises `PublishRefused`."""
    # By its hash: if something else was uploaded meanwhile, Lambda refuses instead of publishing that.
    made = client.publish_version(FunctionName=function, Description=label, CodeSha256=code_sha256)
    version = str(made["Version"])
    _, error = invoke(client, f"{function}:{version}", {"health": label})
    if error and not error.startswith(HEALTHY_ERROR):
        raise PublishRefused(f"{function} does not come up with the changed code: {error}")
    return version


def _label(amended: Mapping[str, str]) -> str:
    if not amended:
        return DEPLOYED
    return f"{LABEL} {hashlib.sha256(json.dumps(sorted(amended.items())).encode()).hexdigest()[:12]}"


def invoke(client: Any, function: str, event: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Invoke a function and return its answer and its error (type and message), one of them empty."""
    answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    payload = json.loads(answer["Payload"].read() or b"{}") or {}
    if "FunctionError" not in answer:
        return payload, ""
    return {}, f"{payload.get('errorType', 'Error')}: {payload.get('errorMessage', '')}"[:1500]


def invoke_when_ready(client: Any, function: str, event: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Invoke a function as `invoke` does, for a minute if it is busy or not ready; raises `PublishLater`."""
    for wait_s in (*NOT_YET_WAITS_S, None):
        try:
            return invoke(client, function, event)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code not in NOT_YET:
                raise
            if wait_s is None:
                raise PublishLater(f"{function} cannot be checked now: {code}") from None
        time.sleep(wait_s)
    raise AssertionError("the last attempt returns or raises")


if TYPE_CHECKING:
    _sandbox: type[Sandbox] = SandboxCheck
    _publisher: type[Publisher] = CodePublisher
