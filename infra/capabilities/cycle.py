"""The cycle as a Step Functions state machine (Standard, JSONata).

Up to `INLINE_SLOTS` slots are an inline Map of one execution. More are a Distributed Map: each slot is an execution of
its own, because one execution runs no more iterations at the same time and its history ends at 25,000 events.

Every payload holds ids, small results and at most one compressed candidate, so no edge comes near the 256 KiB that
Step Functions allows. Faults of tools and candidates are answers of the functions; only faults of services and of
the sandbox itself are caught here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from aws_cdk import CfnElement, Duration, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from codec_evolution.contracts import LIVE_ALIAS
from constructs import Construct

from infra.capabilities.audit import AuditStarts
from infra.capabilities.cycle_tasks import CAUSE_CHARS, PAYLOAD, CycleTasks, condition, expression
from infra.capabilities.roles import acknowledge_versions, allow
from infra.capabilities.slot import Slot
from infra.capabilities.state_machines import state_machine
from infra.nag import acknowledge
from infra.settings import INLINE_SLOTS, Settings

MAX_PREPARATIONS = 2
"""Passes of one cycle that may only measure an incumbent, before the pass with its attempts."""

TIMEOUT = Duration.hours(3)
"""Of one execution."""

SLOTS = "Slots"
"""Name of the Map over the slots; the executions of a Distributed Map carry it as their label."""

TOLERATED_FAILURE_PERCENT = 50
"""Failed child executions at which a Distributed Map starts no more of them.

A slot's own faults end in a record. If half of the slots end without one, the fault lies with the machine or the
account, and the rest would only spend money.
"""


class Cycle(Construct):
    """OpenCycle, the slots, Commit and CloseCycle.

    Parameters
    ----------
    functions : Mapping[str, lambda_.IFunction]
        The aliases that tasks invoke, by name: the zip functions and ``Benchmark``.
    pinned : Mapping[str, lambda_.Function]
        The functions of which tasks invoke the current version instead.
    settings : Settings
        Number of parallel slots and windows, and the CPU budget of one attempt.
    state_machine_name : str
        Physical name; OpenCycle's role refers to it too.
    audit : sfn.IStateMachine
        Audits a version; a cycle starts it for what it has adopted if the settings say so.

    Attributes
    ----------
    live_arn : str
        ARN of the state machine's alias, which starts every cycle: one that runs keeps its version of the definition.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        functions: Mapping[str, lambda_.IFunction],
        pinned: Mapping[str, lambda_.Function],
        settings: Settings,
        state_machine_name: str,
        audit: sfn.IStateMachine,
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings, self._audit = settings, audit
        versions = {name: cast(lambda_.IFunction, each.current_version) for name, each in pinned.items()}
        self._make = CycleTasks(self, {**functions, **versions}, cpu_s=settings.benchmark_cpu_s)
        self.state_machine = state_machine(self, self._definition(), name=state_machine_name, timeout=TIMEOUT)
        self._allow_versions(pinned)
        self.live_arn = self._publish()

    def _allow_versions(self, pinned: Mapping[str, lambda_.Function]) -> None:
        """Let cycles of earlier versions go on: they share the role, and invoke earlier versions of the functions."""
        allow(
            self.state_machine,
            ["lambda:InvokeFunction"],
            [f"{each.function_arn}:*" for each in pinned.values()],
        )
        for each in pinned.values():
            acknowledge_versions(self.state_machine.role, each)

        self._acknowledge_children()

    def _acknowledge_children(self) -> None:
        """Acknowledge what the CDK lets a Distributed Map do with the child executions of its own machine."""
        policy = self.state_machine.node.try_find_child("DistributedMapPolicy")
        if policy is None:
            return
        logical_id = Stack.of(self).get_logical_id(cast(CfnElement, self.state_machine.node.default_child))
        name = f'{{"Fn::Select":[6,{{"Fn::Split":[":",{{"Ref":"{logical_id}"}}]}}]}}'
        executions = f"arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:{name}"
        for children in (f"{executions}:*", f"{executions}/{SLOTS}:*"):
            acknowledge(
                policy,
                f"IAM5[Resource::{children}]",
                "Child executions get their names from Step Functions; the machine and the Map are named.",
            )

    def _publish(self) -> str:
        """Publish each revision as a version under the alias ``live``; returns the alias's ARN."""
        version = sfn.CfnStateMachineVersion(
            self,
            "Version",
            state_machine_arn=self.state_machine.state_machine_arn,
            state_machine_revision_id=self.state_machine.state_machine_revision_id,
        )
        alias = sfn.CfnStateMachineAlias(
            self,
            "Live",
            name=LIVE_ALIAS,
            routing_configuration=[
                sfn.CfnStateMachineAlias.RoutingConfigurationVersionProperty(
                    state_machine_version_arn=version.ref, weight=100
                )
            ],
        )
        return alias.ref

    def _definition(self) -> sfn.IChainable:
        start = sfn.Pass.jsonata(
            self, "Start", assign={"pass": 0, "concluded": [], "committed": [], "waiting": ""}
        )
        open_cycle = self._open_cycle()
        commit = self._commit()
        close = self._close_cycle()
        again = sfn.Pass.jsonata(self, "Again", assign={"pass": expression("$pass + 1")})
        refused = sfn.Pass.jsonata(self, "Refused", comment="Paused, over budget, or another cycle runs")
        may_run = (
            sfn.Choice.jsonata(self, "MayRun")
            .when(
                condition("$states.input.go = true"),
                self._slots(commit),
                assign={"open": expression("$states.input")},
            )
            .when(condition("$pass > 0"), close, comment="This cycle holds the lease since its first pass")
            .otherwise(refused)
        )
        prepared = (
            sfn.Choice.jsonata(self, "OnlyPrepared")
            .when(condition(f"$open.again = true and $pass < {MAX_PREPARATIONS}"), again)
            .otherwise(self._ended(close))
        )
        failed = expression("'commit_failed: ' & $states.errorOutput.Error")
        commit.add_catch(prepared, errors=["States.ALL"], outputs={}, assign={"waiting": failed})
        commit.next(prepared)
        again.next(open_cycle)
        open_cycle.next(may_run)
        return start.next(open_cycle)

    def _ended(self, close: sfn.IChainable) -> sfn.IChainable:
        """Return the state that ends the last pass: the start of audits, if the settings ask for them."""
        return AuditStarts(self, self._audit).map(close) if self._settings.audit == "on" else close

    def _open_cycle(self) -> tasks.LambdaInvoke:
        task = self._make.invoke(
            "OpenCycle",
            "OpenCycle",
            {
                "started": expression("$states.context.Execution.StartTime"),
                "input": expression("$states.context.Execution.Input"),
                "pass": expression("$pass"),
            },
            outputs=expression(PAYLOAD),
        )
        # A failed execution holds no lease, so nothing is lost, and the failure shows in the metrics.
        task.add_catch(self._fail("NotOpened"), errors=["States.ALL"])
        return task

    def _slots(self, after: sfn.IChainable) -> sfn.Map | sfn.DistributedMap:
        slots = self._map(
            items=sfn.ProvideItems.jsonata(
                expression("[$map($open.slots, function($slot) { $merge([$open.shared, $slot]) })]")
            ),
            max_concurrency=self._settings.slots_at_once,
            assign={"concluded": expression("$append($concluded, $states.result)")},
            outputs={},
        )
        slots.add_catch(after, errors=["States.ALL"], outputs={})
        slots.next(after)
        return slots

    def _map(self, **options: Any) -> sfn.Map | sfn.DistributedMap:
        """Return the Map over the slots, inline or distributed.

        A slot's result only names its attempt, whose figures are in the record and whose artifacts are in the bucket:
        all results together stay far below the 256 KiB of a payload, so a Distributed Map needs no ResultWriter.
        """
        slot = Slot(self._make, self._settings.windows_at_once).chain()
        if self._settings.slots <= INLINE_SLOTS:
            inline = sfn.Map.jsonata(self, SLOTS, **options)
            inline.item_processor(slot, mode=sfn.ProcessorMode.INLINE)
            return inline
        distributed = sfn.DistributedMap.jsonata(
            self,
            SLOTS,
            label=SLOTS,
            # Express executions end after five minutes and may run twice.
            map_execution_type=sfn.StateMachineType.STANDARD,
            tolerated_failure_percentage=TOLERATED_FAILURE_PERCENT,
            **options,
        )
        distributed.item_processor(slot)
        return distributed

    def _commit(self) -> tasks.LambdaInvoke:
        return self._make.invoke(
            "Commit",
            "Commit",
            {"lineage": expression("$open.lineage")},
            assign={
                "committed": expression(f"$append($committed, {PAYLOAD}.committed)"),
                "waiting": expression(f"{PAYLOAD}.waiting"),
            },
            outputs={},
        )

    def _close_cycle(self) -> tasks.LambdaInvoke:
        task = self._make.invoke(
            "CloseCycle",
            "CloseCycle",
            {
                "lineage": expression("$open.lineage"),
                "cycle_id": expression("$open.cycle_id"),
            },
            outputs={},
        )
        task.add_catch(self._fail("NotClosed"), errors=["States.ALL"])
        # A Pass, not a Succeed: the local emulator ignores the output of a Succeed.
        done = sfn.Pass.jsonata(
            self,
            "Done",
            outputs={
                "go": True,
                "lineage": expression("$open.lineage"),
                "cycle_id": expression("$open.cycle_id"),
                "passes": expression("$pass + 1"),
                "concluded": expression("$concluded"),
                "committed": expression("$committed"),
                "waiting": expression("$waiting"),
            },
        )
        task.next(done)
        return task

    def _fail(self, name: str) -> sfn.Fail:
        cause = f"$exists($states.input.Cause) ? $substring($states.input.Cause, 0, {CAUSE_CHARS}) : ''"
        return sfn.Fail.jsonata(self, name, error=expression("$states.input.Error"), cause=expression(cause))
