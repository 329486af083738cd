"""A planner at work: real tables (moto), a bucket in memory, the real SDK, a scripted Messages API."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import CodeType
from typing import Any

import boto3
import pytest
from codec_evolution import artifacts
from codec_evolution.adapters.claude_api import ClaudeApi, anthropic_client
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from codec_evolution.candidate import sha256_hex
from codec_evolution.contracts import Item, Planned, PlanRequest
from codec_evolution.framework import release, rendering
from codec_evolution.loop.planning import PlanStage
from codec_evolution.planners.claude.planner import ClaudePlanner
from codec_evolution.planners.claude.settings import ClaudeSettings
from codec_evolution.planners.connections import Connections
from codec_evolution.planners.prompts import Limits
from codec_evolution.record import Attempt
from moto.backends import get_backend

from tests.support.aws import aws_in_process
from tests.support.memory_bucket import WrittenBucket
from tests.support.messages_api import MessagesApi, Script

ROOT = Path(__file__).resolve().parents[4]
CYCLE = "2026-11-21T22:00:00.000Z"
ATTEMPT = f"{CYCLE}#00"
LINEAGE = "main"
CLIPS = "clips"
SEED = "seed"
INCUMBENT = (ROOT / "sandbox_container" / "codecs" / "version_0.py").read_text("utf-8")
INDEXES = {
    "by_status": (["lineage", "status"], "attempt_id", "S"),
    "by_version": (["lineage"], "adopted_version", "N"),
    "by_source": (["source_key"], "attempt_id", "S"),
}


COMPILE = rendering.PlainEnvironment.compile


@cache
def compiled(source: str) -> CodeType:
    """Return the code of a template, which takes longer to compile than to render."""
    return COMPILE(rendering.PlainEnvironment(), source)


@pytest.fixture(autouse=True)
def render_in_this_process(monkeypatch):
    """Starting a process for each prompt is what `tests/unit/framework/test_rendering.py` tests."""
    monkeypatch.setattr(rendering.PlainEnvironment, "compile", lambda self, source: compiled(source))
    monkeypatch.setattr(
        rendering, "render_in_child", lambda request: rendering.answer_to(json.loads(request))
    )


@dataclass
class PlanHarness:
    """One attempt's planner with all that surrounds it.

    Attributes
    ----------
    signs
        What the planner let be observed.
    waits
        Seconds that it would have slept.
    """

    record: EvolutionRecord
    control: LoopControl
    objects: WrittenBucket
    modifications: FrameworkModifications
    release: str
    script: Script
    url: str
    models: tuple[tuple[str, float], ...] = (("claude-opus-5-5", 1.0),)
    budget_usd: float = 20.0
    attempt_budget_usd: float = 20.0
    tools: bool = True
    attempt_id: str = ATTEMPT
    max_tokens: int = 32_000
    seconds_left: float = 870.0
    probes: int = 0
    signs: list[dict[str, Any]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def item(self) -> Item:
        """Return the slot's item."""
        return Item(
            attempt_id=self.attempt_id,
            lineage=LINEAGE,
            cycle_id=CYCLE,
            slot=0,
            kind="candidate",
            version=0,
            release=self.release,
            seed=SEED,
            tools=self.tools,
            budget_usd=self.attempt_budget_usd,
        )

    @cached_property
    def client(self) -> Any:
        """The SDK's client, on the connections of all tests: those of another one load all certificates, 25 ms."""
        return _any_client().with_options(base_url=self.url)

    def planner(self) -> ClaudePlanner:
        """Return a planner as a fresh function environment has it."""
        ends = time.monotonic() + self.seconds_left
        return ClaudePlanner(
            model=ClaudeApi(self.client, "anthropic", lambda: ends),
            record=self.record,
            control=self.control,
            objects=self.objects,
            modifications=self.modifications,
            settings=ClaudeSettings(
                models=self.models,
                effort="high",
                max_tokens=self.max_tokens,
                daily_budget_usd=self.budget_usd,
                limits=Limits(30, 240, 2048),
                probes=self.probes,
            ),
            now=lambda: CYCLE,
            deadline=lambda: ends,
            sleep=self.waits.append,
            observe=lambda signs: self.signs.append(dict(signs)),
        )

    def connections(self, settings: dict[str, str], **changes: Any) -> Connections:
        """Return what the function Plan gives a planner, with this run's stores."""
        given: dict[str, Any] = {
            "settings": settings,
            "record": self.record,
            "control": self.control,
            "objects": self.objects,
            "modifications": self.modifications,
            "now": lambda: CYCLE,
            "deadline": lambda: 0.0,
            "observe": lambda signs: None,
            "read_secret": lambda arn: "",
            "language_model": lambda key: self.planner().model,
        }
        return Connections(**given | changes)

    def plan(self, number: int = 0, answer: dict[str, Any] | None = None) -> Planned:
        """Call Plan once."""
        stage = PlanStage(
            record=self.record,
            control=self.control,
            objects=self.objects,
            planner=self.planner(),
            baseline=INCUMBENT,
            search_seed=0,
            now=lambda: CYCLE,
        )
        return stage.plan(PlanRequest(item=self.item(), round=number, answer=answer))

    def spent(self) -> float:
        """Return what is booked on the day."""
        return self.control.day(LINEAGE, CYCLE[:10]).spent_usd

    def transcript(self) -> dict[str, Any]:
        """Return the stored conversation."""
        return self.objects.get_json(artifacts.transcript(LINEAGE, self.attempt_id))

    def last_message(self) -> str:
        """Return what the last call sent last."""
        content = self.script.calls[-1]["messages"][-1]["content"]
        return str(content[-1].get("text") or content[-1].get("content"))


@cache
def _any_client() -> Any:
    return anthropic_client("key", "http://127.0.0.1")


@pytest.fixture(scope="module")
def tables() -> Iterator[tuple[EvolutionRecord, LoopControl, WrittenBucket]]:
    """Tables and bucket as the data stack has them.

    No longer than a module: while it lives, every AWS client of the process talks to it, those of other tests too.
    """
    with aws_in_process("us-east-1"):
        client = boto3.client("dynamodb")
        for table, partition, sort, indexes in (
            ("record", "lineage", "attempt_id", INDEXES),
            ("control", "lineage", "item", {}),
            ("modifications", "host", "modification_id", {}),
        ):
            client.create_table(**_table(table, partition, sort, indexes))
        yield EvolutionRecord("record"), LoopControl("control", "record"), WrittenBucket()


@pytest.fixture(scope="module")
def modifications(tables) -> FrameworkModifications:
    """The history of framework modifications; connecting to its table takes longer than most calls."""
    return FrameworkModifications("modifications")


@pytest.fixture(scope="module")
def shipped(tables) -> str:
    """The release of the shipped prompts and policy, which stays in the bucket from test to test."""
    files = {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / "prompts").glob("*.md")
    }
    policy = ROOT / "layers/common/python/codec_evolution/data/language_policy.toml"
    files["language_policy.toml"] = policy.read_text("utf-8")
    return release.publish(tables[2], files)


@pytest.fixture
def harness(tables, modifications, shipped) -> Iterator[Any]:
    """Return a maker of harnesses: ``harness(turn, turn, ...)`` scripts what Claude answers."""
    record, control, objects = tables
    _empty(objects, but=artifacts.release(shipped, ""))
    servers = []

    def make(*turns: dict[str, Any], **changes: Any) -> PlanHarness:
        options = {
            name: changes.pop(name) for name in ("values", "models_known", "repeat") if name in changes
        }
        if "models_known" in options:
            options["models"] = options.pop("models_known")
        script = Script(list(turns), api_key="key", **options)
        server = MessagesApi(script).__enter__()
        servers.append(server)
        _adopt_baseline(tables)
        return PlanHarness(record, control, objects, modifications, shipped, script, server.url, **changes)

    yield make
    for server in servers:
        server.__exit__()


def _adopt_baseline(tables: tuple[EvolutionRecord, LoopControl, WrittenBucket]) -> None:
    _, control, objects = tables
    sha = sha256_hex(INCUMBENT)
    objects.put_text(artifacts.source(sha), INCUMBENT)
    if control.state(LINEAGE).version < 0:
        control.adopt(
            Attempt.from_item(
                {
                    "lineage": LINEAGE,
                    "attempt_id": "2026-11-21T00:00:00.000Z#00",
                    "status": "adopted",
                    "reason": "baseline",
                    "version": 0,
                    "adopted_version": 0,
                    "source_sha256": sha,
                    "clip_set": CLIPS,
                    "bitrate_mbps": 9.4,
                    "bd_rate_vs_hevc": 180.0,
                }
            ),
            control.state(LINEAGE),
        )


def _empty(objects: WrittenBucket, but: str) -> None:
    """Remove all items and objects, except for those below a prefix."""
    for table in get_backend("dynamodb")["123456789012"]["us-east-1"].tables.values():
        table.items.clear()
    for key in [each for each in objects if not each.startswith(but)]:
        del objects[key]


def _table(name: str, partition: str, sort: str, indexes: dict[str, Any]) -> dict[str, Any]:
    kinds = {partition: "S", sort: "S"}
    made = []
    for index, (parts, key, kind) in indexes.items():
        kinds |= {**dict.fromkeys(parts, "S"), key: kind}
        schema = [{"AttributeName": each, "KeyType": "HASH"} for each in parts]
        made.append(
            {
                "IndexName": index,
                "KeySchema": [*schema, {"AttributeName": key, "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        )
    more = {"GlobalSecondaryIndexes": made} if made else {}
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [
            {"AttributeName": partition, "KeyType": "HASH"},
            {"AttributeName": sort, "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": k} for n, k in kinds.items()],
        **more,
    }
