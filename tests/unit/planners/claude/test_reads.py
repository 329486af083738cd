"""How much one call of the planner reads: the same at 1,000 attempts as at 10,000, and never anything held out."""

from decimal import Decimal

import pytest
from codec_evolution.artifacts import HELD_OUT
from codec_evolution.judging.archive import MAX_NICHES
from codec_evolution.planners.evidence import MODIFICATIONS, RECENT, VERSIONS
from codec_evolution.planners.failures import READ_LIMIT
from moto.backends import get_backend

from tests.unit.planners.claude.conftest import LINEAGE, PlanHarness
from tests.unit.planners.claude.test_rounds import GIVES_UP

STATUSES = ("rejected", "test_failed", "rejected", "skipped", "adopted")


def fill(attempts: int) -> None:
    """Put attempts straight into the emulated table; ten thousand requests would take a minute."""
    table = get_backend("dynamodb")["123456789012"]["us-east-1"].tables["record"]
    changes = get_backend("dynamodb")["123456789012"]["us-east-1"].tables["modifications"]
    for number in range(attempts // 10):
        identifier = f"2026-11-20T00:00:00.000Z#{number:05d}#tool0"
        names = {"host": "orchestrator", "modification_id": identifier, "tool": "run_shell_command"}
        change = names | {"status": "applied", "started_at": identifier[:24]}
        changes.put_item({name: {"S": value} for name, value in change.items()})
    for number in range(attempts):
        status = STATUSES[number % len(STATUSES)]
        minute, second = divmod(number, 60)
        hour, minute = divmod(minute, 60)
        item = {
            "lineage": {"S": LINEAGE},
            "attempt_id": {"S": f"2026-11-20T{hour:02d}:{minute:02d}:{second:02d}.000Z#00"},
            "status": {"S": status},
            "reason": {"S": "a reason of ordinary length " * 4},
            "hypothesis": {"S": "a hypothesis of ordinary length " * 8},
            "bitrate_mbps": {"N": str(Decimal("3.1"))},
        }
        if status == "adopted":
            item["adopted_version"] = {"N": str(number + 1)}
        table.put_item(item)


@pytest.fixture
def counted():
    """Return how many items DynamoDB looked at."""
    seen = {"items": 0}

    def count(parsed, model, **_):
        seen["items"] += parsed.get("ScannedCount", 1 if model.name == "GetItem" else 0)

    watched = []

    def watch(run: PlanHarness) -> dict:
        stores = (run.record, run.control, run.modifications)
        tables = tuple(store._table.meta.client for store in stores)
        watched.extend((client.meta.events, "after-call.dynamodb", count) for client in tables)
        for events, name, listener in watched:
            events.register(name, listener)
        return seen

    yield watch
    for events, name, listener in watched:
        events.unregister(name, listener)


@pytest.mark.slow
def test_a_call_reads_as_many_items_at_ten_thousand_attempts_as_at_one_thousand(
    harness, counted, record_property
):
    read = []
    run = harness(GIVES_UP, repeat=True)
    seen = counted(run)
    for attempts in (1_000, 10_000):
        fill(attempts)
        before = seen["items"]
        run.attempt_id = f"2026-11-21T22:30:00.000Z#{attempts // 1000:02d}"
        assert run.plan().reason == "gave_up: no idea left"
        read.append(seen["items"] - before)
    line = f"items read by one call of the planner: {read[0]} at 1,000 attempts, {read[1]} at 10,000"
    record_property("summary", ["measured", line])
    assert read[0] == read[1] <= RECENT + VERSIONS + MODIFICATIONS + READ_LIMIT + MAX_NICHES + 8


def test_nothing_of_the_operators_prefix_is_ever_fetched(harness):
    run = harness(GIVES_UP)
    run.plan()
    fetched = run.objects.fetched
    assert fetched and not any(key.startswith(HELD_OUT.split("/")[0]) for key in fetched)
