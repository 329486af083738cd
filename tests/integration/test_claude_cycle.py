"""A whole cycle with Claude as the planner: real state machine, handlers and sandbox; only the model is scripted."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from codec_evolution.candidate import sha256_hex
from codec_evolution.planners.grammar.genome import Genome
from codec_evolution.planners.grammar.writer import write_codec

from tests.support.messages_api import MessagesApi, Script
from tests.support.short_clips import ON_SHORT_CLIPS

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "conversations" / "repair_after_tool.json"
KEY = f"sk-ant-{secrets.token_hex(16)}"
"""Stands for a real key: it must be found nowhere below the state directory."""


def winner() -> str:
    """Return the source of a codec that beats version 0 and is quick to measure."""
    return write_codec(Genome(prediction="motion"))


def used_in(usage: dict) -> int:
    """Return all tokens that a call has read."""
    return usage["input"] + usage["cache_write"] + usage["cache_read"]


def run(state_dir: Path, base_url: str, key: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.cli", "run", "--planner", "claude", "--json"]
    shell = {**os.environ, **ON_SHORT_CLIPS, "ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_API_KEY": key}
    return subprocess.run(
        [*command, "--state-dir", str(state_dir), *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=shell,
        cwd=ROOT,
    )


@pytest.fixture(scope="module")
def cycle(tmp_path_factory, short_clips):
    """One cycle from nothing: (state directory, result, script)."""
    state_dir = tmp_path_factory.mktemp("claude")
    state_dir.chmod(0o755)
    script = Script.read(SCRIPT, values={"WINNER": winner()}, api_key=KEY)
    with MessagesApi(script) as server:
        done = run(state_dir, server.url, KEY, "--cycles", "1")
    assert done.returncode == 0, done.stderr[-3000:]
    return state_dir, json.loads(done.stdout), script


@pytest.fixture
def attempt(cycle) -> dict:
    """The attempt that Claude planned."""
    return next(a for a in cycle[1]["cycles"][0]["attempts"] if a.get("planner") == "claude")


def test_a_scripted_claude_reads_calls_a_tool_repairs_its_codec_and_is_adopted(cycle, attempt):
    _, result, script = cycle
    assert script.missed == []
    assert len(script.calls) == 4
    assert (attempt["status"], attempt.get("adopted_version"), result["version"]) == ("adopted", 1, 1), (
        attempt
    )
    assert attempt["source_sha256"] == sha256_hex(winner())
    assert attempt["hypothesis"].startswith("Motion compensation")
    assert attempt["summary"].startswith("LLM evolved codec to v1 - ")


def test_the_tool_was_run_and_its_answer_was_seen(cycle):
    _, _, script = cycle
    answer = script.calls[2]["messages"][-1]["content"][0]
    assert answer["type"] == "tool_result"
    assert "status" in answer["content"] and "modification_id" in answer["content"]


def test_the_sandbox_told_everything_that_was_wrong_at_once(cycle):
    _, _, script = cycle
    told = script.calls[3]["messages"][-1]["content"][0]["content"]
    assert "os" in told and "eval" in told and "policy" in told


def test_the_record_tells_what_the_model_used_and_cost(cycle, attempt):
    _, result, script = cycle
    assert attempt["model"] == "claude-opus-5-5"
    assert attempt["llm_calls"] == script.counted == 4
    read, written = attempt["tokens_cache_read"], attempt["tokens_cache_write"]
    assert read > written > 5_000 and attempt["tokens_out"] > 1_000, (
        "later rounds read what the first has written"
    )
    assert attempt["tokens_in"] + read + written == sum(used_in(each) for each in script.used)
    # Opus 5.5, dollars a million tokens: 4 in, 20 out, 5 and 8 into the cache for 5 minutes and an hour, 0.20 from it.
    expected = sum(
        each["input"] * 4
        + each["output"] * 20
        + (each["cache_write"] - each["cache_write_1h"]) * 5
        + each["cache_write_1h"] * 8
        + each["cache_read"] * 0.2
        for each in script.used
    )
    assert attempt["llm_cost_usd"] == pytest.approx(expected / 1e6, abs=5e-6)
    assert result["spent_usd"] == pytest.approx(expected / 1e6, abs=5e-6)
    assert len(attempt["prompt_sha256"]) == 64


def test_the_key_of_the_users_shell_is_nowhere_on_disk(cycle):
    state_dir, _, _ = cycle
    found = [path for path in state_dir.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert found == []
    assert state_dir.stat().st_mode & 0o077 == 0, "the address of the key is closed to other users"
    assert any(b"transcript" in str(path).encode() for path in state_dir.rglob("*")), (
        "the search saw the artifacts"
    )
