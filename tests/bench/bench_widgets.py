"""Milliseconds that each widget takes through the deployed function, warm, with 1,000 attempts and modifications."""

import statistics
import tempfile
import time
from pathlib import Path

from codec_evolution import artifacts
from codec_evolution.widgets.rate_distortion import shown
from codec_evolution.widgets.views import VIEWS

from infra.local.page import Backend
from infra.local.session import LINEAGE, Session, open_session
from tests.integration.test_operate import MANY, crowded

ROUNDS = 15


def measure() -> dict[str, dict[str, float]]:
    """Return the median and the slowest of `ROUNDS` renderings of each view, in ms."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_session(Path(folder), {}, lambda text: None) as session,
    ):
        tables = session.deployment.resource("dynamodb")
        with tables.Table(session.deployment.evolution_record_table).batch_writer() as batch:
            for number in range(MANY):
                batch.put_item(Item=crowded(LINEAGE, number))
        with tables.Table(session.deployment.framework_modifications_table).batch_writer() as batch:
            for number in range(MANY):
                batch.put_item(Item=_modification(number))
        _measured(session, MANY // 10)
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


def _measured(session: Session, incumbent: int) -> None:
    """Make a version the incumbent, and store the reports that its curves are drawn from."""
    session.deployment.resource("dynamodb").Table(session.deployment.loop_control_table).update_item(
        Key={"lineage": LINEAGE, "item": "state"},
        UpdateExpression="SET version = :v",
        ExpressionAttributeValues={":v": incumbent},
    )
    windows = [{"clip": clip, "window": 0} for clip in ("bunny", "carphone")]
    rates = [{"bitrate_mbps": 2.0**n, "psnr_db": 31.0 + 3 * n, "ms_ssim": 0.98} for n in range(5)]
    report = {
        "points": [
            {**at, "role": "train", "quality": 10 + 20 * n, **rates[n]} for at in windows for n in range(5)
        ],
        "anchors": [{**at, "codec": "x265_zerolatency", "points": rates} for at in windows],
    }
    for version in shown(incumbent):
        record = session.record.of_version(LINEAGE, version)
        if record is not None:
            session.bucket.put_json(artifacts.report(LINEAGE, record.attempt_id), report)


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
