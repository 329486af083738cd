"""Whatever comes in is answered by a value or by the boundary's own error, never by another exception.

Deterministic in the suite. By hand, longer and each time other inputs: ``FUZZ=50 pytest tests/fuzz`` draws fifty times
as many; a failure prints the smallest input.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import os
import random
import re
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from codec_evolution.contracts import (
    ConcludeRequest,
    ContractError,
    OpenRequest,
    PlanRequest,
)
from codec_evolution.contracts import (
    parse as parse_payload,
)
from codec_evolution.framework import rendering
from codec_evolution.framework.rendering import TemplateFailed
from codec_evolution.host.call import parse as parse_call
from codec_evolution.host.refusal import HostRefusal
from codec_sandbox import channel, validator
from codec_sandbox.policy import Policy, PolicyError, ceiling_text
from codec_sandbox.request import RequestError, parse
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from infra.local.page import Page
from tests.unit.host.conftest import POLICY as HOST_POLICY
from tests.unit.host.conftest import Host
from tests.unit.local.test_page_requests import PAUSE, Recorder, press

ROOT = Path(__file__).resolve().parents[2]
LONGER = float(os.environ.get("FUZZ", "1"))
"""By how much more is drawn than in the suite."""
POLICY_TOML = (ROOT / "layers/common/python/codec_evolution/data/language_policy.toml").read_text("utf-8")
BASELINE = (ROOT / "sandbox_container/codecs/version_0.py").read_bytes()
CONSTRUCT_CHARS = 400
"""Longest message of a violation that a prompt could bear."""


def drawn(examples: int) -> Any:
    """Return the settings of a test: the same inputs in each run of the suite, others by hand."""
    return settings(
        max_examples=int(examples * LONGER),
        derandomize=LONGER == 1,
        deadline=None,
        database=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
            HealthCheck.large_base_example,
            HealthCheck.function_scoped_fixture,
        ],
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**30), 2**63, 0, 1])
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["", "main", "\ud800", "\0", "../../x", "2026-01-01T00:00:00Z", "a" * 500]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def damaged(draw: st.DrawFn, whole: Any) -> Any:
    """Draw a JSON value with some places of it removed, renamed or replaced."""
    value = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        node = value
        while isinstance(node, dict | list) and node:
            key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else list(range(len(node)))))
            if not isinstance(node[key], dict | list) or draw(st.booleans()):
                if draw(st.integers(0, 4)) == 0:
                    del node[key]
                elif isinstance(node, dict) and draw(st.integers(0, 4)) == 0:
                    node[draw(st.text(max_size=12))] = node.pop(key)
                else:
                    node[key] = draw(JSON)
                break
            node = node[key]
    return value


# --- the candidate's source --------------------------------------------------------------------------

FRAGMENTS = st.sampled_from(
    [
        "import numpy as np\n", "from torch import nn", "import os", "def f(a, b, c):\n    ", "class C(", "lambda x: ",
        "np.", "__class__", ".__dict__", "getattr(", "f'{x!r}'", "'''", "\\", "\t", "    ", "\n", "(", ")", "[", "]",
        "{", "}", ":", "=", ":=", "*", "**", "@", "async ", "await ", "yield ", "match x:\n", "x if y else ", "del ",
        "try:\n  pass\nexcept E as e:\n  e.", "\u202e", "\u00ad", "\x00", "\ufeff", "# coding: latin-1\n", "0x", "exec",
        "1e999", "9" * 5000, "((((" * 40, "-" * 300, "global x\n", "nonlocal y\n", "return", "...", "\u00e9",
        "\N{MATHEMATICAL BOLD SMALL A}",
    ]
)  # fmt: skip
SOURCES = (
    st.binary(max_size=200)
    | st.lists(FRAGMENTS | st.text(max_size=5), max_size=25).map(
        lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
    )
    | st.tuples(st.integers(0, len(BASELINE)), st.integers(0, 400), st.lists(FRAGMENTS, max_size=3)).map(
        lambda cut: BASELINE[: cut[0]] + "".join(cut[2]).encode() + BASELINE[cut[0] + cut[1] :]
    )
)
SHIPPED = Policy.from_toml(POLICY_TOML, ceiling_text())


@drawn(150)
@given(SOURCES)
def test_every_source_gets_a_tree_or_readable_violations(source):
    tree, violations = validator.check(source, SHIPPED, ("compress_video_frame", "decompress_video_frame"))
    assert tree is not None or violations
    for each in violations:
        assert each.line >= 0 and each.column >= 0
        assert each.construct and 0 < len(each.message) <= CONSTRUCT_CHARS
        assert each.message.isprintable(), each.message


# --- the request of the sandbox ----------------------------------------------------------------------


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def envelope(source: bytes, policy: bytes) -> dict[str, Any]:
    return {
        "source_sha256": hashlib.sha256(source).hexdigest(),
        "source_zb64": packed(source),
        "policy": {"sha256": hashlib.sha256(policy).hexdigest(), "toml_zb64": packed(policy)},
    }


EVENT = {
    "attempt_id": "a",
    "envelope": envelope(b"x = 1\n", POLICY_TOML.encode()),
    "stages": ["validate", "smoke"],
    "split": "train",
    "seed": "s",
    "limits": {"call_s": 30, "total_cpu_s": 240, "memory_mb": 2048},
    "configs": [{"BLOCK": 8}],
}
HUGE = {**EVENT, "configs": [{"BLOCK": 10**400}]}
"""JSON has integers that no float holds."""
TRAINING = {
    **EVENT,
    "stages": ["train", "probe"],
    "configs": [],
    "trainer": {"source_zb64": EVENT["envelope"]["source_zb64"]},
}
POLICIES = st.binary(max_size=60) | st.lists(
    st.sampled_from(
        [
            'builtins = ["bool"]\n',
            "[modules]\n",
            'math = ["sqrt"]\n',
            "a = " + "[" * 3000,
            "x = 1\n",
            "= ",
            '"',
            "\n",
            "a." * 2000 + "b = 1\n",
            "library_codecs = true\n",
            "[modules.numpy]\n",
            "\ud7ff",
            "1979-05-27T07:32:00Z",
        ]
    ),
    max_size=5,
).map(lambda parts: "".join(parts).encode())


def parsed(event: Any) -> None:
    try:
        request = parse(event)
    except (RequestError, PolicyError) as refused:
        assert str(refused)
    else:
        assert request.stages and request.split in ("train", "held_out", "sealed")


@drawn(120)
@example(HUGE)
@given(JSON | damaged(EVENT) | damaged(TRAINING))
def test_a_request_of_the_sandbox_is_read_or_refused_by_name(event):
    parsed(event)


@drawn(120)
@given(POLICIES, st.binary(max_size=40))
def test_a_policy_and_a_source_that_are_properly_packed_are_read_or_refused(policy, source):
    parsed({**EVENT, "envelope": envelope(source, policy)})


@drawn(60)
@given(st.binary(min_size=channel.HEADER.size, max_size=channel.HEADER.size))
def test_a_header_that_a_worker_wrote_is_five_numbers_whatever_it_wrote(data):
    descriptor = channel.create_memory(channel.Channel.size(64, 64))
    try:
        end = channel.Channel(descriptor, 64, 64)
    finally:
        os.close(descriptor)
    end.memory[: len(data)] = data
    assert all(isinstance(field, int) and field >= 0 for field in end.header())
    end.close()


# --- payloads of the functions -----------------------------------------------------------------------

ITEM = {
    "lineage": "main", "cycle_id": "2026-11-21T22:00:00.000Z", "version": 0, "release": "r", "seed": "s",
    "attempt_id": "2026-11-21T22:00:00.000Z#00", "slot": 0, "kind": "candidate", "tools": False, "budget_usd": 1.0,
}  # fmt: skip
REPORT = {
    "outcome": "passed", "source_sha256": "a", "clip_set": "c", "timings_s": {"measure": 1.0},
    "points": [
        {"clip": "a", "role": "train", "window": 0, "quality": 9, "bitrate_mbps": 1.0, "psnr_db": 30.0, "ms_ssim": 0.9}
    ],
}  # fmt: skip
EDGES = (
    ("plan", PlanRequest, {"item": ITEM, "round": 0, "answer": {}}),
    ("conclude", ConcludeRequest, {"item": ITEM, "measure": REPORT, "confirm": REPORT, "execution": "e"}),
    (
        "open_cycle",
        OpenRequest,
        {"execution": "e", "started": "2026", "input": {"lineage": "main"}, "pass": 0},
    ),
)


@drawn(200)
@given(st.sampled_from(EDGES).flatmap(lambda edge: st.tuples(st.just(edge), JSON | damaged(edge[2]))))
def test_a_payload_of_an_edge_is_read_or_refused_with_the_edges_name(drawn_edge):
    (edge, model, _), payload = drawn_edge
    try:
        parse_payload(model, payload, edge)
    except ContractError as refused:
        assert str(refused).startswith(f"{edge}: ")


# --- calls of the host -------------------------------------------------------------------------------

CALL = {
    "modification_id": "m1",
    "tool": "modify_framework_file",
    "arguments": {"file_path": HOST_POLICY, "modification_type": "append", "content": "# x\n"},
    "reason": "because",
}
PATHS = st.sampled_from(
    [
        HOST_POLICY,
        "prompts/system.md",
        "infra/app.py",
        "../x",
        "/etc/passwd",
        "prompts",
        "",
        "a/" * 300,
        "prompts/\0",
        "prompts/../infra/app.py",
        "~/.ssh/id",
        "prompts/new.md",
        ".git/config",
        "prompts/sy\u0301stem.md",
        "\ud800",
    ]
)
FILE_CALLS = st.builds(
    lambda tool, path, kind, content: {
        **CALL,
        "tool": tool,
        "arguments": {"file_path": path, "modification_type": kind, "content": content},
    },
    st.sampled_from(["modify_framework_file", "rollback_file", "restore_file", "exec", ""]),
    PATHS | JSON,
    st.sampled_from(["append", "search_replace", "full_replace", "insert_line"]) | JSON,
    JSON | st.fixed_dictionaries({"search": st.text(max_size=5), "replace": st.text(max_size=5)}),
)


@drawn(250)
@given(st.binary(max_size=80) | (JSON | damaged(CALL)).map(lambda call: json.dumps(call).encode()))
def test_a_document_is_a_call_or_is_refused_by_a_rule(document):
    try:
        call = parse_call(document)
    except HostRefusal as refused:
        assert refused.rule.startswith(("document-", "approval-"))
        assert refused.message
    else:
        assert len(call.arguments_sha256) == 64


@pytest.fixture(scope="module")
def host(tmp_path_factory) -> Host:
    return Host(tmp_path_factory.mktemp("host"))


@drawn(80)
@given(call=FILE_CALLS | damaged(CALL), number=st.integers(0, 10**9))
def test_a_call_of_a_file_tool_is_answered_and_changes_nothing_that_it_does_not_say(host, call, number):
    before = host.fingerprint()
    arguments = call.get("arguments") if isinstance(call, dict) else None
    tool = call.get("tool") if isinstance(call, dict) else None
    if tool in ("run_shell_command", "install_python_package", "restart_orchestrator"):
        return
    answer = host.call(tool, arguments, modification_id=f"fuzz{number}-{random.random()}")
    assert answer["status"] in ("applied", "denied", "failed", "needs_approval")
    assert answer["success"] == (answer["status"] == "applied")
    if not answer["success"]:
        assert answer["rule"] and answer["message"]
        assert host.fingerprint() == before


# --- templates and their data ------------------------------------------------------------------------

TEMPLATES = st.lists(
    st.sampled_from(
        [
            "{{ ",
            " }}",
            "{% ",
            " %}",
            "for x in rows",
            "endfor",
            "if ",
            "endif",
            "rows",
            "text",
            "number",
            "x",
            ".",
            "[0]",
            "|",
            " upper",
            " join(',')",
            " replace('a', 'b')",
            " truncate(3)",
            " figure(1)",
            " line",
            " data",
            " round(2)",
            "'a'",
            "1",
            "*",
            "/",
            "//",
            "%",
            "~",
            "+",
            "-",
            "(",
            ")",
            "set y = ",
            "macro m()",
            "endmacro",
            "block b",
            "loop.",
            "{#",
            "#}",
            "raw",
            "endraw",
            "__class__",
            "attr('x')",
            "none",
            "is defined",
            "in",
            "not ",
            "include 'a'",
            "\n",
        ]
    )
    | st.text(max_size=4),
    max_size=14,
).map("".join)


@drawn(300)
@given(TEMPLATES, JSON)
def test_a_template_renders_plain_data_or_fails_by_name(template, data):
    context = {"rows": [{"name": "a"}, {"name": "b"}], "text": "some text", "number": 3}
    try:
        context["data"] = rendering.plain(data)
    except TypeError as refused:
        assert str(refused).startswith("context")
    try:
        (text,) = rendering.render_here({"t": template}, [{"name": "t", "context": context, "into": ""}])
    except TemplateFailed as failed:
        assert str(failed).startswith("prompts/t.md")
    else:
        assert "<" not in re.sub(r"<<.*?>>", "", text, flags=re.S) or "<" in template + json.dumps(data)


# --- the local page ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages() -> Iterator[dict[bool, tuple[str, Recorder]]]:
    """Serve a page for foreign requests and one for its own, since a button may still act after the answer."""
    foreign, own = Recorder(), Recorder()
    with Page(foreign, 0) as first, Page(own, 0) as second:
        yield {True: (urlsplit(first.url).netloc, foreign), False: (urlsplit(second.url).netloc, own)}


def send(host: str, data: bytes) -> bytes:
    """Send bytes and no more, and return all that comes back."""
    name, _, port = host.partition(":")
    received = b""
    with socket.create_connection((name, int(port)), 10.0) as line:
        try:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            while chunk := line.recv(65536):
                received += chunk
        except ConnectionError:
            pass
    return received


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[tuple[int, bytes, int]], bool]:
    """Draw the damage of a request, and whether another page sends it."""
    return draw(
        st.lists(st.tuples(st.integers(0, 10**4), st.binary(max_size=6), st.integers(0, 30)), max_size=4)
    ), draw(st.booleans())


@drawn(60)
@given(requests(), st.binary(max_size=60))
def test_damaged_requests_get_no_traceback_and_press_no_button_of_a_foreign_page(pages, drawn_request, tail):
    edits, foreign = drawn_request
    host, recorder = pages[foreign]
    origin = "https://evil.example" if foreign else f"http://{host}"
    data = press(host, PAUSE, Origin=origin).encode()
    for at, insert, cut in edits:
        place = at % (len(data) + 1)
        data = data[:place] + insert + data[place + cut :]
    answer = send(host, data + tail)
    assert not answer or answer.startswith(b"HTTP/1.1 ")
    assert b"HTTP/1.1 5" not in answer and b"Traceback" not in answer
    if foreign:
        assert recorder.asked == []
