"""Stands for Plan: a planner that follows the seed's worked example, in place of a language model.

Where a candidate failed because the language policy lacks ``bytearray``, it amends the policy and restarts the
orchestrator; otherwise it hands in its candidate. Everything but candidates is left to the real handler.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from codec_evolution import artifacts
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import EvolutionRecord
from codec_evolution.candidate import normalised_sha256, sha256_hex
from codec_evolution.clock import utc_now
from codec_evolution.contracts import Envelope
from codec_evolution.framework import release

SHIPPED = Path(os.environ["SHIPPED_DIR"])
BASELINE = (SHIPPED / "sandbox_container/codecs/version_0.py").read_text("utf-8")
CANDIDATE = (
    BASELINE.replace("def compress_video_frame(", "def plain_frame(")
    + """

def compress_video_frame(frame: np.ndarray, frame_index: int, config: dict) -> bytes:
    return bytes(bytearray(plain_frame(frame, frame_index, config)))
"""
)
REPAIR = {
    "tool": "modify_framework_file",
    "arguments": {
        "file_path": "layers/common/python/codec_evolution/data/language_policy.toml",
        "modification_type": "search_replace",
        "content": {"search": '"bool", "bytes",', "replace": '"bool", "bytearray", "bytes",'},
        "reason": "Add bytearray to sandbox builtins for binary data manipulation in compression",
    },
}
RESTART = {"tool": "restart_orchestrator", "arguments": {"reason": "Apply sandbox changes"}}


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    item, answer = event.get("item"), event.get("answer")
    if item is None or item["kind"] != "candidate":
        # Without an item it is the check of a published version, which the real handler refuses by its contract.
        return real_handler()(event, context)
    if event["round"] == 0:
        return {**PLANNED, **(tool(REPAIR) if needs_repair(item) else candidate(item))}
    if event["round"] == 1 and answer and answer["status"] == "applied":
        return {**PLANNED, **tool(RESTART)}
    return {**PLANNED, "next": "nothing", "reason": f"repaired: {answer}"[:1000]}


PLANNED = {"cost_usd": 0.0, "elapsed_s": 0.0}


def tool(request: dict[str, Any]) -> dict[str, Any]:
    return {"next": "tool", "request": request}


def needs_repair(item: dict[str, Any]) -> bool:
    """Tell whether the last attempt failed for want of ``bytearray`` under the release of this one."""
    latest = EvolutionRecord(os.environ["EVOLUTION_RECORD_TABLE"]).latest(item["lineage"], 1)
    return bool(
        item["tools"]
        and latest
        and latest[0].status == "test_failed"
        and "bytearray" in (latest[0].failure_message or "")
        and latest[0].release == item["release"]
    )


def candidate(item: dict[str, Any]) -> dict[str, Any]:
    bucket = ArtifactBucket(os.environ["ARTIFACT_BUCKET"])
    policy = release.load_policy(bucket, item["release"])
    facts = {
        "source_sha256": sha256_hex(CANDIDATE),
        "normalised_sha256": normalised_sha256(CANDIDATE),
        "policy_sha256": sha256_hex(policy),
        "hypothesis": "A mutable buffer makes room for later tricks.",
        "planner": "claude",
        "started_at": utc_now(),
    }
    bucket.put_text(artifacts.source(facts["source_sha256"]), CANDIDATE)
    bucket.put_json(artifacts.proposal(item["lineage"], item["attempt_id"]), facts)
    return {"next": "candidate", "envelope": Envelope.seal(CANDIDATE, policy).model_dump(mode="json")}


def real_handler() -> Any:
    spec = importlib.util.spec_from_file_location("real_plan", SHIPPED / "functions/plan/handler.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.lambda_handler
