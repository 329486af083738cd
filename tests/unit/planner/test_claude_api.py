"""The adapter: the real SDK over HTTP against a server that speaks the Messages API."""

import time
from datetime import UTC, datetime

import pytest
from codec_evolution.adapters.claude_api import ClaudeApi, anthropic_client
from codec_evolution.planners.model import ModelCall, ModelFault

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
        "messages": [{"role": "user", "content": "Go on."}],
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
        {"role": "user", "content": "Go on."},
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
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"} == body["cache_control"]
    assert body["stream"] is True


def test_what_is_counted_is_what_is_billed(api):
    claude, _ = api(REPLY)
    assert claude.count(call()) == claude.send(call()).usage.total_input > 0


def test_tokens_of_the_cache_are_told_apart(api):
    usage = {"input_tokens": 10, "cache_read_input_tokens": 3000, "cache_creation_input_tokens": 200}
    claude, _ = api({"reply": {**REPLY["reply"], "usage": usage | {"output_tokens": 77}}})
    used = claude.send(call()).usage
    assert (used.input, used.cache_read, used.cache_write, used.output) == (10, 3000, 200, 77)


def test_a_forced_tool_switches_thinking_off_where_the_model_allows_it(api):
    claude, script = api(REPLY)
    assert claude.facts("claude-opus-5").can_force is True
    claude.send(call(model="claude-opus-5", forced=True))
    assert script.calls[0]["thinking"] == {"type": "disabled"}
    assert script.calls[0]["tool_choice"]["type"] == "any"


def test_a_model_that_always_thinks_refuses_a_forced_tool(api):
    claude, _ = api(REPLY)
    assert claude.facts("claude-opus-5-5").can_force is False
    assert fault_of(lambda: claude.send(call(forced=True))).kind == "bad_request"


def test_the_server_refuses_a_forced_tool_with_thinking(api):
    import anthropic

    claude, _ = api(REPLY)
    with pytest.raises(anthropic.BadRequestError, match="Thinking may not be enabled"):
        claude.client.messages.create(
            model="claude-opus-5",
            max_tokens=100,
            messages=[{"role": "user", "content": "x"}],
            tools=[TOOL],
            thinking={"type": "adaptive"},
            tool_choice={"type": "any"},
        )


ERRORS = [
    ((429, "rate_limit_error", {"retry_after": 3}), ("rate_limited", True)),
    ((529, "overloaded_error", {}), ("overloaded", True)),
    ((500, "api_error", {}), ("provider_failed", True)),
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
    assert len(script.calls) == 1, "the SDK must not retry behind the budget's back"


def test_a_limit_that_the_account_owner_set_is_a_spend_limit(api):
    message = "You have reached your specified API usage limits. You will regain access on 2026-12-01."
    claude, _ = api({"error": {"status": 400, "type": "invalid_request_error", "message": message}})
    assert fault_of(lambda: claude.send(call())).kind == "spend_limit_reached"


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        ("drop", "connection_lost"),
        ("malformed", "malformed_tool_input"),
        ("overloaded", "overloaded"),
    ],
)
def test_an_answer_that_breaks_off_counts_as_billed(api, broken, kind):
    claude, _ = api({"fault": broken})
    fault = fault_of(lambda: claude.send(call()))
    assert (fault.kind, fault.retry, fault.billed) == (kind, True, True)


def test_a_slow_answer_is_given_up_at_the_deadline(api):
    claude, _ = api({"fault": "slow"}, seconds=0.5)
    fault = fault_of(lambda: claude.send(call()))
    assert (fault.kind, fault.retry, fault.billed) == ("too_slow", False, True)


def test_a_server_that_is_not_there_is_no_bill():
    deadline = time.monotonic() + 5
    claude = ClaudeApi(anthropic_client("key", "http://127.0.0.1:9"), "anthropic", lambda: deadline)
    fault = fault_of(lambda: claude.send(call()))
    assert (fault.kind, fault.retry, fault.billed) == ("connection_lost", True, False)


MODEL_CASES = {
    "unknown_model": {},
    "retired_model": {"lifecycle": "retired"},
    "retiring_model": {"lifecycle": "deprecated", "retires_at": "2026-11-30T00:00:00Z"},
    "model_too_small": {"max_input_tokens": 100_000},
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
