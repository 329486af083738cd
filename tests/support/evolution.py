"""One lineage at Conclude: its stores, what Plan proposed there and what the sandbox reported."""

from __future__ import annotations

from typing import Any

from codec_evolution import artifacts
from codec_evolution.contracts import Concluded, ConcludeRequest
from codec_evolution.loop.conclusion import Concluder
from codec_evolution.ports import Control, LoopState, Objects, Record
from codec_evolution.record import Attempt

from tests.integration.support import report

CYCLE = "2026-11-21T22:00:00.000Z"
BASE, GOOD, OTHER = "a" * 64, "b" * 64, "c" * 64
SEED = "seed"


class Evolution:
    """A lineage, by default with a measured version 0."""

    def __init__(
        self, record: Record, control: Control, bucket: Objects, lineage: str, *, measured: bool = True
    ) -> None:
        self.table, self.control, self.bucket, self.lineage = record, control, bucket, lineage
        self.concluder = Concluder(
            record=record,
            control=control,
            objects=bucket,
            now=lambda: "2026-11-21T22:00:30.000Z",
            looks_per_day=10,
        )
        self.propose(0, BASE)
        if measured:
            self.conclude_baseline(report(BASE), report(BASE, "held_out"))

    def conclude_baseline(self, measure: Any, confirm: Any = None) -> Concluded:
        """Conclude the first measurement of version 0."""
        return self.conclude(0, measure, confirm, kind="baseline", version=-1)

    def propose(self, slot: int, sha: str) -> None:
        facts = {
            "source_sha256": sha,
            "normalised_sha256": sha,
            "policy_sha256": "p" * 64,
            "planner": "search",
        }
        self.bucket.put_json(artifacts.proposal(self.lineage, self.attempt(slot)), facts)

    def conclude(self, slot: int, measure: Any = None, confirm: Any = None, **fields: Any) -> Concluded:
        item = self.item(slot, kind=fields.pop("kind", "candidate"), version=fields.pop("version", 0))
        request = {"item": item, "measure": measure, "confirm": confirm, **fields}
        return self.concluder.conclude(ConcludeRequest.model_validate(request))

    def item(self, slot: int, kind: str = "candidate", version: int = 0) -> dict[str, Any]:
        return {
            "attempt_id": self.attempt(slot),
            "lineage": self.lineage,
            "cycle_id": CYCLE,
            "slot": slot,
            "kind": kind,
            "version": version,
            "release": "r",
            "seed": SEED,
            "tools": False,
            "budget_usd": 1.0,
        }

    def attempt(self, slot: int) -> str:
        return f"{CYCLE}#{slot:02d}"

    def record(self, slot: int) -> Attempt | None:
        return self.table.get(self.lineage, self.attempt(slot))

    @property
    def state(self) -> LoopState:
        return self.control.state(self.lineage)
