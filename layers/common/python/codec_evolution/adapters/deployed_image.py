"""The sandbox image of the deployed sources: found in its repository, or built there by CodeBuild."""

from __future__ import annotations

import time
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from codec_evolution.adapters.clients import client_config
from codec_evolution.adapters.images import exported_of
from codec_evolution.ports import PublishRefused

UNREAD_BASE = "see the image's label org.opencontainers.image.base.name"
"""Said for the base of an image that this deployment did not build."""
POLL_S = 10.0
"""Seconds between two looks at a build."""


class DeployedImage:
    """Images of the deployed sources, by tags that name the sources.

    Parameters
    ----------
    project
        Name of the CodeBuild project.
    repository
        Name of the ECR repository that it pushes to. Its tags are immutable.
    """

    def __init__(self, project: str, repository: str) -> None:
        self._project, self._repository = project, repository
        self._codebuild = boto3.client("codebuild", config=client_config(20))
        self._ecr = boto3.client("ecr", config=client_config(20))

    def ensure(self, tag: str, request_id: str, ends: float) -> tuple[str, str]:
        """Return the digest of the image with a tag, which is built if the repository lacks it, and its base.

        The base is an address by digest; of an image that was there already it is `UNREAD_BASE`.

        Parameters
        ----------
        tag
            Names the sources.
        request_id
            Identifies the request: a repeat within five minutes starts no second build.
        ends
            Until when to wait for a build, by the monotonic clock, in seconds.

        Raises
        ------
        PublishRefused
            The build failed or was not done in time, or AWS refused a call.
        """
        try:
            found = self._digest(tag)
            return (found, UNREAD_BASE) if found else self._build(tag, request_id, ends)
        except (ClientError, BotoCoreError) as error:
            raise PublishRefused(str(error)) from None

    def _build(self, tag: str, request_id: str, ends: float) -> tuple[str, str]:
        build = self._codebuild.start_build(
            projectName=self._project,
            idempotencyToken=request_id,
            environmentVariablesOverride=[{"name": "IMAGE_TAG", "value": tag, "type": "PLAINTEXT"}],
        )["build"]
        while build["buildStatus"] == "IN_PROGRESS":
            if time.monotonic() + POLL_S > ends:
                raise PublishRefused(f"the build {build['id']} is not done in time: {_log(build)}")
            time.sleep(POLL_S)
            (build,) = self._codebuild.batch_get_builds(ids=[build["id"]])["builds"]
        if build["buildStatus"] != "SUCCEEDED":
            raise PublishRefused(f"the build {build['id']} ended as {build['buildStatus']}: {_log(build)}")
        found = self._digest(tag)
        if not found:
            raise PublishRefused(f"the build {build['id']} pushed no image {tag}: {_log(build)}")
        return found, exported_of(build).get("BASE_IMAGE") or UNREAD_BASE

    def _digest(self, tag: str) -> str:
        """Return the digest of the image with a tag, or an empty text."""
        try:
            answer = self._ecr.describe_images(repositoryName=self._repository, imageIds=[{"imageTag": tag}])
        except self._ecr.exceptions.ImageNotFoundException:
            return ""
        return str(answer["imageDetails"][0]["imageDigest"])


def _log(build: dict[str, Any]) -> str:
    """Return where a build's log is read."""
    return str(build.get("logs", {}).get("deepLink") or "see the project's log group")
