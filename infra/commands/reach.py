"""Connects commands to an evolution: the local stack or the one on AWS, with the same tables and operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from codec_evolution.adapters.decisions import FrameworkTool
from codec_evolution.adapters.executions import AuditExecutions, StateMachineCycles
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.schedule import MinuteSchedule
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from codec_evolution.clock import utc_now
from codec_evolution.contracts import LIVE_ALIAS
from codec_evolution.loop.steering import Operator

from infra.commands.running import local_faults
from infra.commands.stacks import stack_outputs
from infra.commands.target import Target, TargetName
from infra.errors import UserError
from infra.local.session import LINEAGE, Session, join_session
from infra.progress import Progress
from infra.settings import APP_STACK, DATA_STACK, stack_name, stage_of_environment

CALL_TIMEOUT_S = 500
"""Longer than the 480 s that FrameworkTool may take."""


@contextmanager
def reach(target: TargetName, state_dir: Path, progress: Progress) -> Iterator[Target]:
    """Connect to the evolution on this machine, running or not, or to the one deployed on AWS.

    Parameters
    ----------
    state_dir
        Where the local evolution lives; unused on AWS.
    progress
        Receives a line whenever a step of starting the local stack begins.

    Raises
    ------
    UserError
        The state directory holds no evolution; or AWS cannot be reached with the environment's credentials, has no
        such stacks, or refuses a call.
    """
    if target is TargetName.AWS:
        try:
            yield _aws_target()
        except (ClientError, BotoCoreError) as error:
            # A missing permission, an expired session, a region that does not answer.
            raise UserError(f"AWS refused or did not answer: {error}") from None
        return
    with join_session(state_dir, progress) as session, local_faults():
        yield _local_target(session)


def _local_target(session: Session) -> Target:
    deployment = session.deployment
    return Target(
        record=session.record,
        control=session.control,
        bucket=session.bucket,
        modifications=FrameworkModifications(deployment.framework_modifications_table),
        operator=Operator(
            session.control, StateMachineCycles(deployment.state_machine_arn), None, utc_now, LINEAGE
        ),
        framework_tool=live_framework_tool(deployment.functions["FrameworkTool"]),
        audits=AuditExecutions(deployment.audit_machine_arn),
        lineage=LINEAGE,
        pages={},
    )


def live_framework_tool(function: str) -> FrameworkTool:
    """Return a client of the version that cycles use; it waits `CALL_TIMEOUT_S` for an answer."""
    return FrameworkTool(f"{function}:{LIVE_ALIAS}", read_timeout_s=CALL_TIMEOUT_S)


def deployed_outputs(stage: str) -> Mapping[str, str]:
    """Return the outputs of both stacks; one that is missing raises `UserError` when it is read."""
    data, app = stack_name(DATA_STACK, stage), stack_name(APP_STACK, stage)
    return _Outputs({**stack_outputs(data), **stack_outputs(app)})


def _aws_target() -> Target:
    outputs = deployed_outputs(stage_of_environment())
    control = LoopControl(
        outputs["LoopControlTable"], outputs["EvolutionRecordTable"], home=outputs["Lineage"]
    )
    return Target(
        record=EvolutionRecord(outputs["EvolutionRecordTable"]),
        control=control,
        bucket=ArtifactBucket(outputs["ArtifactBucket"]),
        modifications=FrameworkModifications(outputs["FrameworkModificationsTable"]),
        operator=Operator(
            control,
            StateMachineCycles(outputs["StateMachineAliasArn"]),
            MinuteSchedule(outputs["ScheduleName"]),
            utc_now,
            outputs["Lineage"],
        ),
        framework_tool=live_framework_tool(outputs["FrameworkToolFunction"]),
        audits=AuditExecutions(outputs["AuditMachineArn"]),
        lineage=outputs["Lineage"],
        pages={name: page for name, page in outputs.items() if name.endswith("Url")},
    )


class _Outputs(dict[str, str]):
    """Outputs of the stacks; a missing one means that an older version is deployed."""

    def __missing__(self, name: str) -> str:
        raise UserError(
            f"the stacks {DATA_STACK} and {APP_STACK} have no output {name}: deploy this version first"
        )
