"""The windows of one side of a contest, each measured by a sandbox invocation of its own.

An inline Map inside the slot. Its iterations read the slot's variables and assign none. What a window gave goes to
Conclude at once, which stores it and says whether the rest is still needed: a window that has not begun is then not
begun, and the Map ends without waiting for those that run.
"""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

from infra.capabilities.cycle_tasks import (
    CAUSE_CHARS,
    PAYLOAD,
    SANDBOX_DEATHS,
    CycleTasks,
    condition,
    expression,
)

STOPPED = "WindowsStopped"
"""Error by which the Map ends when the other windows cannot change the verdict."""

SANDBOX_DIED = "WindowKilledSandbox"
"""Error of a window whose sandbox died twice."""


class Windows:
    """The Map of one stage of a slot.

    Parameters
    ----------
    make : CycleTasks
        Creates the tasks.
    name : str
        ``Measure`` or ``Confirm``: begins the names of the states.
    split : str
        Side of the contest, ``train`` or ``held_out``.
    listing : str
        JSONata for the report that lists the windows.
    at_once : int
        Windows of one attempt that are measured at the same time.
    """

    def __init__(self, make: CycleTasks, name: str, *, split: str, listing: str, at_once: int) -> None:
        self._make, self._name, self._split = make, name, split
        self._listing, self._at_once = listing, at_once
        self._failed = self._failure("Failed", "WindowFailed")
        self._died = self._failure("KilledSandbox", SANDBOX_DIED)

    def map(self) -> sfn.Map:
        """Return the Map; it ends with the error `STOPPED` or `SANDBOX_DIED`, or after all windows."""
        listed = f"{self._listing}.windows"
        windows = sfn.Map.jsonata(
            self._make.scope,
            f"{self._name}Windows",
            items=sfn.ProvideItems.jsonata(expression(f"$exists({listed}) ? [{listed}] : []")),
            max_concurrency=self._at_once,
            outputs={},
        )
        windows.item_processor(self._iteration(), mode=sfn.ProcessorMode.INLINE)
        return windows

    def _iteration(self) -> sfn.IChainable:
        ended = sfn.Pass.jsonata(self._make.scope, f"{self._name}WindowEnded", outputs={})
        stopped = sfn.Fail.jsonata(
            self._make.scope,
            f"{self._name}WindowsStopped",
            error=STOPPED,
            cause="The other windows cannot change the verdict",
        )
        measured, kept = self._measured(), self._kept()
        measured.next(kept)
        kept.next(
            sfn.Choice.jsonata(self._make.scope, f"{self._name}GoesOn")
            .when(condition("$states.input.go = true"), ended)
            .otherwise(stopped)
        )
        return self._opened().next(
            sfn.Choice.jsonata(self._make.scope, f"{self._name}WindowNeeded")
            .when(condition("$states.input.go = true"), measured)
            .otherwise(ended)
        )

    def _opened(self) -> tasks.LambdaInvoke:
        """Return the task that asks whether a window must be measured."""
        task = self._make.invoke(
            f"Open{self._name}Window",
            "Conclude",
            self._request("$states.input"),
            outputs={"go": expression(f"{PAYLOAD}.go"), "window": expression("$states.input")},
        )
        task.add_catch(self._failed, errors=["States.ALL"])
        return task

    def _measured(self) -> tasks.LambdaInvoke:
        task = self._make.benchmark(
            f"{self._name}Window",
            ["measure", "sealed"],
            self._split,
            envelope="$envelope",
            window=expression("$states.input.window.window"),
            outputs={"window": expression("$states.input.window"), "measured": expression(PAYLOAD)},
        )
        task.add_catch(self._died, errors=SANDBOX_DEATHS)
        task.add_catch(self._failed, errors=["States.ALL"])
        return task

    def _kept(self) -> tasks.LambdaInvoke:
        """Return the task that stores what a window gave, and asks whether the others are still needed."""
        task = self._make.invoke(
            f"Keep{self._name}Window",
            "Conclude",
            {**self._request("$states.input.window"), "measured": expression("$states.input.measured")},
            outputs={"go": expression(f"{PAYLOAD}.go")},
        )
        task.add_catch(self._failed, errors=["States.ALL"])
        return task

    def _request(self, window: str) -> dict[str, Any]:
        return {
            "item": expression("$item"),
            "split": self._split,
            "listing": expression(self._listing),
            "window": expression(window),
        }

    def _failure(self, name: str, error: str) -> sfn.Fail:
        cause = f"$exists($states.input.Cause) ? $substring($states.input.Cause, 0, {CAUSE_CHARS}) : ''"
        return sfn.Fail.jsonata(
            self._make.scope,
            f"{self._name}Window{name}",
            error=error,
            cause=expression(f"$states.input.Error & ': ' & ({cause})"),
        )
