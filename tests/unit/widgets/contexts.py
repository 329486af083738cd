"""Contexts in memory for tests of the widgets: what the tables would answer."""

from dataclasses import replace
from typing import Any

from codec_evolution.framework.modifications import Modification
from codec_evolution.ports import DayCounters, LoopState
from codec_evolution.record import Attempt
from codec_evolution.widgets.request import Links, WidgetContext

OPERATORS = "operators/"
NOW = "2026-11-21T22:30:00.000Z"
HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">\'"&'


def attempt(number: int, **fields: Any) -> Attempt:
    """Return the record of one attempt; a higher number is a later one."""
    cycle = f"2026-11-21T{number // 60 % 24:02d}:{number % 60:02d}:00.000Z"
    item = {
        "lineage": "main",
        "attempt_id": f"{cycle}#00",
        "cycle_id": cycle,
        "started_at": cycle,
        "status": "rejected",
        "reason": "BD-rate -3.0% against the incumbent",
        "hypothesis": "smaller blocks",
        "bitrate_mbps": 4.5,
        "bd_rate_vs_incumbent": -3.04,
        "bd_rate_vs_hevc": 41.6,
        "llm_cost_usd": 0.0213,
        "plan_s": 2.0,
        "measure_s": 30.0,
        **fields,
    }
    return Attempt.from_item(item)


def adopted(number: int, version: int, **fields: Any) -> Attempt:
    """Return the record of an adopted attempt."""
    return attempt(number, **{"status": "adopted", "adopted_version": version, "reason": "better", **fields})


def modification(number: int, **fields: Any) -> dict[str, Any]:
    """Return one framework modification."""
    return {
        "host": "orchestrator",
        "modification_id": f"2026-11-21T22:00:00.000Z#00/{number}",
        "tool": "modify_framework_file",
        "tier": "code",
        "status": "applied",
        "file": "layers/common/python/codec_evolution/planners/evidence.py",
        "reason": "the evidence lacks the failure kinds",
        "started_at": "2026-11-21T22:00:01.000Z",
        **fields,
    }


class Tables:
    """Stands for record, control, objects and modifications."""

    def __init__(self, attempts=(), *, state=None, objects=None, days=(), modifications=()) -> None:
        self.attempts = sorted(attempts, key=lambda each: each.attempt_id, reverse=True)
        self.loop = state or LoopState("main")
        self.stored = objects or {}
        self.counters = [DayCounters(**each) for each in days]
        self.changes = [Modification.from_item(each) for each in modifications]

    def state(self, lineage: str) -> LoopState:
        return replace(self.loop, lineage=lineage)

    def day(self, lineage: str, day: str) -> DayCounters:
        return next((each for each in self.counters if each.day == day), DayCounters(day))

    def days(self, lineage: str, limit: int) -> list[DayCounters]:
        return self.counters[:limit]

    def latest(self, *place: Any) -> list[dict[str, Any]]:
        if isinstance(place[0], str):
            return self.attempts[: place[1]]
        limit, status = (*place, None)[:2]
        return [each for each in self.changes if status in (None, each.status)][:limit]

    def get(self, modification_id: str) -> Modification | None:
        return next((each for each in self.changes if each.modification_id == modification_id), None)

    def versions(self, lineage: str, limit: int) -> list[Attempt]:
        found = [each for each in self.attempts if each.adopted_version is not None]
        return sorted(found, key=lambda each: -each.adopted_version)[:limit]

    def of_version(self, lineage: str, version: int) -> Attempt | None:
        return next((each for each in self.attempts if each.adopted_version == version), None)

    def exists(self, key: str) -> bool:
        return self._allowed(key) in self.stored

    def get_json(self, key: str) -> Any | None:
        return self.stored.get(self._allowed(key))

    @staticmethod
    def _allowed(key: str) -> str:
        assert not key.startswith(OPERATORS), (
            "the function that draws widgets is denied what is for operators"
        )
        return key


def context(tables: Tables | None = None, **fields: Any) -> WidgetContext:
    """Return a context over tables in memory."""
    tables = tables or Tables()
    return WidgetContext(
        **{
            "record": tables,
            "control": tables,
            "objects": tables,
            "modifications": tables,
            "lineage": "main",
            "daily_budget_usd": 20.0,
            "links": Links("https://github.com/o/r", "https://eu-west-1.console.aws.amazon.com", "eu-west-1"),
            "actions": "arn:aws:lambda:eu-west-1:1:function:actions:live",
            "now": lambda: NOW,
            **fields,
        }
    )
