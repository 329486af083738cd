"""One attempt that experiments: real state machine, handlers and sandbox; only the model is scripted."""

import json
import re

import pytest
from codec_evolution.planners.constants import VARIANTS, named_constants
from codec_evolution.planners.novelty import changes, changes_text

from tests.integration.test_claude_cycle import KEY, ROOT, run
from tests.support.messages_api import MessagesApi, Script

BASELINE = ROOT / "sandbox_container" / "codecs" / "version_0.py"
SCRIPT = ROOT / "tests" / "conversations" / "measure_and_tune.json"

DEAD_ZONE = (
    "    levels = np.rint(coefficients / step).astype(np.int64)\n",
    "    levels = (np.sign(coefficients) * np.floor(np.abs(coefficients) / step + 0.45)).astype(np.int64)\n",
)
"""A little better than version 0, but not enough to be adopted."""

EDITS = (
    ("def to_levels(plane, step):", "def to_levels(plane, step, rounding):"),
    (
        DEAD_ZONE[1],
        "    levels = (np.sign(coefficients) * np.floor(np.abs(coefficients) / step + rounding)).astype(np.int64)\n",
    ),
    (
        "    levels = np.concatenate([to_levels(plane, step) for plane in rgb_to_planes(frame)]).reshape(-1)\n",
        '    coarse = config.get("chroma", 1.0)\n'
        "    steps = (step, step * coarse, step * coarse)\n"
        "    planes = rgb_to_planes(frame)\n"
        "    before = SENT[0] if frame_index else [0.0, 0.0, 0.0]\n"
        '    rounding = config.get("rounding", 0.5)\n'
        "    parts = [to_levels(p - b, s, rounding) for p, b, s in zip(planes, before, steps)]\n"
        "    SENT[0] = [b + from_levels(q, *p.shape, s) for q, p, b, s in zip(parts, planes, before, steps)]\n"
        "    levels = np.concatenate(parts).reshape(-1)\n",
    ),
    (
        "    for size in ((rows, columns), (rows // 2, columns // 2), (rows // 2, columns // 2)):\n",
        "    before = RECEIVED[0] if frame_index else [0.0, 0.0, 0.0]\n"
        '    coarse = config.get("chroma", 1.0)\n'
        "    sizes = ((rows, columns), (rows // 2, columns // 2), (rows // 2, columns // 2))\n"
        "    for size, part, scale in zip(sizes, before, (1.0, coarse, coarse)):\n",
    ),
    (
        "        planes.append(from_levels(levels[first:last], size[0], size[1], step))\n",
        "        planes.append(part + from_levels(levels[first:last], size[0], size[1], step * scale))\n",
    ),
    ("        first = last\n    return", "        first = last\n    RECEIVED[0] = planes\n    return"),
    (
        "    coefficients[:, ZIGZAG] = levels * step\n",
        "    coefficients[:, ZIGZAG] = (levels - np.sign(levels) * (BIASES / 128)) * step\n",
    ),
    ("import math\n", "import base64\nimport lzma\nimport math\n"),
    (
        "BLOCK = 8\n",
        'BLOCK = 8\nSENT, RECEIVED = [None], [None]\n\nBIAS = ""\n'
        "PACKED = lzma.decompress(base64.b85decode(BIAS)) if BIAS else bytes(BLOCK * BLOCK)\n"
        "BIASES = np.frombuffer(PACKED, dtype=np.int8)\n",
    ),
)
"""From the near miss to a codec of frame differences. Two of its numbers are named constants, and a table can be
trained: how far towards zero coefficients lie in their cells, in 1/128 of a step. It is quick to measure."""

TRAINER = """
plain_to_levels = to_levels
COUNTS, SUMS = np.zeros(64), np.zeros(64)


def to_levels(plane, step, rounding):
    blocks = plane.reshape(plane.shape[0] // 8, 8, plane.shape[1] // 8, 8).transpose(0, 2, 1, 3)
    places = np.abs(DCT @ blocks @ DCT.T).reshape(-1, 64)[:, ZIGZAG] / step
    levels = np.floor(places + rounding)
    COUNTS[:] += (levels > 0).sum(axis=0)
    SUMS[:] += ((levels - places) * (levels > 0)).sum(axis=0)
    return plain_to_levels(plane, step, rounding)


def train(videos, config):
    for frames, fps in videos:
        for quality in (30, 70):
            for number, frame in enumerate(frames[:3]):
                compress_video_frame(frame, number, {"quality": quality})
    return {"BIAS": np.rint(128 * SUMS / (COUNTS + 20)).clip(-127, 127).astype(np.int8)}
"""
"""It watches the quantiser of `tunable`."""


def tunable() -> str:
    """Return a codec that beats version 0, with numbers to tune."""
    source = BASELINE.read_text("utf-8")
    for old, new in (DEAD_ZONE, *EDITS):
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


def near_miss_of(calls: list[dict]) -> str:
    """Return the near miss that the second conversation is told of."""
    told = json.dumps(calls[1]["messages"][0]["content"])
    found = re.search(r"([0-9T:.-]+Z#\d+), BD-rate against the incumbent", told)
    assert found, told
    return found[1]


@pytest.fixture(scope="module")
def conversations(tmp_path_factory, short_clips) -> tuple[list[dict], Script]:
    """Two cycles of one run: the attempts that Claude planned, and what was said."""
    state_dir = tmp_path_factory.mktemp("experiments")
    state_dir.chmod(0o755)
    edit = dict(zip(("search", "replace"), DEAD_ZONE, strict=True))
    submission = {
        "hypothesis": "Small coefficients are not worth their bits; expect a few percent less rate.",
        "summary": "Version 0 with a dead zone.",
        "source": None,
        "base": "incumbent",
        "edits": [edit],
    }
    edits = [{"search": old, "replace": new} for old, new in EDITS]
    values = {"NEAR_MISS": near_miss_of, "EDITS": edits, "TRAINER": TRAINER}
    script = Script.read(SCRIPT, values=values, api_key=KEY)
    script.turns.insert(0, {"reply": {"tools": [{"name": "submit_codec", "input": submission}]}})
    with MessagesApi(script) as server:
        done = run(state_dir, server.url, KEY, "--cycles", "2")
    assert done.returncode == 0, done.stderr[-3000:]
    cycles = json.loads(done.stdout)["cycles"]
    attempts = [each for cycle in cycles for each in cycle["attempts"] if each.get("planner") == "claude"]
    assert len(attempts) == 2, attempts
    return attempts, script


@pytest.fixture
def near_miss(conversations) -> dict:
    """The first attempt, which gained too little."""
    return conversations[0][0]


@pytest.fixture
def attempt(conversations) -> tuple[dict, list[dict]]:
    """The second attempt, and what the model was sent for it."""
    attempts, script = conversations
    return attempts[1], script.calls[1:]


def test_what_gains_too_little_is_a_near_miss_that_the_next_attempt_is_shown(near_miss, attempt):
    _, calls = attempt
    assert near_miss["status"] == "rejected"
    assert -10 < near_miss["bd_rate_vs_incumbent"] < 0
    told = json.dumps(calls[0]["messages"][0]["content"])
    assert f"{near_miss['attempt_id']}, BD-rate against the incumbent" in told


def test_it_carries_the_near_miss_on_measures_tunes_trains_reads_a_part_and_is_adopted(
    conversations, near_miss, attempt
):
    _, script = conversations
    record, calls = attempt
    assert script.missed == [] and len(calls) == 5
    assert near_miss_of(script.calls) == near_miss["attempt_id"]
    assert (record["status"], record.get("adopted_version")) == ("adopted", 1), record
    assert record["role"] and record["probes"] == 3


def test_the_tuned_numbers_are_in_the_adopted_source(attempt):
    _, calls = attempt
    told = calls[2]["messages"][-1]["content"][0]["content"]
    rows = [line for line in told.splitlines() if line.startswith("| rounding ")]
    assert len(rows) == VARIANTS - 1 and "as in the source" in told
    assert "failed" not in told, told


def test_the_trained_table_is_in_the_adopted_source_and_never_passes_through_the_model(attempt):
    record, calls = attempt
    told = calls[3]["messages"][-1]["content"][0]["content"]
    assert re.search(r"Trained in \d+ CPU seconds on bunny/\d.*: BIAS int8 \(64\), \d+ characters", told)
    untrained = changes_text(changes(BASELINE.read_text("utf-8"), tunable()))
    empty, found = (re.search(r"\bBIAS (->\w+);", text) for text in (untrained, record["changes"]))
    assert empty and found and found[1] != empty[1]


def test_its_probes_are_paid_like_the_models_dollars(attempt):
    record, _ = attempt
    assert 0 < record["probe_cost_usd"] < 0.02 < record["compute_cost_usd"] + record["llm_cost_usd"]
    assert record["compute_cost_usd"] > record["probe_cost_usd"]


def test_the_source_names_the_constants_that_the_conversation_tunes():
    assert set(named_constants(tunable())) == {"rounding", "chroma", "quality"}
