"""Builds of the sandbox image by CodeBuild, and the benchmark function that runs the image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from codec_evolution import artifacts
from codec_evolution.adapters.clients import client_config
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.publish import CHECK_TIMEOUT_S, invoke_when_ready
from codec_evolution.contracts import LIVE_ALIAS
from codec_evolution.ports import ImageBuild, ImageBuilds, PublishLater, PublishRefused, SandboxImage

KEPT_TAG = "live-"
"""Begins the tags of images that the benchmark ran."""
WAIT = {"Delay": 3, "MaxAttempts": 40}
"""Two minutes: at worst, a function in a VPC takes that long to load an image."""
SMOKE = {
    "attempt_id": "image",
    "control": True,
    "stages": ["validate", "smoke"],
    "split": "train",
    "seed": "image",
}
"""Event that runs the image's own version 0 on smoke frames."""


class CodeBuildImages:
    """Builds of the sandbox image by a CodeBuild project; implements `ports.ImageBuilds`.

    Parameters
    ----------
    project
        Name of the CodeBuild project.
    bucket
        Carries the lock file to the build, under a key that is its hash.
    """

    def __init__(self, project: str, bucket: ArtifactBucket) -> None:
        self._project = project
        self._bucket = bucket
        self._client = boto3.client("codebuild", config=client_config(20))

    def start(self, modification_id: str, lock: str) -> str:
        """Start a build from a lock file and return its id; an immediate repeat for a modification starts no other.

        Raises
        ------
        PublishRefused
            CodeBuild did not start it.
        """
        lock_sha256 = hashlib.sha256(lock.encode("utf-8")).hexdigest()
        self._bucket.put_text(artifacts.image_lock(lock_sha256), lock)
        variables = {"LOCK_SHA256": lock_sha256, "MODIFICATION_ID": modification_id}
        try:
            started = self._client.start_build(
                projectName=self._project,
                idempotencyToken=hashlib.sha256(modification_id.encode()).hexdigest(),
                environmentVariablesOverride=[
                    {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
                ],
            )
        except (ClientError, BotoCoreError) as error:
            raise PublishRefused(f"CodeBuild: {error}") from None
        return str(started["build"]["id"])

    def finished(self, build: str) -> ImageBuild:
        """Return how a build ended, by its id or by its ARN, which is what events carry."""
        (found,) = self._client.batch_get_builds(ids=[build.rpartition(":build/")[2]])["builds"]
        given = {each["name"]: each["value"] for each in found["environment"]["environmentVariables"]}
        exported = exported_of(found)
        image, status = exported.get("IMAGE", ""), found["buildStatus"]
        log = found.get("logs", {}).get("deepLink", "")
        return ImageBuild(
            build=found["id"],
            succeeded=status == "SUCCEEDED" and bool(image),
            image=image,
            modification_id=given.get("MODIFICATION_ID", ""),
            lock_sha256=given.get("LOCK_SHA256", ""),
            message=f"build {build} ended as {status} in {_phase(found)} {log}".strip(),
            base=exported.get("BASE_IMAGE", ""),
        )


class BenchmarkImage:
    """The image behind the benchmark function's alias ``live``; implements `ports.SandboxImage`."""

    def __init__(self, function: str) -> None:
        self._function = function
        self._client = boto3.client("lambda", config=client_config(20))
        self._invoker = boto3.client("lambda", config=client_config(CHECK_TIMEOUT_S, attempts=1))
        self._ecr = boto3.client("ecr", config=client_config(20))

    def publish(self, image: str, label: str) -> str:
        """Make an image live after its health check and return the version; on any fault the previous image stays live.

        Raises
        ------
        PublishRefused
            The image does not start, its sandbox is not fit, version 0 fails on smoke frames, or something else was
            published meanwhile.
        PublishLater
            The function was busy or not ready all the while; the image is neither good nor bad.
        """
        alias = self._client.get_alias(FunctionName=self._function, Name=LIVE_ALIAS)
        live = self._client.get_function(FunctionName=self._function, Qualifier=LIVE_ALIAS)
        if live["Configuration"].get("Description") == label:
            return str(alias["FunctionVersion"])
        try:
            version = self._version(image, label)
            self._check(f"{self._function}:{version}")
            self._keep(image)
            self._client.update_alias(
                FunctionName=self._function,
                Name=LIVE_ALIAS,
                FunctionVersion=version,
                RevisionId=alias["RevisionId"],
            )
        except PublishLater:
            self._take(live["Code"]["ImageUri"])
            raise
        except (PublishRefused, ClientError, BotoCoreError) as error:
            # The alias has not moved. The unpublished code goes back too, so that the next version starts from it.
            self._take(live["Code"]["ImageUri"])
            raise PublishRefused(str(error)[:1500]) from None
        return version

    def check_live(self) -> str:
        """Examine the image that serves as `publish` examines a new one, and return its address by digest.

        Raises
        ------
        PublishRefused, PublishLater
            As `publish` does.
        """
        self._check(f"{self._function}:{LIVE_ALIAS}")
        served = self._client.get_function(FunctionName=self._function, Qualifier=LIVE_ALIAS)["Code"]
        # The emulator runs the function from a checkout.
        return str(served.get("ResolvedImageUri") or served.get("ImageUri") or "a checkout")

    def _take(self, image: str) -> str:
        """Set the unpublished function's image; returns the hash by which it is published."""
        taken = self._client.update_function_code(FunctionName=self._function, ImageUri=image)
        self._client.get_waiter("function_updated_v2").wait(FunctionName=self._function, WaiterConfig=WAIT)
        return str(taken["CodeSha256"])

    def _version(self, image: str, label: str) -> str:
        # By its hash: if something else was uploaded meanwhile, Lambda refuses instead of publishing that.
        code_sha256 = self._take(image)
        made = self._client.publish_version(
            FunctionName=self._function, Description=label, CodeSha256=code_sha256
        )
        version = str(made["Version"])
        self._client.get_waiter("function_active_v2").wait(
            FunctionName=self._function, Qualifier=version, WaiterConfig=WAIT
        )
        return version

    def _keep(self, image: str) -> None:
        """Give an image the tag by which the repository keeps it, however many builds follow that are not fit."""
        repository, _, digest = image.partition("/")[2].partition("@")
        (found,) = self._ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])[
            "images"
        ]
        tag = f"{KEPT_TAG}{digest.partition(':')[2][:40]}"
        with suppress(self._ecr.exceptions.ImageAlreadyExistsException):
            self._ecr.put_image(
                repositoryName=repository,
                imageManifest=found["imageManifest"],
                imageManifestMediaType=found["imageManifestMediaType"],
                imageTag=tag,
            )

    def _check(self, qualified: str) -> None:
        check_image(lambda event: self._ask(qualified, event))

    def _ask(self, qualified: str, event: Mapping[str, Any]) -> dict[str, Any]:
        answer, error = invoke_when_ready(self._invoker, qualified, event)
        if error:
            raise PublishRefused(f"the image does not come up: {error}")
        return answer


def check_image(ask: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
    """Examine a sandbox before it serves.

    Parameters
    ----------
    ask
        Returns what the benchmark answers to an event.

    Raises
    ------
    PublishRefused
        The sandbox is not fit, or version 0 fails on smoke frames.
    """
    examined = ask({"doctor": True})
    if examined.get("fit") is not True:
        raise PublishRefused(f"the sandbox of the image is not fit: {examined.get('error') or examined}")
    report = ask(SMOKE)
    if report.get("outcome") != "passed":
        raise PublishRefused(f"version 0 fails in the image: {report.get('failure')}")


def rollback_by(function: str) -> Callable[[str], None]:
    """Return a callable that has FrameworkTool roll a modification back, without waiting for it."""
    client = boto3.client("lambda", config=client_config(20))

    def undo(modification_id: str) -> None:
        event = {"operation": "rollback", "modification_id": modification_id}
        client.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event).encode())

    return undo


def exported_of(build: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that a build exported (IMAGE and BASE_IMAGE, each by its digest)."""
    return {each["name"]: each["value"] for each in build.get("exportedEnvironmentVariables", ())}


def _phase(build: Mapping[str, Any]) -> str:
    failed = [each for each in build.get("phases", ()) if each.get("phaseStatus") not in (None, "SUCCEEDED")]
    return str(failed[0]["phaseType"]) if failed else "COMPLETED"


if TYPE_CHECKING:
    _builds: type[ImageBuilds] = CodeBuildImages
    _image: type[SandboxImage] = BenchmarkImage
