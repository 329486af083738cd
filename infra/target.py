"""Where the evolution is: on this machine or on AWS, with the same tables, bucket and operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
from codec_evolution.adapters.executions import StateMachineCycles
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.schedule import MinuteSchedule
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from codec_evolution.clock import utc_now
from codec_evolution.steering import Operator

from infra.local.deploy import APP_STACK, DATA_STACK
from infra.local.errors import LocalError
from infra.local.session import LINEAGE, Progress, join_session
from infra.target_name import TargetName

CLIENT_CONFIG = Config(
    connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4}
)


@dataclass(frozen=True)
class Target:
    """One evolution that can be reached.

    Attributes
    ----------
    lineage
        The lineage that its schedule, or a local run, evolves.
    pages
        Console pages by the name of the stack's output; empty locally.
    """

    record: EvolutionRecord
    control: LoopControl
    bucket: ArtifactBucket
    operator: Operator
    lineage: str
    pages: Mapping[str, str]


@contextmanager
def reach(target: TargetName, state_dir: Path, progress: Progress) -> Iterator[Target]:
    """Reach the evolution on this machine (running or not) or the one that is deployed on AWS.

    Raises
    ------
    LocalError
        There is no evolution in the state directory; or AWS cannot be reached with the environment's credentials,
        or has no such stacks.
    """
    if target is TargetName.AWS:
        yield _on_aws()
        return
    with join_session(state_dir, progress) as session:
        cycles = StateMachineCycles(session.deployment.state_machine_arn)
        yield Target(
            record=session.record,
            control=session.control,
            bucket=session.bucket,
            operator=Operator(session.control, cycles, None, utc_now),
            lineage=LINEAGE,
            pages={},
        )


def _on_aws() -> Target:
    outputs = {**stack_outputs(DATA_STACK), **stack_outputs(APP_STACK)}
    control = LoopControl(outputs["LoopControlTable"], outputs["EvolutionRecordTable"])
    return Target(
        record=EvolutionRecord(outputs["EvolutionRecordTable"]),
        control=control,
        bucket=ArtifactBucket(outputs["ArtifactBucket"]),
        operator=Operator(
            control,
            StateMachineCycles(outputs["StateMachineArn"]),
            MinuteSchedule(outputs["ScheduleName"]),
            utc_now,
        ),
        lineage=outputs["Lineage"],
        pages={name: page for name, page in outputs.items() if name.endswith("Url")},
    )


def stack_outputs(stack: str) -> dict[str, str]:
    """Return the outputs of a deployed stack; raises `LocalError` with what is missing."""
    try:
        client: Any = boto3.Session().client("cloudformation", config=CLIENT_CONFIG)
        found = client.describe_stacks(StackName=stack)["Stacks"][0]
    except NoRegionError:
        raise LocalError(
            "no AWS region is set: set AWS_DEFAULT_REGION or choose a profile with AWS_PROFILE"
        ) from None
    except NoCredentialsError:
        raise LocalError(
            "no AWS credentials were found: log in, or choose a profile with AWS_PROFILE"
        ) from None
    except (ClientError, BotoCoreError) as error:
        raise LocalError(f"the stack {stack} cannot be read: {error}") from None
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}
