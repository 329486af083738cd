"""The cycle as a Step Functions state machine (Standard, JSONata, inline Map).

Every payload holds ids, small results and at most one compressed candidate, so no edge comes near the
256 KiB that Step Functions allows. Faults of tools and candidates are answers of the functions; what is
caught here are faults of services and of the sandbox itself.
"""

from __future__ import annotations

from typing import Any

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.capabilities.benchmark import NAME as BENCHMARK
from infra.capabilities.benchmark import TIMEOUT_S as BENCHMARK_TIMEOUT_S
from infra.capabilities.functions import LOG_RETENTION, SIZES
from infra.nag import acknowledge
from infra.settings import Settings

MAX_ROUNDS = 5
"""Tool calls and drafts of one attempt."""
MAX_PREPARATIONS = 2
"""Passes of one cycle that may only measure an incumbent before the real slots follow."""
MEMORY_MB = 2048
CALL_S = 30
CAUSE_CHARS = 500
CYCLE_TIMEOUT = Duration.hours(3)
TASK_MARGIN_S = 30

SERVICE_FAULTS = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.ClientExecutionTimeoutException",
]
SANDBOX_DEATHS = [
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Sandbox.Timedout",
    "States.Timeout",
]
"""How AWS and the local emulator call a function environment that ended without an answer."""

PAYLOAD = "$states.result.Payload"
FAULT = (
    "{'kind': 'infrastructure', 'error': $states.errorOutput.Error, 'cause': "
    f"$exists($states.errorOutput.Cause) ? $substring($string($states.errorOutput.Cause), 0, {CAUSE_CHARS}) : ''}}"
)


def _x(expression: str) -> str:
    return f"{{% {expression} %}}"


def _optional(path: str) -> str:
    return _x(f"$exists({path}) ? {path} : null")


class Cycle(Construct):
    """OpenCycle, the slots, Commit and CloseCycle.

    Parameters
    ----------
    functions : dict[str, lambda_.IFunction]
        What each task invokes, by name: the zip functions and ``Benchmark``.
    settings : Settings
        Slots at once and the CPU budget of one attempt.
    state_machine_name : str
        Physical name, which OpenCycle's role also refers to.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        functions: dict[str, lambda_.IFunction],
        settings: Settings,
        state_machine_name: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self._functions = functions
        self._settings = settings
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=state_machine_name,
            state_machine_type=sfn.StateMachineType.STANDARD,
            query_language=sfn.QueryLanguage.JSONATA,
            definition_body=sfn.DefinitionBody.from_chainable(self._definition()),
            timeout=CYCLE_TIMEOUT,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=logs.LogGroup(
                    self,
                    "Logs",
                    log_group_name=f"/aws/vendedlogs/states/{state_machine_name}",
                    retention=LOG_RETENTION,
                    removal_policy=RemovalPolicy.DESTROY,
                ),
                level=sfn.LogLevel.ALL,
                # Payloads hold candidates; the execution history shows them where they are needed.
                include_execution_data=False,
            ),
        )
        acknowledge(
            self.state_machine.role.node.find_child("DefaultPolicy"),
            "IAM5[Resource::*]",
            "Log delivery and X-Ray offer no resources to name; both statements are the ones that Step Functions "
            "documents for a logged and traced state machine.",
        )

    # --- the cycle -------------------------------------------------------------------------------

    def _definition(self) -> sfn.IChainable:
        start = sfn.Pass.jsonata(self, "Start", assign={"pass": 0, "concluded": [], "committed": []})
        open_cycle = self._open_cycle()
        commit = self._commit()
        close = self._close_cycle()
        again = sfn.Pass.jsonata(self, "Again", assign={"pass": _x("$pass + 1")})
        refused = sfn.Pass.jsonata(self, "Refused", comment="Paused, over budget, or another cycle runs")
        may_run = (
            sfn.Choice.jsonata(self, "MayRun")
            .when(_condition("$states.input.go = true"), self._slots(commit), assign={"open": _x("$states.input")})
            .when(_condition("$pass > 0"), close, comment="This cycle holds the lease since its first pass")
            .otherwise(refused)
        )
        prepared = (
            sfn.Choice.jsonata(self, "OnlyPrepared")
            .when(_condition(f"$open.again = true and $pass < {MAX_PREPARATIONS}"), again)
            .otherwise(close)
        )
        commit.next(prepared)
        commit.add_catch(prepared, errors=["States.ALL"], outputs={})
        again.next(open_cycle)
        open_cycle.next(may_run)
        return start.next(open_cycle)

    def _open_cycle(self) -> tasks.LambdaInvoke:
        task = self._invoke(
            "OpenCycle",
            "OpenCycle",
            {
                "execution": _x("$states.context.Execution.Id"),
                "started": _x("$states.context.Execution.StartTime"),
                "input": _x("$states.context.Execution.Input"),
                "pass": _x("$pass"),
            },
            outputs=_x(PAYLOAD),
        )
        # A dead execution holds no lease, so failing here loses nothing and shows in the metrics.
        task.add_catch(self._fail("NotOpened"), errors=["States.ALL"])
        return task

    def _slots(self, after: sfn.IChainable) -> sfn.Map:
        slots = sfn.Map.jsonata(
            self,
            "Slots",
            items=sfn.ProvideItems.jsonata(_x("$open.slots")),
            max_concurrency=self._settings.slots_at_once,
            assign={"concluded": _x("$append($concluded, $states.result)")},
            outputs={},
        )
        slots.item_processor(self._slot(), mode=sfn.ProcessorMode.INLINE)
        slots.add_catch(after, errors=["States.ALL"], outputs={})
        slots.next(after)
        return slots

    def _commit(self) -> tasks.LambdaInvoke:
        return self._invoke(
            "Commit",
            "Commit",
            {"lineage": _x("$open.lineage")},
            assign={"committed": _x(f"$append($committed, {PAYLOAD}.committed)")},
            outputs={},
        )

    def _close_cycle(self) -> tasks.LambdaInvoke:
        task = self._invoke(
            "CloseCycle",
            "CloseCycle",
            {
                "execution": _x("$states.context.Execution.Id"),
                "lineage": _x("$open.lineage"),
                "cycle_id": _x("$open.cycle_id"),
            },
            outputs={},
        )
        task.add_catch(self._fail("NotClosed"), errors=["States.ALL"])
        # A Pass, not a Succeed: the local emulator ignores the output of a Succeed.
        task.next(
            sfn.Pass.jsonata(
                self,
                "Done",
                outputs={
                    "go": True,
                    "lineage": _x("$open.lineage"),
                    "cycle_id": _x("$open.cycle_id"),
                    "passes": _x("$pass + 1"),
                    "concluded": _x("$concluded"),
                    "committed": _x("$committed"),
                },
            )
        )
        return task

    def _fail(self, name: str) -> sfn.Fail:
        return sfn.Fail.jsonata(
            self,
            name,
            error=_x("$states.input.Error"),
            cause=_x(f"$exists($states.input.Cause) ? $substring($states.input.Cause, 0, {CAUSE_CHARS}) : ''"),
        )

    # --- one slot --------------------------------------------------------------------------------

    def _slot(self) -> sfn.IChainable:
        begin = sfn.Pass.jsonata(
            self,
            "Begin",
            assign={
                "item": _x("$states.input"),
                "round": 0,
                "cost_usd": 0,
                "elapsed_s": 0,
                **dict.fromkeys(("answer", "reason", "envelope", "measure", "confirm", "fault", "stage"), _x("null")),
            },
        )
        abandon = self._abandon()
        conclude = self._conclude(abandon)
        plan = self._plan(abandon)
        tool = self._framework_tool(abandon)
        draft = self._try_draft(plan, abandon)
        measure, confirm = self._measurements(conclude, abandon)
        planned = self._planned(conclude)
        room = f"$round < {MAX_ROUNDS}"
        planned.when(_condition(f"$states.input.next = 'tool' and {room}"), tool)
        planned.when(_condition(f"$states.input.next = 'draft' and {room}"), draft)
        planned.when(_condition("$states.input.next = 'candidate' and $envelope != null"), measure)
        plan.next(planned)
        tool.next(plan)
        draft.next(plan)
        measure.next(conclude)
        confirm.next(conclude)
        concluded = (
            sfn.Choice.jsonata(self, "Promising")
            .when(_condition("$states.input.next = 'confirm' and $confirm = null and $fault = null"), confirm)
            .otherwise(self._concluded())
        )
        conclude.next(concluded)
        return begin.next(plan)

    def _planned(self, conclude: sfn.IChainable) -> sfn.Choice:
        exhausted = sfn.Pass.jsonata(
            self,
            "NoCandidate",
            assign={"reason": f"the planner handed in no candidate within {MAX_ROUNDS} rounds"},
        )
        exhausted.next(conclude)
        return (
            sfn.Choice.jsonata(self, "Planned")
            .when(_condition("$states.input.next = 'nothing'"), conclude)
            .otherwise(exhausted)
        )

    def _plan(self, abandon: sfn.IChainable) -> tasks.LambdaInvoke:
        return self._caught(
            self._invoke(
                "Plan",
                "Plan",
                {"item": _x("$item"), "round": _x("$round"), "answer": _x("$answer")},
                assign={
                    "envelope": _optional(f"{PAYLOAD}.envelope"),
                    "reason": _optional(f"{PAYLOAD}.reason"),
                    "cost_usd": _x(f"$cost_usd + {PAYLOAD}.cost_usd"),
                    "elapsed_s": _x(f"$elapsed_s + {PAYLOAD}.elapsed_s"),
                },
                outputs={"next": _x(f"{PAYLOAD}.next"), "request": _optional(f"{PAYLOAD}.request")},
            ),
            abandon,
        )

    def _framework_tool(self, abandon: sfn.IChainable) -> tasks.LambdaInvoke:
        return self._caught(
            self._invoke(
                "FrameworkTool",
                "FrameworkTool",
                {
                    "attempt_id": _x("$item.attempt_id"),
                    "round": _x("$round"),
                    "request": _x("$states.input.request"),
                },
                assign={"answer": _x(PAYLOAD), "round": _x("$round + 1")},
                outputs={},
            ),
            abandon,
        )

    def _try_draft(self, plan: sfn.IChainable, abandon: sfn.IChainable) -> tasks.LambdaInvoke:
        draft = self._benchmark(
            "TryDraft", ["validate", "smoke"], "train", envelope="$states.input.request.envelope", result="answer"
        )
        killed = sfn.Pass.jsonata(
            self,
            "DraftKilledSandbox",
            comment="Feedback for the planner; only Measure decides about a candidate",
            assign={
                "answer": {
                    "outcome": "failed",
                    "failure": {
                        "stage": "smoke",
                        "kind": "crash",
                        "message": _x("'The sandbox ended without an answer: ' & $states.input.Error"),
                    },
                },
                "round": _x("$round + 1"),
            },
        )
        draft.add_catch(killed, errors=SANDBOX_DEATHS)
        killed.next(plan)
        return self._caught(draft, abandon)

    def _measurements(
        self, conclude: sfn.IChainable, abandon: sfn.IChainable
    ) -> tuple[tasks.LambdaInvoke, tasks.LambdaInvoke]:
        """Measure and Confirm; where the sandbox dies twice, a control run of version 0 decides whose fault it is."""
        control = self._control(conclude, abandon)
        stages = ["validate", "smoke", "screen", "measure"]
        measure = self._benchmark("Measure", stages, "train", envelope="$envelope", result="measure")
        confirm = self._benchmark(
            "Confirm", ["validate", "measure"], "held_out", envelope="$envelope", result="confirm"
        )
        for task, stage in ((measure, "measure"), (confirm, "confirm")):
            task.add_catch(control, errors=SANDBOX_DEATHS, assign={"stage": stage})
            self._caught(task, abandon)
        return measure, confirm

    def _control(self, conclude: sfn.IChainable, abandon: sfn.IChainable) -> tasks.LambdaInvoke:
        control = self._caught(
            self._invoke(
                "Control",
                BENCHMARK,
                {"attempt_id": _x("$item.attempt_id"), "control": True, "stages": ["validate", "smoke"]},
                outputs=_x(PAYLOAD),
            ),
            abandon,
        )
        judged = (
            sfn.Choice.jsonata(self, "ControlPassed")
            .when(
                _condition("$states.input.outcome = 'passed'"),
                conclude,
                assign={"fault": {"kind": "killed_sandbox", "stage": _x("$stage")}},
            )
            .otherwise(
                sfn.Pass.jsonata(
                    self,
                    "ControlFailed",
                    assign={
                        "fault": {
                            "kind": "infrastructure",
                            "error": "ControlFailed",
                            "cause": _x("'version 0 failed in the sandbox too, during ' & $stage"),
                        }
                    },
                ).next(conclude)
            )
        )
        control.next(judged)
        return control

    def _conclude(self, abandon: sfn.IChainable) -> tasks.LambdaInvoke:
        return self._caught(self._conclusion("Conclude"), abandon)

    def _abandon(self) -> tasks.LambdaInvoke:
        abandon = self._conclusion("Abandon")
        lost = sfn.Pass.jsonata(
            self,
            "LeftToNextCycle",
            comment="The next OpenCycle finds the attempt without a record and concludes it",
            outputs={"attempt_id": _x("$item.attempt_id"), "status": "unrecorded", "version": _x("null"), "cost_usd": 0},
        )
        abandon.add_catch(lost, errors=["States.ALL"])
        abandon.next(self._concluded())
        return abandon

    def _conclusion(self, state: str) -> tasks.LambdaInvoke:
        plan = {"reason": _x("$reason"), "cost_usd": _x("$cost_usd"), "elapsed_s": _x("$elapsed_s")}
        return self._invoke(
            state,
            "Conclude",
            {
                "item": _x("$item"),
                "plan": plan,
                "measure": _x("$measure"),
                "confirm": _x("$confirm"),
                "fault": _x("$fault"),
            },
            outputs=_x(PAYLOAD),
        )

    def _concluded(self) -> sfn.Pass:
        found = self.node.try_find_child("Concluded")
        if isinstance(found, sfn.Pass):
            return found
        return sfn.Pass.jsonata(
            self,
            "Concluded",
            outputs={
                "attempt_id": _x("$item.attempt_id"),
                "status": _x("$states.input.status"),
                "version": _optional("$states.input.version"),
                "cost_usd": _x("$states.input.cost_usd"),
            },
        )

    # --- tasks -----------------------------------------------------------------------------------

    def _benchmark(
        self, state: str, stages: list[str], split: str, *, envelope: str, result: str
    ) -> tasks.LambdaInvoke:
        assign = {result: _x(PAYLOAD)}
        if result == "answer":
            assign["round"] = _x("$round + 1")
        task = self._invoke(
            state,
            BENCHMARK,
            {
                "attempt_id": _x("$item.attempt_id"),
                "envelope": _x(envelope),
                "stages": stages,
                "split": split,
                "seed": _x("$item.seed"),
                "limits": {
                    "call_s": CALL_S,
                    "total_cpu_s": self._settings.benchmark_cpu_s,
                    "memory_mb": MEMORY_MB,
                },
            },
            assign=assign,
            outputs={},
        )
        task.add_retry(errors=SANDBOX_DEATHS, max_attempts=1, interval=Duration.seconds(1))
        return task

    def _invoke(self, state: str, function: str, payload: dict[str, Any], **output: Any) -> tasks.LambdaInvoke:
        timeout = SIZES[function].timeout_s if function in SIZES else BENCHMARK_TIMEOUT_S
        task = tasks.LambdaInvoke.jsonata(
            self,
            state,
            lambda_function=self._functions[function],
            payload=sfn.TaskInput.from_object(payload),
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.seconds(timeout + TASK_MARGIN_S)),
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
        return task

    def _caught(self, task: tasks.LambdaInvoke, abandon: sfn.IChainable) -> tasks.LambdaInvoke:
        task.add_catch(abandon, errors=["States.ALL"], assign={"fault": _x(FAULT)})
        return task


def _condition(expression: str) -> sfn.Condition:
    return sfn.Condition.jsonata(_x(expression))
