"""Opening a cycle: whether it may run, what a dead execution left, and which slots are tried."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from codec_evolution import artifacts
from codec_evolution import record as records
from codec_evolution.clock import day_of, format_time, parse_time
from codec_evolution.contracts import CycleOpened, Shared, Slot
from codec_evolution.framework import release
from codec_evolution.loop.islands import island_names, origin_of
from codec_evolution.loop.lost_attempts import conclude_lost
from codec_evolution.loop.shared_state import state_of
from codec_evolution.ports import Conflict, Control, DayCounters, Executions, LoopState, Objects, Record
from codec_evolution.record import Attempt

PREPARATION = "prep"
REFUSALS = (
    "another_lineage",
    "paused",
    "busy",
    "daily_budget_spent",
    "daily_budget_below_one_call",
    "daily_attempts_used",
    "incumbent_not_measured",
    "lease_taken",
)
"""First words of the reasons for which a cycle is not opened."""


def _ignore(attempt: Attempt) -> None:
    """Do nothing with a recorded attempt."""


@dataclass(frozen=True)
class CycleSettings:
    """Operator's settings of the loop.

    Attributes
    ----------
    lineage
        The first island, and the only one unless there are several.
    least_attempt_usd
        Dollars that an attempt must be able to reserve for its first call of the language model.
    islands
        Lineages that evolve side by side.
    migration_cycles
        Cycles of an island from one migration to the next.
    """

    lineage: str
    slots: int
    daily_budget_usd: float
    max_attempts_per_day: int
    tools: bool
    least_attempt_usd: float = 0.0
    islands: int = 1
    migration_cycles: int = 10

    @property
    def lineages(self) -> tuple[str, ...]:
        """All islands."""
        return island_names(self.lineage, self.islands)

    def share(self, spent_today_usd: float, slots: int) -> float:
        """Return what one slot of a cycle may spend; the cycles of all islands run at the same time."""
        return slot_share(self.daily_budget_usd, spent_today_usd, slots * self.islands)


@dataclass(frozen=True)
class CycleStart:
    """One call of OpenCycle.

    Attributes
    ----------
    execution
        ARN of the execution that asks.
    started
        When that execution started, ISO 8601.
    preparation
        How many times this execution has opened its cycle before (0 or more).
    lineage
        The lineage that whoever started the execution meant; empty for the deployment's first.
    """

    execution: str
    started: str
    preparation: int
    lineage: str = ""


class CycleOpener:
    """Takes the lease, concludes what a dead execution left, and hands out the slots.

    Parameters
    ----------
    on_recorded
        Called once with each attempt that is concluded for a dead execution.
    """

    def __init__(
        self,
        record: Record,
        control: Control,
        objects: Objects,
        executions: Executions,
        settings: CycleSettings,
        on_recorded: Callable[[Attempt], None] = _ignore,
    ) -> None:
        self._record = record
        self._control = control
        self._objects = objects
        self._executions = executions
        self._settings = settings
        self._on_recorded = on_recorded

    def open(self, start: CycleStart, shipped: Mapping[str, str]) -> CycleOpened:
        """Open a cycle, or say why it may not run.

        Parameters
        ----------
        shipped
            Files of the release to start with when the lineage has none.
        """
        home, cycle_id = self._settings.lineage, format_time(parse_time(start.started))
        lineage = start.lineage if start.lineage in self._settings.lineages else home
        state = state_of(self._control, lineage, home)
        day = self._control.day(lineage, day_of(cycle_id))
        slots = self._refusal(state, start, day) or self._slots(state, start, cycle_id)
        if isinstance(slots, str):
            return CycleOpened(go=False, reason=slots, lineage=lineage, cycle_id=cycle_id)
        due = tuple(slot.attempt_id for slot in slots if slot.kind != "incumbent")
        try:
            self._control.take_lease(
                lineage,
                holder=state.execution,
                execution=start.execution,
                cycle_id=cycle_id,
                due=due,
                cycles=_number(state, cycle_id),
            )
        except Conflict:
            return CycleOpened(go=False, reason="lease_taken", lineage=lineage, cycle_id=cycle_id)
        if state.execution != start.execution:
            conclude_lost(self._record, self._objects, state, self._on_recorded)
        current = state.release or self._first_release(home, shipped)
        if (state.execution, state.due) != (start.execution, due):
            self._count_attempts(lineage, slots, cycle_id)
        share = self._settings.share(day.spent_usd, len(slots))
        slots = [slot.model_copy(update={"budget_usd": share}) for slot in slots]
        return self._opened(cycle_id, state, current, slots)

    def _opened(self, cycle_id: str, state: LoopState, current: str, slots: list[Slot]) -> CycleOpened:
        shared = Shared(
            lineage=state.lineage,
            cycle_id=cycle_id,
            version=state.version,
            release=current,
            seed=contest_seed(state.lineage, max(state.version, 0)),
        )
        return CycleOpened(
            go=True,
            lineage=state.lineage,
            cycle_id=cycle_id,
            version=state.version,
            release=current,
            again=slots[0].kind != "candidate",
            shared=shared,
            slots=slots,
        )

    def _refusal(self, state: LoopState, start: CycleStart, day: DayCounters) -> str:
        if start.lineage not in ("", *self._settings.lineages):
            names = ", ".join(repr(each) for each in self._settings.lineages)
            which = "not the one" if self._settings.islands == 1 else "none of those"
            return f"another_lineage: lineage {start.lineage!r} is {which} that this deployment evolves ({names})"
        if state.paused:
            return "paused"
        if state.execution not in ("", start.execution) and self._executions.is_running(state.execution):
            return "busy"
        spent = day.spent_usd
        share = self._settings.share(spent, self._settings.slots)
        # A remainder too small for one call would only produce skipped attempts.
        if spent >= self._settings.daily_budget_usd or share < self._settings.least_attempt_usd:
            return "daily_budget_spent" if spent else "daily_budget_below_one_call"
        if day.attempts + self._settings.slots > self._settings.max_attempts_per_day:
            return "daily_attempts_used"
        return ""

    def _slots(self, state: LoopState, start: CycleStart, cycle_id: str) -> list[Slot] | str:
        """Return the slots of this pass, or the refusal when preparing has already failed in this cycle."""
        baseline_id = records.attempt_id(cycle_id, 0)
        baseline_tried = self._record.get(state.lineage, baseline_id) is not None
        if state.version < 0:
            if baseline_tried or start.preparation > 0:
                return "incumbent_not_measured"
            return [_slot(0, "baseline", baseline_id)]
        if state.prepared_version != state.version:
            if start.preparation > 0:
                return "incumbent_not_measured"
            return [_slot(0, "incumbent", f"{cycle_id}#{PREPARATION}")]
        first = 1 if baseline_tried else 0
        slots = [
            _slot(slot, "candidate", records.attempt_id(cycle_id, slot))
            for slot in range(first, first + self._settings.slots)
        ]
        # Only one slot may change the framework, which all islands share, so that no two do at once.
        tools = self._settings.tools and state.lineage == self._settings.lineage
        slots[0] = slots[0].model_copy(update={"tools": tools})
        origin = origin_of(
            self._settings.lineages,
            state.lineage,
            cycle=_number(state, cycle_id),
            every=self._settings.migration_cycles,
        )
        slots[-1] = slots[-1].model_copy(update={"origin": origin or None})
        return slots

    def _first_release(self, lineage: str, shipped: Mapping[str, str]) -> str:
        name = release.publish(self._objects, shipped)
        self._control.set_release(lineage, name, expected="")
        return name

    def _count_attempts(self, lineage: str, slots: list[Slot], cycle_id: str) -> None:
        candidates = [slot for slot in slots if slot.kind == "candidate"]
        if candidates:
            self._control.count(
                lineage,
                day_of(cycle_id),
                "attempts",
                len(candidates),
                limit=float(self._settings.max_attempts_per_day),
            )


def _number(state: LoopState, cycle_id: str) -> int:
    """Return the number of a cycle in its lineage, from 1: the same for every pass and every repeat of it."""
    return state.cycles + (state.cycle_id != cycle_id)


def _slot(number: int, kind: Literal["candidate", "baseline", "incumbent"], attempt_id: str) -> Slot:
    return Slot(attempt_id=attempt_id, slot=number, kind=kind, tools=False, budget_usd=0.0)


def contest_seed(lineage: str, version: int) -> str:
    """Return the seed of all contests against one incumbent.

    It changes with every adoption, so that a lineage cannot overfit to one set of held-out windows. It is the same for
    all challengers of an incumbent, so that the incumbent is measured on those windows once.
    """
    return hashlib.sha256(f"{lineage}/{version}".encode()).hexdigest()[:16]


def stage_of(objects: Objects, lineage: str, attempt_id: str) -> str:
    """Return the stage of a running attempt, by what it has stored: planning, measuring or confirming."""
    if objects.exists(artifacts.report(lineage, attempt_id)):
        return "confirming"
    if objects.exists(artifacts.proposal(lineage, attempt_id)):
        return "measuring"
    return "planning"


def slot_share(daily_budget_usd: float, spent_today_usd: float, slots: int) -> float:
    """Return what one slot of a cycle may spend: an equal part of what is left of the day."""
    return max(0.0, daily_budget_usd - spent_today_usd) / slots
