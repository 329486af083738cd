"""What a person may do to the loop: pause, resume, start one cycle.

Every operation may be repeated, says in one sentence what it did, and refuses when the state is no longer the one
that the person saw.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from codec_evolution.loop.islands import home_of
from codec_evolution.loop.shared_state import state_of
from codec_evolution.ports import Conflict, Control


class OperatorRefusal(Exception):
    """The operation was not done; the message is a sentence that says why and what to do."""


class Schedule(Protocol):
    """What starts a cycle once a minute."""

    def set_enabled(self, enabled: bool) -> bool:
        """Switch the schedule on or off; returns whether that changed anything."""
        ...


class Cycles(Protocol):
    """What can start a cycle by hand."""

    def start(self, name: str, lineage: str) -> bool:
        """Start one cycle under a name; False when that name was used before."""
        ...


class Decisions(Protocol):
    """Who carries out decisions about framework modifications."""

    def decide(self, operation: str, modification_id: str) -> dict[str, Any]:
        """Approve, deny or roll back; returns the item, with the status ``refused`` when it cannot be done."""
        ...


@dataclass(frozen=True)
class Operator:
    """The operations of a person on the loop.

    Attributes
    ----------
    schedule
        None where no schedule starts cycles: locally, `codec-evolution run` does.
    now
        Returns the time, ISO 8601 in UTC.
    home
        The first island of the deployment.
    """

    control: Control
    cycles: Cycles
    schedule: Schedule | None
    now: Callable[[], str]
    home: str = ""

    def pause(self, lineage: str, reason: str) -> str:
        """Let no new cycle begin; a running one ends first. A pause of one island holds for all of them."""
        lineage = home_of(lineage, self.home)
        try:
            changed = self.control.set_paused(lineage, True, at=self.now(), reason=reason, expected_at=None)
        except Conflict:
            changed = False  # somebody else paused it between our read and our write
        if self.schedule is not None:
            self.schedule.set_enabled(False)
        if not changed:
            return f"Lineage {lineage} was paused already."
        running = " The running cycle ends first." if self.control.state(lineage).execution else ""
        return f"Lineage {lineage} is paused.{running}"

    def resume(self, lineage: str, expected_at: str | None = None) -> str:
        """Let cycles begin again, and switch the schedule on; lifts an island's own pause after that of all islands.

        Parameters
        ----------
        expected_at
            The pause that the person saw (``paused_at``); None lifts whatever pause there is.

        Raises
        ------
        OperatorRefusal
            It was paused again since.
        """
        try:
            changed = self._lift(lineage, expected_at)
        except Conflict:
            raise OperatorRefusal(
                f"Lineage {lineage} was paused again since this was drawn; look at it first."
            ) from None
        enabled = self.schedule is not None and self.schedule.set_enabled(True)
        if not changed and not enabled:
            return f"Lineage {lineage} was not paused."
        ticks = "a cycle starts every minute" if self.schedule is not None else "cycles may begin again"
        return f"Lineage {lineage} is resumed: {ticks}."

    def _lift(self, lineage: str, expected_at: str | None) -> bool:
        """Lift the pause that holds for a lineage; all of them where nobody saw one. Returns whether there was one."""
        changed = False
        for each in dict.fromkeys((home_of(lineage, self.home), lineage)):
            lifted = self.control.set_paused(each, False, at="", reason="", expected_at=expected_at)
            changed = changed or lifted
            if lifted and expected_at is not None:
                break
        return changed

    def run_cycle(self, lineage: str, *, cycle_id: str, nonce: str) -> str:
        """Start one cycle now.

        Parameters
        ----------
        cycle_id
            The newest cycle that the person saw.
        nonce
            Used once: it names the execution.

        Raises
        ------
        OperatorRefusal
            The loop is paused, or another cycle began since.
        """
        state = state_of(self.control, lineage, self.home)
        if state.paused:
            raise OperatorRefusal(f"Lineage {lineage} is paused; resume it first.")
        if state.cycle_id != cycle_id:
            raise OperatorRefusal(f"Another cycle of lineage {lineage} began since this was drawn.")
        if not self.cycles.start(f"by-hand-{nonce}", lineage):
            return "That cycle was started already."
        return f"One cycle of lineage {lineage} was started."
