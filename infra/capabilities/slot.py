"""One slot of a cycle: plan, tools and drafts, measure, conclude, confirm.

Measure and Confirm are two steps each: a first invocation that lists the contest's windows (and, in Measure, gates the
candidate), and a Map over them (`infra.capabilities.windows`).

Variables of a slot: ``item`` (from OpenCycle), ``round``, ``answer`` (of the last tool or draft), ``envelope`` (the
candidate), ``reason``, ``cost_usd`` and ``elapsed_s`` (sums over the calls of Plan), ``measure``, ``confirm``,
``stage`` (during which the sandbox died), ``fault``.
"""

from __future__ import annotations

from typing import Any, TypeVar

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from codec_evolution.contracts import MAX_ROUNDS

from infra.capabilities.cycle_tasks import (
    CAUSE_CHARS,
    PAYLOAD,
    SANDBOX_DEATHS,
    CycleTasks,
    condition,
    expression,
    optional,
)
from infra.capabilities.windows import SANDBOX_DIED, STOPPED, Windows

Caught = TypeVar("Caught", tasks.LambdaInvoke, sfn.Map)
"""A state that ends in Abandon when it fails."""

DRAFT_STAGES = ("validate", "smoke", "train", "probe")
"""Stages of the sandbox that a planner may ask for; the others give figures of a verdict."""

_NOTHING_YET = ("answer", "reason", "envelope", "measure", "confirm", "fault", "stage")
_FAULT = (
    "{'kind': 'infrastructure', 'error': $states.errorOutput.Error, 'cause': "
    f"$exists($states.errorOutput.Cause) ? $substring($string($states.errorOutput.Cause), 0, {CAUSE_CHARS}) : ''}}"
)


class Slot:
    """The chain of states that the Map runs for each slot.

    Parameters
    ----------
    make : CycleTasks
        Creates the tasks.
    windows_at_once : int
        Windows of one attempt that are measured at the same time.
    """

    def __init__(self, make: CycleTasks, windows_at_once: int) -> None:
        self._make, self._windows_at_once = make, windows_at_once
        self._scope = make.scope
        self._concluded = self._pass(
            "Concluded",
            outputs={
                "attempt_id": expression("$item.attempt_id"),
                "status": expression("$states.input.status"),
                "version": optional("$states.input.version"),
                "cost_usd": expression("$states.input.cost_usd"),
            },
        )
        self._abandon = self._abandoned()
        self._conclude = self._caught(self._conclusion("Conclude"))

    def chain(self) -> sfn.IChainable:
        """Return the first state, with all others behind it."""
        plan = self._plan()
        tool = self._framework_tool()
        draft = self._try_draft(plan)
        next_round = self._pass(
            "NextRound",
            comment="The planner was answered without a tool",
            assign={"answer": expression("null"), "round": expression("$round + 1")},
        )
        measure, confirm = self._measurements()
        planned = self._planned(tool, draft, next_round, measure)
        for task, following in (
            (plan, planned),
            (tool, plan),
            (draft, plan),
            (next_round, plan),
            (self._conclude, self._promising(confirm)),
        ):
            task.next(following)
        return self._begin().next(plan)

    def _begin(self) -> sfn.Pass:
        return self._pass(
            "Begin",
            assign={
                "item": expression("$states.input"),
                "round": 0,
                "cost_usd": 0,
                "elapsed_s": 0,
                **dict.fromkeys(_NOTHING_YET, expression("null")),
            },
        )

    def _planned(
        self, tool: sfn.IChainable, draft: sfn.IChainable, next_round: sfn.IChainable, measure: sfn.IChainable
    ) -> sfn.Choice:
        """Return the state that follows a planner's answer."""
        rounds_left = f"$round < {MAX_ROUNDS}"
        return (
            sfn.Choice.jsonata(self._scope, "Planned")
            .when(condition("$states.input.next = 'nothing'"), self._conclude)
            .when(condition(f"$states.input.next = 'tool' and {rounds_left}"), tool)
            .when(condition(f"$states.input.next = 'draft' and {rounds_left}"), draft)
            .when(condition(f"$states.input.next = 'again' and {rounds_left}"), next_round)
            .when(condition("$states.input.next = 'candidate' and $envelope != null"), measure)
            .otherwise(self._no_candidate())
        )

    def _promising(self, confirm: sfn.IChainable) -> sfn.Choice:
        """Return the state that confirms a promising candidate once, and ends the slot otherwise."""
        return (
            sfn.Choice.jsonata(self._scope, "Promising")
            .when(
                condition("$states.input.next = 'confirm' and $confirm = null and $fault = null"),
                confirm,
            )
            .otherwise(self._concluded)
        )

    def _plan(self) -> tasks.LambdaInvoke:
        return self._caught(
            self._make.invoke(
                "Plan",
                "Plan",
                {
                    "item": expression("$item"),
                    "round": expression("$round"),
                    "answer": expression("$answer"),
                },
                assign={
                    "envelope": optional(f"{PAYLOAD}.envelope"),
                    "reason": optional(f"{PAYLOAD}.reason"),
                    "cost_usd": expression(f"$cost_usd + {PAYLOAD}.cost_usd"),
                    "elapsed_s": expression(f"$elapsed_s + {PAYLOAD}.elapsed_s"),
                },
                outputs={
                    "next": expression(f"{PAYLOAD}.next"),
                    "request": optional(f"{PAYLOAD}.request"),
                },
            )
        )

    def _framework_tool(self) -> tasks.LambdaInvoke:
        return self._caught(
            self._make.invoke(
                "FrameworkTool",
                "FrameworkTool",
                {
                    "attempt_id": expression("$item.attempt_id"),
                    "round": expression("$round"),
                    "request": expression("$states.input.request"),
                },
                assign={"answer": expression(PAYLOAD), "round": expression("$round + 1")},
                outputs={},
            )
        )

    def _try_draft(self, plan: sfn.IChainable) -> tasks.LambdaInvoke:
        draft = self._make.benchmark(
            "TryDraft",
            # Whatever Plan asks for, a draft is never shown the figures of a verdict.
            expression(f"[$states.input.request.stages[$ in {list(DRAFT_STAGES)}]]"),
            "train",
            envelope="$states.input.request.envelope",
            configs=expression("$states.input.request.configs"),
            trainer=optional("$states.input.request.trainer"),
            assign={"answer": expression(PAYLOAD), "round": expression("$round + 1")},
        )
        message = "'The sandbox ended without an answer: ' & $states.input.Error"
        failure = {"stage": "smoke", "kind": "crash", "message": expression(message)}
        killed = self._pass(
            "DraftKilledSandbox",
            comment="Feedback for the planner; only Measure decides about a candidate",
            assign={
                "answer": {"outcome": "failed", "failure": failure},
                "round": expression("$round + 1"),
            },
        )
        draft.add_catch(killed, errors=SANDBOX_DEATHS)
        killed.next(plan)
        return self._caught(draft)

    def _no_candidate(self) -> sfn.IChainable:
        reason = f"the planner handed in no candidate within {MAX_ROUNDS} rounds"
        return self._pass("NoCandidate", assign={"reason": reason}).next(self._conclude)

    def _measurements(self) -> tuple[tasks.LambdaInvoke, tasks.LambdaInvoke]:
        """Return Measure and Confirm; if the sandbox dies twice, a control run decides whose fault it is."""
        control = self._control()
        measure = self._make.benchmark(
            "Measure",
            # A new incumbent has passed the other gates as a candidate.
            expression("$item.kind = 'incumbent' ? ['validate'] : ['validate', 'smoke', 'screen']"),
            "train",
            envelope="$envelope",
            windows_of=["measure"],
            assign={"measure": expression(PAYLOAD)},
        )
        confirm = self._make.benchmark(
            "Confirm",
            ["validate"],
            "held_out",
            envelope="$envelope",
            # A new incumbent has its figures of record already.
            windows_of=expression("$item.kind = 'incumbent' ? ['measure'] : ['measure', 'sealed']"),
            assign={"confirm": expression(PAYLOAD)},
        )
        for name, split, task in (("Measure", "train", measure), ("Confirm", "held_out", confirm)):
            stage = name.lower()
            windows = Windows(
                self._make, name, split=split, listing=f"${stage}", at_once=self._windows_at_once
            ).map()
            task.add_catch(control, errors=SANDBOX_DEATHS, assign={"stage": stage})
            self._caught(task).next(windows)
            # Conclude has what was measured until then.
            windows.add_catch(self._conclude, errors=[STOPPED])
            windows.add_catch(control, errors=[SANDBOX_DIED], assign={"stage": stage})
            self._caught(windows).next(self._conclude)
        return measure, confirm

    def _control(self) -> tasks.LambdaInvoke:
        control = self._caught(self._make.control("Control"))
        failed = {
            "kind": "infrastructure",
            "error": "ControlFailed",
            "cause": expression("'version 0 failed in the sandbox too, during ' & $stage"),
        }
        control.next(
            sfn.Choice.jsonata(self._scope, "ControlPassed")
            .when(
                condition("$states.input.outcome = 'passed'"),
                self._conclude,
                assign={"fault": {"kind": "killed_sandbox", "stage": expression("$stage")}},
            )
            .otherwise(self._pass("ControlFailed", assign={"fault": failed}).next(self._conclude))
        )
        return control

    def _abandoned(self) -> tasks.LambdaInvoke:
        abandon = self._conclusion("Abandon")
        lost = self._pass(
            "LeftToNextCycle",
            comment="The next OpenCycle finds the attempt without a record and concludes it",
            outputs={
                "attempt_id": expression("$item.attempt_id"),
                "status": "unrecorded",
                "version": expression("null"),
                "cost_usd": 0,
            },
        )
        abandon.add_catch(lost, errors=["States.ALL"])
        abandon.next(self._concluded)
        return abandon

    def _conclusion(self, state: str) -> tasks.LambdaInvoke:
        return self._make.invoke(
            state,
            "Conclude",
            {
                "item": expression("$item"),
                "plan": {name: expression(f"${name}") for name in ("reason", "cost_usd", "elapsed_s")},
                "measure": expression("$measure"),
                "confirm": expression("$confirm"),
                "fault": expression("$fault"),
            },
            outputs=expression(PAYLOAD),
        )

    def _caught(self, task: Caught) -> Caught:
        task.add_catch(self._abandon, errors=["States.ALL"], assign={"fault": expression(_FAULT)})
        return task

    def _pass(self, name: str, **options: Any) -> sfn.Pass:
        return sfn.Pass.jsonata(self._scope, name, **options)
