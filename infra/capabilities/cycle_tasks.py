"""The tasks of the cycle: one Lambda invocation each, with its timeout and its bounded retries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.capabilities.benchmark import NAME as BENCHMARK
from infra.capabilities.benchmark import TIMEOUT_S as BENCHMARK_TIMEOUT_S
from infra.capabilities.functions import SIZES
from infra.settings import BENCHMARK_CALL_S, BENCHMARK_MEMORY_MB

PAYLOAD = "$states.result.Payload"
"""JSONata for what the invoked function returned."""

EXECUTION = "$states.context.Execution.Id"
"""JSONata for the execution's ARN, which every task passes on: its log lines carry it."""

CAUSE_CHARS = 500
"""Characters of an error's cause that are passed on."""
_TASK_MARGIN_S = 30

SERVICE_FAULTS = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
]
"""Errors of the service, not of the function; retrying may help."""
NOT_YET = [
    "Lambda.TooManyRequestsException",
    "Lambda.ResourceNotReadyException",
    "Lambda.ResourceConflictException",
    "Lambda.ENINotReadyException",
    "Lambda.ENILimitReachedException",
    "Lambda.EC2ThrottledException",
    "Lambda.EC2UnexpectedException",
]
"""Errors of a function that is busy, updated, or woken after weeks without a call: they pass within minutes."""
NOT_YET_ATTEMPTS, NOT_YET_INTERVAL_S, NOT_YET_LONGEST_S = 10, 5, 60
"""Five to seven minutes of patience: what was planned has been paid for."""
SANDBOX_DEATHS = [
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Sandbox.Timedout",
    "States.Timeout",
]
"""What AWS and the local emulator call a function environment that ended without an answer."""


def expression(jsonata: str) -> str:
    """Return a JSONata expression as a value of the state language."""
    return f"{{% {jsonata} %}}"


def optional(path: str) -> str:
    """Return an expression for the value at a path, or null: an undefined result would be an error."""
    return expression(f"$exists({path}) ? {path} : null")


def condition(jsonata: str) -> sfn.Condition:
    """Return the condition of a Choice state."""
    return sfn.Condition.jsonata(expression(jsonata))


class CycleTasks:
    """Creates the Lambda tasks of one state machine.

    Parameters
    ----------
    scope : Construct
        The parent of every state.
    functions : Mapping[str, lambda_.IFunction]
        What the tasks invoke, by name: the zip functions and ``Benchmark``.
    cpu_s : float
        CPU seconds for the codec of one attempt.
    """

    def __init__(self, scope: Construct, functions: Mapping[str, lambda_.IFunction], *, cpu_s: float) -> None:
        self.scope = scope
        self._functions = functions
        self._cpu_s = cpu_s

    def invoke(self, state: str, function: str, payload: dict[str, Any], **output: Any) -> tasks.LambdaInvoke:
        """Create a task with a timeout above the function's own, retried with full jitter on service faults."""
        timeout = SIZES[function].timeout_s if function in SIZES else BENCHMARK_TIMEOUT_S
        task = tasks.LambdaInvoke.jsonata(
            self.scope,
            state,
            lambda_function=self._functions[function],
            payload=sfn.TaskInput.from_object({"execution": expression(EXECUTION), **payload}),
            # The CDK's own retries have no jitter.
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.seconds(timeout + _TASK_MARGIN_S)),
            **output,
        )
        task.add_retry(
            errors=SERVICE_FAULTS,
            interval=Duration.seconds(2),
            backoff_rate=2,
            max_attempts=4,
            max_delay=Duration.seconds(30),
            jitter_strategy=sfn.JitterType.FULL,
        )
        task.add_retry(
            errors=NOT_YET,
            interval=Duration.seconds(NOT_YET_INTERVAL_S),
            backoff_rate=2,
            max_attempts=NOT_YET_ATTEMPTS,
            max_delay=Duration.seconds(NOT_YET_LONGEST_S),
            # Without jitter: its sum would be halved, and there is no crowd that it could spread.
            jitter_strategy=sfn.JitterType.NONE,
        )
        return task

    def benchmark(
        self,
        state: str,
        stages: list[str] | str,
        split: str,
        *,
        envelope: str,
        assign: dict[str, str] | None = None,
        outputs: dict[str, str] | None = None,
        **more: str | list[str],
    ) -> tasks.LambdaInvoke:
        """Create a sandbox run over one candidate, retried once if the sandbox died; `stages` may be an expression.

        `more` are further fields of the request.
        """
        task = self.invoke(
            state,
            BENCHMARK,
            {
                "attempt_id": expression("$item.attempt_id"),
                "envelope": expression(envelope),
                "stages": stages,
                "split": split,
                **more,
                "seed": expression("$item.seed"),
                "limits": {
                    "call_s": BENCHMARK_CALL_S,
                    "total_cpu_s": self._cpu_s,
                    "memory_mb": BENCHMARK_MEMORY_MB,
                },
            },
            assign=assign,
            outputs=outputs or {},
        )
        task.add_retry(errors=SANDBOX_DEATHS, max_attempts=1, interval=Duration.seconds(1))
        return task

    def control(self, state: str) -> tasks.LambdaInvoke:
        """Create a sandbox run over version 0, which tells a candidate that kills the sandbox from a broken sandbox."""
        return self.invoke(
            state,
            BENCHMARK,
            {"attempt_id": expression("$item.attempt_id"), "control": True, "stages": ["validate", "smoke"]},
            outputs=expression(PAYLOAD),
        )
