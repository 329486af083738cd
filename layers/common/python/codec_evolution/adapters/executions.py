"""Step Functions: executions of the cycle and of the audit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3

from codec_evolution.adapters.clients import client_config
from codec_evolution.loop.steering import Cycles
from codec_evolution.ports import Executions

MOST_RUNNING = 100
"""Running audits that are looked through for one of the same version."""


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


@dataclass(frozen=True)
class AuditProgress:
    """How far an audit is.

    Attributes
    ----------
    status
        As Step Functions names it: ``RUNNING``, ``SUCCEEDED`` or how it failed.
    measured, segments
        Segments that are done, measured or failed, and all of them; 0 of 0 before they are known.
    answer
        What the audit answered at its end, as `loop.audits.AuditAnswer` has it.
    """

    status: str
    measured: int = 0
    segments: int = 0
    answer: dict[str, Any] | None = None


class AuditExecutions:
    """Starts and follows audits of versions.

    Parameters
    ----------
    state_machine_arn
        ARN of the audit's state machine.
    """

    def __init__(self, state_machine_arn: str) -> None:
        self._arn = state_machine_arn
        self._client = boto3.client("stepfunctions", config=client_config())

    def start(self, lineage: str, version: int, suffix: str) -> str:
        """Start an audit of a version, also of one that has an audit; returns the execution's ARN.

        Where an audit of the version runs, whoever started it, its ARN is returned. A `suffix` makes the name unique.
        """
        name = f"{lineage}-v{version}"
        running = self._client.list_executions(
            stateMachineArn=self._arn, statusFilter="RUNNING", maxResults=MOST_RUNNING
        )
        for each in running["executions"]:
            if each["name"] == name or each["name"].startswith(f"{name}-"):
                return each["executionArn"]
        return self._client.start_execution(
            stateMachineArn=self._arn,
            name=f"{name}-{suffix}",
            input=json.dumps({"lineage": lineage, "version": version, "again": True}),
        )["executionArn"]

    def progress(self, execution: str) -> AuditProgress:
        """Return how far an audit is."""
        found = self._client.describe_execution(executionArn=execution)
        measured, segments = 0, 0
        pages = self._client.get_paginator("get_execution_history").paginate(
            executionArn=execution, includeExecutionData=False
        )
        for page in pages:
            for event in page["events"]:
                if event["type"] == "MapStateStarted":
                    segments = event["mapStateStartedEventDetails"].get("length", 0)
                measured += event["type"] in ("MapIterationSucceeded", "MapIterationFailed")
        output = found.get("output")
        return AuditProgress(found["status"], measured, segments, json.loads(output) if output else None)


if TYPE_CHECKING:
    _executions: type[Executions] = StateMachineExecutions
    _cycles: type[Cycles] = StateMachineCycles
