"""The contracts of the cycle's edges."""

import ast
import base64
import json
import random
import zlib
from pathlib import Path

import pytest
from codec_evolution.candidate import (
    MAX_COMPRESSED_BYTES,
    MAX_SOURCE_BYTES,
    Candidate,
    SourceError,
    normalised_sha256,
    sha256_hex,
)
from codec_evolution.contracts import (
    CAPS_BYTES,
    EDGE_LIMIT_BYTES,
    INPUT_CAPS_BYTES,
    CloseRequest,
    CommitRequest,
    Concluded,
    ConcludeRequest,
    ContractError,
    Decision,
    Envelope,
    OpenRequest,
    OperatorCall,
    Planned,
    PlanRequest,
    ToolRequest,
    pack_text,
    parse,
    to_payload,
)

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
LONG = "x" * 100_000
ITEM = {
    "attempt_id": "2026-11-21T22:00:00.000Z#00",
    "lineage": "main",
    "cycle_id": "2026-11-21T22:00:00.000Z",
    "slot": 0,
    "kind": "candidate",
    "version": 0,
    "release": "r",
    "seed": "s",
    "tools": False,
    "budget_usd": 1.0,
}
POLICY = "[imports]\nallowed = ['numpy']\n"


def test_a_sealed_source_comes_out_as_it_went_in():
    source = "def compress_video_frame(frame, frame_index, config):\n    return b'\\u00e9'\n"
    assert Envelope.seal(source, POLICY).source() == source


def test_an_envelope_whose_source_was_swapped_is_refused():
    sealed = Envelope.seal("a = 1\n", POLICY)
    swapped = sealed.model_copy(update={"source_zb64": pack_text("a = 2\n")})
    with pytest.raises(ContractError, match="source_sha256"):
        swapped.source()


def test_a_compression_bomb_is_refused_before_it_grows():
    bomb = base64.b64encode(zlib.compress(b"0" * 50_000_000, 9)).decode()
    sealed = Envelope.seal("a = 1\n", POLICY).model_copy(update={"source_zb64": bomb})
    with pytest.raises(ContractError, match="source_zb64 is larger than 163840 bytes"):
        sealed.source()


@pytest.mark.parametrize("damaged", ["", "not base64!", "AAAA", base64.b64encode(b"\x00" * 9).decode()])
def test_a_damaged_text_is_named(damaged):
    sealed = Envelope.seal("a = 1\n", POLICY).model_copy(update={"source_zb64": damaged})
    with pytest.raises(ContractError, match="source_zb64 is damaged"):
        sealed.source()


def test_the_source_that_compresses_worst_fits_on_plans_edge():
    """A block of noise, repeated at a distance that zlib cannot see, is the worst case that lzma might admit."""
    draw = random.Random(1)
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/"
    block = "".join(draw.choice(letters) for _ in range(MAX_COMPRESSED_BYTES * 5 // 4))
    with pytest.raises(SourceError, match="compressed with lzma"):
        Candidate((4 * block)[:MAX_SOURCE_BYTES])
    source = block + "#" * (MAX_SOURCE_BYTES - len(block))
    planned = Planned(next="candidate", envelope=Envelope.seal(Candidate(source).source, POLICY))
    assert to_payload(planned, "plan")["next"] == "candidate"


def test_an_answer_above_its_cap_is_refused_with_both_sizes():
    with pytest.raises(ContractError, match=r"conclude: \d+ bytes, the edge carries at most 2048"):
        to_payload(Concluded(next="done", status="x" * 3000), "conclude")


def test_no_edge_may_carry_more_than_the_house_limit():
    assert max(*CAPS_BYTES.values(), *INPUT_CAPS_BYTES.values()) < EDGE_LIMIT_BYTES


def test_a_payload_with_an_unknown_field_is_refused_by_name():
    with pytest.raises(ContractError, match="plan: surprise"):
        parse(PlanRequest, {"item": None, "round": 0, "surprise": 1} | {"item": ITEM}, "plan")


@pytest.mark.parametrize(
    "folder", ["open_cycle", "plan", "framework_tool", "conclude", "commit", "close_cycle"]
)
def test_every_handler_of_the_cycle_parses_its_input_and_reads_the_event_nowhere_else(folder):
    """`framework_tool` may look which of its three inputs it got."""
    tree = ast.parse((FUNCTIONS / folder / "handler.py").read_text())
    handler = next(node for node in tree.body if getattr(node, "name", "") == "lambda_handler")
    calls = [node for node in ast.walk(handler) if isinstance(node, ast.Call)]
    parsed = [
        call for call in calls if getattr(call.func, "id", "") == "parse" and call.args[2].value == folder
    ]
    assert parsed and all(call.args[1].id == "event" for call in parsed)
    read = [
        node
        for node in ast.walk(handler)
        if isinstance(node, ast.Subscript | ast.Attribute) and getattr(node.value, "id", "") == "event"
    ]
    assert read == []


@pytest.mark.parametrize(
    ("model", "edge", "payload", "field"),
    [
        (
            OpenRequest,
            "open_cycle",
            {"execution": "e", "started": "s", "input": {"lineage": 7}, "pass": 0},
            "input",
        ),
        (OpenRequest, "open_cycle", {"execution": "e", "started": "s", "input": {}, "pass": -1}, "pass"),
        (CommitRequest, "commit", {"lineage": None}, "lineage"),
        (CloseRequest, "close_cycle", {"execution": "e", "lineage": "main"}, "cycle_id"),
        (ToolRequest, "framework_tool", {"attempt_id": "a", "round": 9, "request": {}}, "round"),
        (OperatorCall, "framework_tool", {"modification_id": "m", "tool": "t", "arguments": {}}, "reason"),
        (Decision, "framework_tool", {"operation": "undo", "modification_id": "m"}, "operation"),
    ],
)
def test_a_wrong_input_is_refused_by_its_field(model, edge, payload, field):
    with pytest.raises(ContractError, match=f"{edge}: {field}"):
        parse(model, payload, edge)


@pytest.mark.parametrize(
    ("model", "edge", "payload"),
    [
        (PlanRequest, "plan", {"item": ITEM, "round": 0, "answer": {"message": LONG}}),
        (ConcludeRequest, "conclude", {"item": ITEM, "measure": {"points": [LONG]}}),
        (CommitRequest, "commit", {"lineage": LONG}),
        (CloseRequest, "close_cycle", {"execution": LONG, "lineage": "main", "cycle_id": "c"}),
        (OpenRequest, "open_cycle", {"execution": "e", "started": "s", "input": {"note": LONG}, "pass": 0}),
        (ToolRequest, "framework_tool", {"attempt_id": "a", "round": 0, "request": {"tool": LONG + LONG}}),
    ],
)
def test_an_input_above_its_cap_is_refused_with_both_sizes(model, edge, payload):
    cap = INPUT_CAPS_BYTES[edge]
    with pytest.raises(ContractError, match=rf"{edge}: \d+ bytes, the edge takes at most {cap}"):
        parse(model, payload, edge)


def test_the_largest_reports_fit_on_concludes_input():
    report = {"outcome": "passed", "source_sha256": "s", "clip_set": "c", "padding": ""}
    report["padding"] = "x" * (CAPS_BYTES["report"] - len(json.dumps(report)))
    request = {"item": ITEM, "measure": report, "confirm": report, "execution": "arn:aws:states:" + "x" * 200}
    assert parse(ConcludeRequest, request, "conclude").item.slot == 0
    assert parse(PlanRequest, {"item": ITEM, "round": 1, "answer": report}, "plan").round == 1


def test_a_round_beyond_the_fifth_is_refused():
    with pytest.raises(ContractError, match="round"):
        parse(PlanRequest, {"item": ITEM, "round": 6}, "plan")


def test_comments_and_layout_do_not_make_another_candidate():
    assert normalised_sha256("x = 1  # one\n") == normalised_sha256("x=1\n")
    assert normalised_sha256("x = 1\n") != normalised_sha256("x = 2\n")


def test_a_source_that_does_not_parse_still_has_a_key():
    assert normalised_sha256("def :") == sha256_hex("def :")
