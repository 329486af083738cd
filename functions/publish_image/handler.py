"""PublishImage: takes a finished build of the sandbox image to the benchmark, or undoes what it was built for."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.images import BenchmarkImage, CodeBuildImages, rollback_by
from codec_evolution.adapters.logs import make_logger
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.traces import traced
from codec_evolution.clock import utc_now
from codec_evolution.contracts import BuildEnded, parse
from codec_evolution.ports import PublishLater, PublishRefused
from codec_evolution.repair.image_release import ImageReleaser

logger = make_logger("publish_image")


@traced("publish_image")
@logger.inject_lambda_context(correlation_id_path="build", clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Answer a notice that a build ended; with ``check: true``, only examine the image that serves."""
    if event.get("check") is True:
        return check_live()
    ended = parse(BuildEnded, event, "publish_image")
    bucket = ArtifactBucket(os.environ["ARTIFACT_BUCKET"])
    releaser = ImageReleaser(
        builds=CodeBuildImages(os.environ["IMAGE_PROJECT"], bucket),
        image=BenchmarkImage(os.environ["BENCHMARK_FUNCTION"]),
        modifications=FrameworkModifications(os.environ["FRAMEWORK_MODIFICATIONS_TABLE"]),
        objects=bucket,
        undo=rollback_by(os.environ["FRAMEWORK_TOOL_FUNCTION"]),
        now=utc_now,
    )
    concluded = releaser.conclude(ended.build)
    logger.info(
        "image",
        extra={"build": ended.build, "status": concluded["status"], "outcome": concluded["message"]},
    )
    return concluded


def check_live() -> dict[str, str]:
    """Return whether the image that serves passes the check that a new one must pass."""
    try:
        served = BenchmarkImage(os.environ["BENCHMARK_FUNCTION"]).check_live()
    except (PublishRefused, PublishLater) as refused:
        return {"status": "failed", "message": str(refused)}
    return {
        "status": "passed",
        "message": f"the sandbox is fit and version 0 passes smoke frames in {served}",
    }
