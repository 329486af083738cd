"""FirstImage: has CodeBuild build the deployed sandbox image, where a deployment has no Docker."""

from __future__ import annotations

import os
import time
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.custom_resource import ResourceRequest, answer
from codec_evolution.adapters.deployed_image import DeployedImage
from codec_evolution.adapters.logs import make_logger
from codec_evolution.adapters.traces import traced
from codec_evolution.ports import PublishRefused

logger = make_logger("first_image")

MARGIN_S = 60.0
"""Kept of the function's time for the answer to CloudFormation."""


@traced("first_image")
@logger.inject_lambda_context(correlation_id_path="RequestId", clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Answer CloudFormation once the image is in the repository; a deletion leaves it to the repository."""
    request = ResourceRequest.model_validate(event)
    if request.request_type == "Delete":
        answer(request)
        return
    ends = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - MARGIN_S
    image = DeployedImage(os.environ["IMAGE_PROJECT"], os.environ["IMAGE_REPOSITORY"])
    try:
        digest, base = image.ensure(request.properties["Tag"], request.request_id, ends)
    except PublishRefused as error:
        logger.error("no image", extra={"reason": str(error)})
        answer(request, failure=str(error))
        return
    logger.info("image", extra={"digest": digest, "base": base})
    answer(request, {"Digest": digest, "BaseImage": base})
