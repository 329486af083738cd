"""Milliseconds that each widget takes through the deployed function, warm, with 1,000 attempts and modifications."""

import json
import statistics
import tempfile
import time
from pathlib import Path

from codec_evolution.widgets.views import VIEWS

from infra.local.page import Backend
from infra.local.session import LINEAGE, open_session
from tests.integration.test_operate import MANY, crowded

ROUNDS = 15


def measure(state_dir: Path) -> dict[str, dict[str, float]]:
    """Return the median and the slowest of `ROUNDS` renderings of each view, in ms."""
    with open_session(state_dir, {}, lambda text: None) as session:
        tables = session.deployment.resource("dynamodb")
        with tables.Table(session.deployment.evolution_record_table).batch_writer() as batch:
            for number in range(MANY):
                batch.put_item(Item=crowded(LINEAGE, number))
        with tables.Table(session.deployment.framework_modifications_table).batch_writer() as batch:
            for number in range(MANY):
                batch.put_item(Item=_modification(number))
        backend = Backend()
        backend.attach(session)
        return {view: _timed(backend, view) for view in VIEWS}


def _timed(backend: Backend, view: str) -> dict[str, float]:
    spent = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        backend.invoke("Widgets", {"view": view, "widgetContext": {"width": 1200}})
        spent.append(1000 * (time.perf_counter() - began))
    warm = spent[1:]
    return {"median_ms": round(statistics.median(warm), 1), "slowest_ms": round(max(warm), 1)}


def _modification(number: int) -> dict[str, str]:
    return {
        "host": "orchestrator",
        "modification_id": f"2026-01-01T00:00:00.000Z#{number:05d}",
        "status": "pending_approval" if number % 20 == 0 else "applied",
        "tool": "modify_framework_file",
        "file": "x.py",
        "summary": "modify_framework_file x.py",
        "reason": "because " * 20,
        "started_at": "2026-01-01T00:00:00.000Z",
    }


def main() -> None:
    """Print the figures as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder)), indent=2))


if __name__ == "__main__":
    main()
