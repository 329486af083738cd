"""The adapter: the real SDK over HTTP against a server that speaks the Messages API."""

import json
import time
from datetime import UTC, datetime

import anthropic
import httpx2
import pytest
from codec_evolution.adapters import claude_api
from codec_evolution.adapters.claude_api import ClaudeApi, anthropic_client
from codec_evolution.planners.claude.language_model import ModelCall, ModelFault

from tests.support.messages_api import MODELS, MessagesApi, Script, model

TOOL = {
    "name": "give_up",
    "description": "Stop.",
    "strict": True,
    "input_schema": {
        "type": "object",
        "properties": {"reason": {"type": "string"}},
        "required": ["reason"],
        "additionalProperties": False,
    },
}
REPLY = {"reply": {"thinking": "hm", "tools": [{"name": "give_up", "input": {"reason": "no idea"}}]}}


def call(**changes) -> ModelCall:
    fields = {
        "model": "claude-opus-5-5",
        "system": "You write codecs.",
        "tools": [TOOL],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Go on."}]}],
        "max_tokens": 2000,
        "effort": "high",
    }
    return ModelCall(**{**fields, **changes})


@pytest.fixture
def api():
    servers = []

    def start(*turns, key="key", seconds=20.0, **options) -> tuple[ClaudeApi, Script]:
        script = Script(list(turns), api_key="key", **options)
        server = MessagesApi(script).__enter__()
        servers.append(server)
        deadline = time.monotonic() + seconds
        client = anthropic_client(key, server.url)
        clock = lambda: datetime(2026, 11, 21, tzinfo=UTC)  # noqa: E731
        return ClaudeApi(client, "anthropic", lambda: deadline, clock), script

    yield start
    for server in servers:
        server.__exit__()


def fault_of(act) -> ModelFault:
    with pytest.raises(ModelFault) as caught:
        act()
    return caught.value


def test_an_answer_comes_back_as_blocks_that_can_be_sent_again(api):
    claude, script = api(REPLY, REPLY)
    answer = claude.send(call())
    assert answer.stop_reason == "tool_use"
    assert answer.tool_calls[0]["input"] == {"reason": "no idea"}
    assert [block["type"] for block in answer.content] == ["thinking", "tool_use"]
    again = [
        {"role": "user", "content": [{"type": "text", "text": "Go on."}]},
        {"role": "assistant", "content": answer.content},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": answer.tool_calls[0]["id"], "content": "Think again."}
            ],
        },
    ]
    assert claude.send(call(messages=again)).tool_calls
    assert script.calls[1]["messages"][1]["content"][0]["signature"] == "signature-1"


def test_the_request_thinks_caches_and_asks_for_one_tool_at_a_time(api):
    claude, script = api(REPLY)
    claude.send(call())
    body = script.calls[0]
    assert body["thinking"] == {"type": "adaptive"}
    assert body["output_config"] == {"effort": "high"}
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}
    assert json.dumps(body).count("cache_control") == 2
    assert body["stream"] is True


def test_what_is_counted_is_what_is_billed(api):
    claude, _ = api(REPLY)
    assert claude.count(call()) == claude.send(call()).usage.total_input > 0


def test_tokens_of_the_cache_are_told_apart(api):
    usage = {"input_tokens": 10, "cache_read_input_tokens": 3000, "cache_creation_input_tokens": 200}
    written = {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50}
    replies = [usage | {"output_tokens": 77}, usage | {"output_tokens": 77, "cache_creation": written}]
    claude, _ = api(*({"reply": {**REPLY["reply"], "usage": each}} for each in replies))
    used = [claude.send(call()).usage for _ in replies]
    assert {(u.input, u.cache_read, u.cache_write, u.output) for u in used} == {(10, 3000, 200, 77)}
    assert [u.cache_write_1h for u in used] == [200, 50], "without a breakdown the dearer price is booked"


@pytest.mark.parametrize("name", ["claude-opus-5", "claude-haiku-5-5"])
@pytest.mark.parametrize("effort", ["high", "max"])
def test_a_forced_call_keeps_thinking_and_tools_so_that_the_cached_prefix_is_found(api, name, effort):
    claude, script = api(REPLY, REPLY)
    assert claude.facts(name).can_force is True
    first = claude.send(call(model=name, effort=effort))
    result = {"type": "tool_result", "tool_use_id": first.tool_calls[0]["id"], "content": "Again."}
    messages = [
        *call().messages,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    again = claude.send(call(model=name, effort=effort, messages=messages, forced=True))
    assert again.tool_calls and again.usage.cache_read > 0
    assert [body["tool_choice"]["type"] for body in script.calls] == ["auto", "any"]
    assert script.calls[1]["thinking"] == {"type": "adaptive"}
    assert script.calls[1]["output_config"] == {"effort": effort}
    assert [block["type"] for block in script.calls[1]["messages"][1]["content"]] == ["thinking", "tool_use"]


def test_a_model_that_always_thinks_refuses_a_forced_tool(api):
    claude, _ = api(REPLY)
    for name in ("claude-opus-5-5", "claude-sonnet-5-5"):
        assert claude.facts(name).can_force is False
        assert fault_of(lambda asked=name: claude.send(call(model=asked, forced=True))).kind == "bad_request"


def test_the_server_refuses_a_forced_tool_with_a_budget_of_thinking(api):
    claude, _ = api(REPLY)
    with pytest.raises(anthropic.BadRequestError, match="Thinking may not be enabled"):
        claude.client.messages.create(
            model="claude-opus-5",
            max_tokens=2000,
            messages=[{"role": "user", "content": "x"}],
            tools=[TOOL],
            thinking={"type": "enabled", "budget_tokens": 1024},
            tool_choice={"type": "any"},
        )


LARGE = {"reply": {"tools": [{"name": "give_up", "input": {"reason": "x" * 3_000}}]}}


@pytest.mark.slow
def test_a_large_input_of_a_tool_that_streams_eagerly_arrives_without_a_silence(api, monkeypatch):
    monkeypatch.setattr(claude_api, "READ_TIMEOUT_S", 0.5)
    claude, _ = api(LARGE, LARGE, buffer_s=1.5)
    eager = {**TOOL, "eager_input_streaming": True}
    assert claude.send(call(tools=[eager])).tool_calls[0]["input"] == {"reason": "x" * 3_000}
    fault = fault_of(lambda: claude.send(call()))
    assert (fault.kind, fault.retry, fault.billed) == ("timed_out", False, True), (
        "silence is not bought twice"
    )
    assert fault.request_id == "req_loopback"


def test_the_silence_that_is_allowed_is_longer_than_any_that_was_seen():
    assert claude_api.READ_TIMEOUT_S > 300


ERRORS = [
    ((429, "rate_limit_error", {"retry_after": 3}), ("rate_limited", True)),
    ((529, "overloaded_error", {}), ("overloaded", True)),
    ((500, "api_error", {}), ("provider_failed", True)),
    ((503, "api_error", {}), ("provider_failed", True)),
    ((504, "timeout_error", {}), ("provider_failed", True)),
    ((408, "timeout_error", {}), ("provider_failed", True)),
    ((409, "conflict_error", {}), ("provider_failed", True)),
    ((404, "not_found_error", {}), ("unknown_model", False)),
    ((422, "invalid_request_error", {}), ("bad_request", False)),
    ((401, "authentication_error", {}), ("wrong_key", False)),
    ((403, "permission_error", {}), ("not_permitted", False)),
    ((402, "billing_error", {}), ("spend_limit_reached", False)),
    ((413, "request_too_large", {}), ("prompt_too_large", False)),
    ((400, "invalid_request_error", {}), ("bad_request", False)),
    (
        (429, "rate_limit_error", {"error_code": "enforced_spend_limit_reached"}),
        ("spend_limit_reached", False),
    ),
]


@pytest.mark.parametrize(("answered", "expected"), ERRORS, ids=[e[1][0] + str(e[0][0]) for e in ERRORS])
def test_an_error_status_is_named_and_never_billed(api, answered, expected):
    status, kind, more = answered
    claude, script = api({"error": {"status": status, "type": kind, "message": "no", **more}})
    fault = fault_of(lambda: claude.send(call()))
    assert (fault.kind, fault.retry, fault.billed) == (*expected, False)
    assert fault.wait_s == more.get("retry_after", 0)
    assert fault.request_id == "req_loopback"
    assert len(script.calls) == 1, "the SDK must not retry behind the budget's back"


def test_a_wait_in_milliseconds_counts_before_one_in_seconds(api):
    busy = {
        "status": 429,
        "type": "rate_limit_error",
        "message": "no",
        "retry_after": 3,
        "retry_after_ms": 250,
    }
    claude, _ = api({"error": busy})
    assert fault_of(lambda: claude.send(call())).wait_s == 0.25


def test_a_limit_that_the_account_owner_set_is_a_spend_limit(api):
    message = "You have reached your specified API usage limits. You will regain access on 2026-12-01."
    claude, _ = api({"error": {"status": 400, "type": "invalid_request_error", "message": message}})
    assert fault_of(lambda: claude.send(call())).kind == "spend_limit_reached"


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        ("hang_up", "connection_lost"),
        ("drop", "connection_lost"),
        ("malformed", "malformed_tool_input"),
        ("overloaded", "overloaded"),
    ],
)
def test_an_answer_that_breaks_off_counts_as_billed(api, broken, kind):
    claude, _ = api({"fault": broken})
    fault = fault_of(lambda: claude.send(call()))
    assert (fault.kind, fault.retry, fault.billed) == (kind, True, True)


@pytest.mark.slow
@pytest.mark.parametrize("pace", ["slow", "silence"])
def test_an_answer_is_given_up_at_the_deadline_even_if_only_pings_come(api, pace):
    claude, _ = api({"fault": pace}, seconds=0.5)
    began = time.monotonic()
    fault = fault_of(lambda: claude.send(call()))
    assert (fault.kind, fault.retry, fault.billed) == ("too_slow", False, True)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("other", ["empty", "html"])
def test_a_server_that_sends_no_message_is_named(api, other):
    claude, _ = api({"fault": other})
    fault = fault_of(lambda: claude.send(call()))
    assert (fault.kind, fault.retry) == ("no_answer", False)


def test_a_thinking_block_that_was_cut_off_is_not_sent_back(api):
    cut = {"reply": {"thinking": "hm", "unsigned": True, "stop_reason": "max_tokens"}}
    claude, _ = api(cut)
    answer = claude.send(call())
    assert (answer.content, answer.stop_reason) == ([], "max_tokens")


def test_the_server_refuses_thinking_without_a_signature_and_a_foreign_conversation(api):
    claude, _ = api(REPLY, REPLY)
    first = claude.send(call())
    result = {"type": "tool_result", "tool_use_id": first.tool_calls[0]["id"], "content": "Again."}
    asked = {"role": "user", "content": [{"type": "text", "text": "Go on."}]}
    for thinking, asked_before in (({"signature": ""}, asked), ({}, {**asked, "content": "Something else."})):
        content = [{**first.content[0], **thinking}, *first.content[1:]]
        messages = [
            asked_before,
            {"role": "assistant", "content": content},
            {"role": "user", "content": [result]},
        ]
        assert fault_of(lambda given=messages: claude.send(call(messages=given))).kind == "bad_request"


def breaks(error: type[Exception]) -> ClaudeApi:
    """Return a client whose connection fails like this."""

    def fail(request: httpx2.Request) -> httpx2.Response:
        raise error("broken", request=request)

    http = httpx2.Client(transport=httpx2.MockTransport(fail))
    client = anthropic.Anthropic(api_key="key", max_retries=0, http_client=http)
    return ClaudeApi(client, "anthropic", lambda: time.monotonic() + 5)


@pytest.mark.parametrize(
    ("error", "kind", "retry", "billed"),
    [
        (httpx2.ConnectError, "connection_lost", True, False),
        (httpx2.ConnectTimeout, "timed_out", True, False),
        (httpx2.ReadTimeout, "timed_out", False, True),
        (httpx2.RemoteProtocolError, "connection_lost", True, True),
    ],
)
def test_only_what_never_left_this_machine_is_certainly_free(error, kind, retry, billed):
    fault = fault_of(lambda: breaks(error).send(call()))
    assert (fault.kind, fault.retry, fault.billed) == (kind, retry, billed)


def answers(status: int, body: object, **headers: str) -> ClaudeApi:
    """Return a client of a server that always answers like this."""
    text = body if isinstance(body, str) else json.dumps(body)
    kind = "text/html" if isinstance(body, str) else "application/json"
    given = lambda request: httpx2.Response(  # noqa: E731
        status, text=text, headers={"content-type": kind, **headers}
    )
    http = httpx2.Client(transport=httpx2.MockTransport(given))
    client = anthropic.Anthropic(api_key="key", max_retries=0, http_client=http)
    return ClaudeApi(client, "anthropic", lambda: time.monotonic() + 5)


def test_a_provider_that_forbids_a_retry_is_obeyed():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}
    assert fault_of(lambda: answers(529, error).send(call())).retry is True
    forbids = answers(529, error, **{"x-should-retry": "false"})
    assert fault_of(lambda: forbids.send(call())).retry is False


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("act", ["facts", "count", "send"])
def test_an_address_that_is_no_messages_api_is_named_as_such(status, act):
    claude = answers(status, "<html>Welcome</html>")
    given = "claude-opus-5-5" if act == "facts" else call()
    fault = fault_of(lambda: getattr(claude, act)(given))
    assert fault.kind in ("wrong_address", "no_answer")
    assert fault.retry is False


def test_a_server_that_is_not_there_is_no_bill():
    deadline = time.monotonic() + 5
    claude = ClaudeApi(anthropic_client("key", "http://127.0.0.1:9"), "anthropic", lambda: deadline)
    fault = fault_of(lambda: claude.send(call()))
    assert (fault.kind, fault.retry, fault.billed) == ("connection_lost", True, False)


def without(*path: str) -> dict:
    """Return the capabilities of a model that lacks one."""
    able = json.loads(json.dumps(model("x")["capabilities"]))
    node = able
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = {"supported": False}
    return able


MODEL_CASES = {
    "unknown_model": {},
    "retired_model": {"lifecycle": "retired"},
    "retiring_model": {"lifecycle": "deprecated", "retires_at": "2026-11-30T00:00:00Z"},
    "model_too_small": {"max_input_tokens": 100_000},
    "model_unfit": {"capabilities": without("thinking", "types", "adaptive")},
}


@pytest.mark.parametrize("kind", MODEL_CASES)
def test_a_model_that_cannot_do_the_work_is_refused_before_any_call(api, kind):
    known = {m["id"]: m for m in MODELS}
    if kind != "unknown_model":
        known["claude-old"] = model("claude-old", **MODEL_CASES[kind])
    claude, _ = api(models=known)
    assert fault_of(lambda: claude.facts("claude-old")).kind == kind


def test_a_wrong_key_is_found_with_the_model(api):
    claude, _ = api(key="another")
    assert fault_of(lambda: claude.facts("claude-opus-5-5")).kind == "wrong_key"


def test_a_model_that_lacks_the_effort_or_the_length_asked_for_is_refused_by_name(api):
    known = {m["id"]: m for m in (model("claude-old", capabilities=without("effort", "xhigh")), *MODELS)}
    claude, _ = api(models=known)
    claude.effort = "xhigh"
    fault = fault_of(lambda: claude.facts("claude-old"))
    assert fault.kind == "model_unfit" and "'xhigh'" in str(fault)
    claude.effort, claude.max_tokens = "high", 128_001
    assert fault_of(lambda: claude.facts("claude-opus-5-5")).kind == "model_too_small"


def test_an_unknown_model_is_told_with_the_setting_to_mend(api):
    claude, _ = api()
    assert "planner_models" in str(fault_of(lambda: claude.facts("claude-gone")))
