"""The full-size audit of one version, a state machine of its own: no adoption waits for it or fails with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from codec_evolution.record import Audited
from constructs import Construct

from infra.capabilities.benchmark import NAME as BENCHMARK
from infra.capabilities.cycle_tasks import (
    CAUSE_CHARS,
    PAYLOAD,
    SANDBOX_DEATHS,
    CycleTasks,
    condition,
    expression,
)
from infra.capabilities.functions import GET, UPDATE
from infra.capabilities.grants import Grants
from infra.capabilities.state_machines import state_machine
from infra.data_stack import DataStack
from infra.settings import AUDIT_AT_ONCE, BENCHMARK_MEMORY_MB, Settings

CALL_S = 80
"""Seconds for one call of the codec. A run ends so long, and 20 s for the report, before the function's 900 s are over:
after 800 s, which the alarm on slow functions does not take for slow."""

TOTAL_CPU_S = 1600
"""CPU seconds that all codings of one segment may use together: two cores for that time."""

TIMEOUT = Duration.hours(6)
"""Of one execution: 24 segments, two at a time, each of which may be measured twice."""


class Audit(Grants):
    """Opens an audit, measures each segment by an invocation of its own, and keeps the figures.

    Parameters
    ----------
    functions : Mapping[str, lambda_.IFunction]
        The aliases that tasks invoke, by name: ``Conclude`` and ``Benchmark``.
    conclude : lambda_.Function
        Is given what an audit needs besides.
    state_machine_name : str
        Physical name.

    Attributes
    ----------
    state_machine : sfn.StateMachine
        Started with ``lineage`` and ``version``; ``again`` audits a version that has an audit.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        data: DataStack,
        settings: Settings,
        functions: Mapping[str, lambda_.IFunction],
        conclude: lambda_.Function,
        state_machine_name: str,
    ) -> None:
        super().__init__(scope, construct_id, data=data, settings=settings)
        self._make = CycleTasks(self, functions, cpu_s=TOTAL_CPU_S)
        self._allow(conclude)
        self.state_machine = state_machine(self, self._definition(), name=state_machine_name, timeout=TIMEOUT)

    def _allow(self, conclude: lambda_.Function) -> None:
        """Let Conclude find a version and its policy, and change the figures of its audit alone."""
        record = self._data.evolution_record
        self._allow_table(conclude, record, [GET], ["by_version"])
        self._allow_writes(conclude, record, [UPDATE], sorted(Audited.model_fields))
        self._allow_objects(conclude, read=["releases/*"], write=["audits/*"])

    def _definition(self) -> sfn.IChainable:
        begin = sfn.Pass.jsonata(
            self,
            "Begin",
            assign={
                "audit": expression(
                    "{'lineage': $states.input.lineage, 'version': $states.input.version, "
                    "'again': $exists($states.input.again) ? $states.input.again : false, "
                    "'started': $states.context.Execution.StartTime}"
                )
            },
        )
        listing, segments, kept = self._listing(), self._segments(), self._kept()
        done = self._pass("Audited", outputs=expression("$states.input"))
        refused = self._pass(
            "NotAudited",
            comment="Unknown, paused, over budget, or audited before",
            outputs=expression("$states.input"),
        )
        may = (
            sfn.Choice.jsonata(self, "MayAudit")
            .when(
                condition("$states.input.go = true"),
                listing,
                assign={"envelope": expression("$states.input.envelope")},
            )
            .otherwise(refused)
        )
        listing.next(segments)
        segments.next(kept)
        kept.next(done)
        return begin.next(self._opened().next(may))

    def _opened(self) -> tasks.LambdaInvoke:
        return self._make.invoke(
            "OpenAudit", "Conclude", {"audit": expression("$audit")}, outputs=expression(PAYLOAD)
        )

    def _listing(self) -> tasks.LambdaInvoke:
        """Return the task that validates the version and lists the image's segments."""
        return self._measured(
            "ListSegments",
            {"stages": ["validate"], "windows_of": ["audit"]},
            assign={"listing": expression(PAYLOAD)},
            outputs={},
        )

    def _segments(self) -> sfn.Map:
        """Return the Map over the segments; it fails with none of them."""
        listed = "$listing.windows"
        segments = sfn.Map.jsonata(
            self,
            "Segments",
            items=sfn.ProvideItems.jsonata(expression(f"$exists({listed}) ? [{listed}] : []")),
            max_concurrency=AUDIT_AT_ONCE,
            outputs={"results": expression("$states.result")},
        )
        window = "$states.input.window"
        measured = self._measured(
            "MeasureSegment",
            {"stages": ["audit"], "window": expression(window)},
            outputs={"window": expression(window), "report": expression(PAYLOAD)},
        )
        error = "$states.errorOutput"
        cause = f"($exists({error}.Cause) ? $substring({error}.Cause, 0, {CAUSE_CHARS}) : '')"
        measured.add_catch(
            self._pass("SegmentFailed", outputs=expression("$states.input")),
            errors=["States.ALL"],
            outputs={
                "window": expression(window),
                "fault": expression(f"{error}.Error & ': ' & {cause}"),
            },
        )
        segments.item_processor(measured, mode=sfn.ProcessorMode.INLINE)
        return segments

    def _kept(self) -> tasks.LambdaInvoke:
        return self._make.invoke(
            "KeepAudit",
            "Conclude",
            {
                "audit": expression("$audit"),
                "listing": expression("$listing"),
                "results": expression("[$states.input.results]"),
            },
            outputs=expression(PAYLOAD),
        )

    def _measured(self, state: str, request: dict[str, Any], **output: Any) -> tasks.LambdaInvoke:
        """Return a sandbox run over the version, retried once if the sandbox died."""
        limits = {"call_s": CALL_S, "total_cpu_s": TOTAL_CPU_S, "memory_mb": BENCHMARK_MEMORY_MB}
        name = "$audit.lineage & '-v' & $string($audit.version)"
        task = self._make.invoke(
            state,
            BENCHMARK,
            {
                "attempt_id": expression(f"'audit-' & {name}"),
                "envelope": expression("$envelope"),
                "seed": expression(name),
                "limits": limits,
                **request,
            },
            **output,
        )
        task.add_retry(errors=SANDBOX_DEATHS, max_attempts=1, interval=Duration.seconds(1))
        return task

    def _pass(self, name: str, **options: Any) -> sfn.Pass:
        return sfn.Pass.jsonata(self, name, **options)


class AuditStarts:
    """The states of the cycle that start the audit of each version that it has adopted, without waiting.

    Parameters
    ----------
    scope : Construct
        The parent of the states.
    machine : sfn.IStateMachine
        Of the audit.
    """

    def __init__(self, scope: Construct, machine: sfn.IStateMachine) -> None:
        self._scope, self._machine = scope, machine

    def map(self, after: sfn.IChainable) -> sfn.Map:
        """Return the Map; `after` follows it, whatever becomes of the starts."""
        adopted = "$concluded[status = 'adopted' and $exists(version)].version"
        starts = sfn.Map.jsonata(
            self._scope,
            "Audits",
            items=sfn.ProvideItems.jsonata(
                expression(
                    f"[$map($distinct([{adopted}]), function($version) {{ {{'version': $version}} }})]"
                )
            ),
            outputs={},
        )
        starts.item_processor(self._start(), mode=sfn.ProcessorMode.INLINE)
        starts.add_catch(after, errors=["States.ALL"], outputs={})
        starts.next(after)
        return starts

    def _start(self) -> tasks.StepFunctionsStartExecution:
        version = "$states.input.version"
        start = tasks.StepFunctionsStartExecution.jsonata(
            self._scope,
            "StartAudit",
            state_machine=self._machine,
            integration_pattern=sfn.IntegrationPattern.REQUEST_RESPONSE,
            # A version is audited once, however often its cycle or its preparation runs.
            name=expression(f"$open.lineage & '-v' & $string({version})"),
            input=sfn.TaskInput.from_object(
                {"lineage": expression("$open.lineage"), "version": expression(version)}
            ),
            task_timeout=sfn.Timeout.duration(Duration.seconds(30)),
            outputs={},
        )
        kept = sfn.Pass.jsonata(self._scope, "AuditNotStarted", outputs={})
        start.add_catch(kept, errors=["States.ALL"], outputs={})
        return start
