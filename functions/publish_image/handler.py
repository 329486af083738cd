"""PublishImage: takes a finished build of the sandbox image to the benchmark, or undoes what it was built for."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.images import BenchmarkImage, CodeBuildImages, rollback_by
from codec_evolution.adapters.logs import make_logger
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.clock import utc_now
from codec_evolution.contracts import BuildEnded, parse
from codec_evolution.repair.image_release import ImageReleaser

logger = make_logger("publish_image")


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Answer a notice that a build ended."""
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
