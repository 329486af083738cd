"""Step Functions, as far as the lease needs it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3

from codec_evolution.adapters.clients import client_config
from codec_evolution.loop.steering import Cycles
from codec_evolution.ports import Executions


class StateMachineExecutions:
    """Implements `ports.Executions`."""

    def __init__(self) -> None:
        self._client = boto3.client("stepfunctions", config=client_config())

    def is_running(self, execution: str) -> bool:
        """Tell whether an execution still runs; one that is unknown does not."""
        try:
            answer = self._client.describe_execution(executionArn=execution)
        except self._client.exceptions.ExecutionDoesNotExist:
            return False
        return answer["status"] in ("RUNNING", "PENDING_REDRIVE")


class StateMachineCycles:
    """Starts cycles of one state machine; implements `steering.Cycles`.

    Parameters
    ----------
    state_machine_arn
        ARN of the state machine, or of one of its aliases.
    alias
        Name of the alias that is started, if the ARN does not end with one; empty for the latest revision.
    """

    def __init__(self, state_machine_arn: str, alias: str = "") -> None:
        self._arn = f"{state_machine_arn}:{alias}" if alias else state_machine_arn
        self._client = boto3.client("stepfunctions", config=client_config())

    def start(self, name: str, lineage: str) -> bool:
        """Start one cycle under a name; False when that name was used before."""
        try:
            self._client.start_execution(
                stateMachineArn=self._arn, name=name, input=json.dumps({"lineage": lineage})
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return False
        return True


if TYPE_CHECKING:
    _executions: type[Executions] = StateMachineExecutions
    _cycles: type[Cycles] = StateMachineCycles
