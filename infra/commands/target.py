"""Where the evolution is: on this machine or on AWS, with the same tables, bucket and operations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
)
from botocore.exceptions import ConnectionError as EndpointError
from codec_evolution.adapters.clients import client_config
from codec_evolution.adapters.decisions import FrameworkTool
from codec_evolution.adapters.executions import StateMachineCycles
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.schedule import MinuteSchedule
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from codec_evolution.clock import utc_now
from codec_evolution.contracts import LIVE_ALIAS
from codec_evolution.loop.steering import Operator

from infra.commands.target_name import Target, TargetName
from infra.errors import UserError
from infra.local.session import LINEAGE, Progress, Session, join_session
from infra.settings import APP_STACK, DATA_STACK

CALL_TIMEOUT_S = 320
"""More than FrameworkTool may take."""


@contextmanager
def reach(target: TargetName, state_dir: Path, progress: Progress) -> Iterator[Target]:
    """Reach the evolution on this machine (running or not) or the one that is deployed on AWS.

    Raises
    ------
    UserError
        There is no evolution in the state directory; or AWS cannot be reached with the environment's credentials,
        has no such stacks, or refuses what is asked of it.
    """
    if target is TargetName.AWS:
        try:
            yield _on_aws()
        except (ClientError, BotoCoreError) as error:
            # A right that is missing, a session that has expired, a region that does not answer.
            raise UserError(f"AWS refused or did not answer: {error}") from None
        return
    with join_session(state_dir, progress) as session:
        try:
            yield _here(session)
        except (EndpointError, HTTPClientError) as error:
            raise UserError(
                f"the local stack stopped answering, perhaps because its run or page has ended; try again: {error}"
            ) from None


def _here(session: Session) -> Target:
    deployment = session.deployment
    return Target(
        record=session.record,
        control=session.control,
        bucket=session.bucket,
        modifications=FrameworkModifications(deployment.framework_modifications_table),
        operator=Operator(session.control, StateMachineCycles(deployment.state_machine_arn), None, utc_now),
        framework_tool=live_framework_tool(deployment.functions["FrameworkTool"]),
        lineage=LINEAGE,
        pages={},
    )


def live_framework_tool(function: str) -> FrameworkTool:
    """Return the version that cycles use of the function; waits as long as it may take."""
    return FrameworkTool(f"{function}:{LIVE_ALIAS}", read_timeout_s=CALL_TIMEOUT_S)


def _on_aws() -> Target:
    outputs = _Outputs({**stack_outputs(DATA_STACK), **stack_outputs(APP_STACK)})
    control = LoopControl(outputs["LoopControlTable"], outputs["EvolutionRecordTable"])
    return Target(
        record=EvolutionRecord(outputs["EvolutionRecordTable"]),
        control=control,
        bucket=ArtifactBucket(outputs["ArtifactBucket"]),
        modifications=FrameworkModifications(outputs["FrameworkModificationsTable"]),
        operator=Operator(
            control,
            StateMachineCycles(outputs["StateMachineArn"]),
            MinuteSchedule(outputs["ScheduleName"]),
            utc_now,
        ),
        framework_tool=live_framework_tool(outputs["FrameworkToolFunction"]),
        lineage=outputs["Lineage"],
        pages={name: page for name, page in outputs.items() if name.endswith("Url")},
    )


class _Outputs(dict[str, str]):
    """Outputs of the stacks; one that is missing tells that an older version was deployed."""

    def __missing__(self, name: str) -> str:
        raise UserError(
            f"the stacks {DATA_STACK} and {APP_STACK} have no output {name}: deploy this version first"
        )


def stack_outputs(stack: str) -> dict[str, str]:
    """Return the outputs of a deployed stack; raises `UserError` with what is missing."""
    try:
        client: Any = boto3.Session().client("cloudformation", config=client_config(20))
        found = client.describe_stacks(StackName=stack)["Stacks"][0]
    except NoRegionError:
        raise UserError(
            "no AWS region is set: set AWS_DEFAULT_REGION or choose a profile with AWS_PROFILE"
        ) from None
    except NoCredentialsError:
        raise UserError(
            "no AWS credentials were found: log in, or choose a profile with AWS_PROFILE"
        ) from None
    except (ClientError, BotoCoreError) as error:
        if "does not exist" in str(error):
            raise UserError(
                f"there is no stack {stack} in {client.meta.region_name} of this account: make deploy first, or "
                "choose another place with AWS_PROFILE and AWS_DEFAULT_REGION"
            ) from None
        raise UserError(f"the stack {stack} cannot be read: {error}") from None
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}
