"""FrameworkTool: one tool call of the planner on the framework, or one decision of an operator about such a call."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.aws_config import AwsConfig
from codec_evolution.adapters.aws_resources import DeployedCode, DeployedNames, PlannersAlarms
from codec_evolution.adapters.emf import emit
from codec_evolution.adapters.hosts import LocalHost, SsmHost
from codec_evolution.adapters.images import CodeBuildImages
from codec_evolution.adapters.logs import EXECUTION, make_logger
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.publish import CodePublisher, SandboxCheck
from codec_evolution.adapters.tables import LoopControl
from codec_evolution.adapters.traces import traced
from codec_evolution.clock import utc_now
from codec_evolution.contracts import Decision, OperatorCall, ToolRequest, check_size, parse
from codec_evolution.framework.modifications import HOST_AWAY, Modification
from codec_evolution.framework.tool_specs import CONFIGURE, CREATE_ALARM, DEPLOY
from codec_evolution.loop import metrics
from codec_evolution.ports import Host
from codec_evolution.repair import interrupted_calls, operations
from codec_evolution.repair.aws_changes import AwsChanges
from codec_evolution.repair.releaser import Releaser
from codec_evolution.repair.tool_service import ToolCall, ToolService

logger = make_logger("framework_tool")

BASELINE = Path("sandbox_container") / "codecs" / "version_0.py"
"""Source of version 0, below the folder of shipped files."""
OPERATIONS = {
    "approve": operations.approve,
    "deny": operations.deny,
    "rollback": operations.rollback,
}
"""What an operator may decide, by the operation's name."""


@traced("framework_tool")
@logger.inject_lambda_context(correlation_id_path=EXECUTION, clear_state=True)
def lambda_handler(
    event: dict[str, Any], context: LambdaContext, service: ToolService | None = None
) -> dict[str, Any]:
    """Answer a planner's call with its id, status and message; an operator's call or decision with the whole item.

    The state machine passes ``attempt_id``, ``round`` and ``request``; only an operator's command or button passes
    ``operation`` or ``modification_id``, and nothing that a planner writes becomes a field of the event.

    Parameters
    ----------
    service
        Takes the place of `make_service`, for a caller that wires it otherwise; Lambda passes none.
    """
    service = service or make_service()
    closed = interrupted_calls.close(service)
    if closed:
        logger.info("interrupted calls closed", extra={"modifications": closed})
    if "operation" in event:
        return decide(service, parse(Decision, event, "framework_tool"))
    if "modification_id" in event:
        asked = parse(OperatorCall, event, "framework_tool")
        call = ToolCall(asked.modification_id, asked.tool, asked.arguments, asked.reason, planner="operator")
        found = service.call(call)
        report(found)
        return found.to_item()
    request = parse(ToolRequest, event, "framework_tool")
    call = ToolCall.of_request(request.attempt_id, request.round, request.request or {})
    handled = service.handle(call)
    found = handled.modification
    report(found)
    logger.info("tool", extra=found.model_dump(include={"modification_id", "tool", "status", "rule"}))
    payload = handled.to_payload()
    check_size(payload, "framework_tool")
    return payload


def decide(service: ToolService, decision: Decision) -> dict[str, Any]:
    """Carry out an operator's decision; one that cannot be carried out is an answer too."""
    before = service.modifications.get(decision.modification_id)
    try:
        decided = OPERATIONS[decision.operation](service, decision.modification_id)
    except operations.OperationRefused as refused:
        return {"modification_id": decision.modification_id, "status": "refused", "message": str(refused)}
    after = service.modifications.get(decision.modification_id)
    found = decided.modification
    if before and after and before.status != after.status:  # a repeated decision happened once
        report(found)
    logger.info("decided", extra={"operation": decision.operation, "status": found.status})
    return decided.to_payload()


def report(call: Modification) -> None:
    """Emit the metrics of a call that has reached a state."""
    emit(metrics.of_tool_call(call.tool, call.status))
    if call.rule == HOST_AWAY:
        emit(metrics.of_host_away(os.environ["LINEAGE"]))


@cache
def make_service() -> ToolService:
    """Wire the service from the environment, once per function environment: its clients take half a second."""
    bucket = ArtifactBucket(os.environ["ARTIFACT_BUCKET"])
    shipped = Path(os.environ["SHIPPED_DIR"])
    publisher = CodePublisher(os.environ["PUBLISHED_FUNCTIONS"].split(","), bucket)
    return ToolService(
        modifications=FrameworkModifications(os.environ["FRAMEWORK_MODIFICATIONS_TABLE"]),
        host=connect_host(bucket),
        objects=bucket,
        releaser=Releaser(
            control=LoopControl(os.environ["LOOP_CONTROL_TABLE"]),
            objects=bucket,
            sandbox=SandboxCheck(os.environ["BENCHMARK_FUNCTION"]),
            publisher=publisher,
            baseline=(shipped / BASELINE).read_text("utf-8"),
            lineage=os.environ["LINEAGE"],
        ),
        mode=os.environ["FRAMEWORK_TOOLS"],
        now=utc_now,
        images=connect_images(bucket),
        aws=connect_aws(bucket, publisher),
    )


def connect_aws(bucket: ArtifactBucket, publisher: CodePublisher) -> AwsChanges:
    """Return the changes of the deployed system that the framework tools may make."""
    names = DeployedNames.from_json(os.environ["DEPLOYED_RESOURCES"])
    return AwsChanges(
        {
            CREATE_ALARM: PlannersAlarms(names, os.environ["LINEAGE"]),
            CONFIGURE: AwsConfig(names),
            DEPLOY: DeployedCode(names, publisher),
        },
        bucket,
    )


def connect_images(bucket: ArtifactBucket) -> CodeBuildImages | None:
    """Return the builds of the sandbox image, or None on a person's own machine, where none is built."""
    project = os.environ["IMAGE_PROJECT"]
    return CodeBuildImages(project, bucket) if project else None


def connect_host(bucket: ArtifactBucket) -> Host:
    """Return the host: the absolute path of its settings on this machine, or the parameter that names the instance."""
    host = os.environ["FRAMEWORK_HOST"]
    if host.startswith("/"):
        return LocalHost(Path(host))
    documents = json.loads(os.environ["FRAMEWORK_DOCUMENTS"])
    return SsmHost(host, documents, bucket, os.environ["FRAMEWORK_LOG_GROUP"])
