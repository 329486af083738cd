"""What a round of Claude costs besides the model: reading evidence, rendering, booking, storing; at 1,000 attempts."""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from codec_evolution import artifacts
from codec_evolution.adapters.claude_api import ClaudeApi, anthropic_client
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.candidate import sha256_hex
from codec_evolution.clock import utc_now
from codec_evolution.contracts import Item, PlanRequest
from codec_evolution.framework import release
from codec_evolution.loop.planning import PlanStage
from codec_evolution.planners.claude.language_model import (
    LanguageModel,
    ModelAnswer,
    ModelCall,
    ModelFacts,
)
from codec_evolution.planners.claude.planner import ClaudePlanner
from codec_evolution.planners.claude.settings import ClaudeSettings
from codec_evolution.planners.prompts import Limits
from codec_evolution.record import Attempt

from infra.local.session import Session, open_session
from tests.support.messages_api import MessagesApi, Script

ROOT = Path(__file__).resolve().parents[2]
LINEAGE = "bench"
CYCLE = "2026-11-21T22:00:00.000Z"
ROUNDS = 15
SOURCE = (ROOT / "sandbox_container" / "codecs" / "version_0.py").read_text("utf-8")
TURN = {"reply": {"tools": [{"name": "give_up", "input": {"reason": "only measuring"}}]}}


class Timed:
    """A language model whose seconds are counted apart."""

    def __init__(self, model: LanguageModel) -> None:
        self._model, self.provider, self.seconds = model, model.provider, 0.0

    def _spend(self, act: Any, *given: Any) -> Any:
        began = time.perf_counter()
        try:
            return act(*given)
        finally:
            self.seconds += time.perf_counter() - began

    def facts(self, model: str) -> ModelFacts:
        """Return what the provider says of a model."""
        return self._spend(self._model.facts, model)

    def count(self, call: ModelCall) -> int:
        """Return the tokens of a call."""
        return self._spend(self._model.count, call)

    def send(self, call: ModelCall) -> ModelAnswer:
        """Make a call."""
        return self._spend(self._model.send, call)


def measure(attempts: int = 1_000) -> dict[str, Any]:
    """Return milliseconds of a first round besides the model, warm, against the local emulator."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_session(Path(folder), {}, lambda text: None) as session,
    ):
        name = _fill(session, attempts)
        script = Script([TURN], repeat=True)
        # As in a warm function environment: the clients are there.
        changes = FrameworkModifications(session.deployment.framework_modifications_table)
        stores = (session.record, session.control, session.bucket, changes)
        with MessagesApi(script) as server:
            spent = [_round(stores, name, number, server.url) for number in range(ROUNDS)]
    warm = sorted(spent[3:])
    return {
        "attempts": attempts,
        "overhead_ms_median": round(1000 * statistics.median(warm), 1),
        "overhead_ms_worst": round(1000 * warm[-1], 1),
        "first_ms": round(1000 * spent[0], 1),
        "prompt_chars": len(json.dumps(script.calls[-1]["messages"]))
        + len(script.calls[-1]["system"][0]["text"]),
    }


def _round(stores: tuple[Any, Any, Any, Any], name: str, number: int, url: str) -> float:
    record, control, bucket, changes = stores
    ends = time.monotonic() + 870
    model = Timed(ClaudeApi(anthropic_client("key", url), "anthropic", lambda: ends))
    planner = ClaudePlanner(
        model=model,
        record=record,
        control=control,
        objects=bucket,
        modifications=changes,
        settings=ClaudeSettings((("claude-opus-5-5", 1.0),), "high", 32_000, 1e6, Limits(30, 240, 2048)),
        now=utc_now,
        deadline=lambda: ends,
    )
    stage = PlanStage(record, control, bucket, planner, SOURCE, 0, utc_now)
    item = Item(
        attempt_id=f"{CYCLE}#{number:02d}",
        lineage=LINEAGE,
        cycle_id=CYCLE,
        slot=0,
        kind="candidate",
        version=0,
        release=name,
        seed="seed",
        tools=True,
        budget_usd=100.0,
    )
    began = time.perf_counter()
    planned = stage.plan(PlanRequest(item=item, round=0))
    total = time.perf_counter() - began
    assert planned.reason.startswith("gave_up"), planned.reason
    return total - model.seconds


def _fill(session: Session, attempts: int) -> str:
    sha = sha256_hex(SOURCE)
    session.bucket.put_text(artifacts.source(sha), SOURCE)
    session.control.adopt(
        Attempt(
            lineage=LINEAGE,
            attempt_id="2026-11-20T00:00:00.000Z#00",
            status="adopted",
            reason="baseline",
            adopted_version=0,
            source_sha256=sha,
            clip_set="clips",
        ),
        session.control.state(LINEAGE),
    )
    for number in range(attempts):
        session.record.put_once(
            Attempt(
                lineage=LINEAGE,
                attempt_id=f"2026-11-21T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z#00",
                status="rejected" if number % 3 else "test_failed",
                reason="a reason of ordinary length " * 4,
                hypothesis="a hypothesis of ordinary length " * 8,
                failure_kind="runtime",
                bitrate_mbps=3.1,
            )
        )
    return release.publish(session.bucket, release.shipped_files(ROOT))


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
