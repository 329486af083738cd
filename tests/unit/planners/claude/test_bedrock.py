"""Claude by Bedrock: the real SDK signs with the role's credentials; the server stands for the Mantle endpoint."""

import time

import pytest
from anthropic.lib.aws import _auth
from codec_evolution.adapters.claude_api import PROVIDERS, ClaudeApi
from codec_evolution.planners.claude.language_model import ModelFault
from codec_evolution.pricing import load_prices

from tests.support.messages_api import MessagesApi, Script
from tests.unit.planners.claude.test_claude_api import REPLY, TOOL, call

MODEL = "anthropic.claude-opus-5-5"


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch):
    """Give the process a role's credentials, or none."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    def assume(*, credentials: bool) -> None:
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_BEARER_TOKEN_BEDROCK"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        if credentials:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
        _auth._get_session.cache_clear()

    yield assume
    _auth._get_session.cache_clear()


@pytest.fixture
def bedrock():
    """Return a client and the script of its server."""
    known = {MODEL: Script([]).models["claude-opus-5-5"] | {"id": MODEL}}
    with MessagesApi(Script([REPLY], models=known)) as server:
        client = PROVIDERS["bedrock"]("", server.url)
        yield ClaudeApi(client, "bedrock", lambda: time.monotonic() + 20), server.script


def test_a_call_goes_through_with_the_roles_signature_and_no_key(role, bedrock):
    role(credentials=True)
    claude, script = bedrock
    asked = call(model=MODEL, tools=[{name: value for name, value in TOOL.items() if name != "strict"}])
    assert claude.count(asked) == claude.send(asked).usage.total_input
    assert script.calls[0]["model"] == MODEL
    assert "cache_control" not in script.calls[0], (
        "breakpoints by hand: not every provider places one by itself"
    )


def test_a_model_that_is_named_without_its_vendor_is_asked_for_by_its_full_name(role, bedrock):
    """The settings' default is such a name, and it has a price; the endpoint knows only the full one."""
    role(credentials=True)
    claude, script = bedrock
    asked = call(model="claude-opus-5-5", tools=[{k: v for k, v in TOOL.items() if k != "strict"}])
    assert claude.count(asked) == claude.send(asked).usage.total_input
    assert script.calls[0]["model"] == MODEL


def test_its_models_facts_come_from_the_price_table(role, bedrock):
    role(credentials=True)
    facts, price = bedrock[0].facts(MODEL), load_prices().model(MODEL, "bedrock")
    assert (facts.context_tokens, facts.can_force) == (price.context_tokens, price.thinking_can_be_off)
    assert facts.strict is False
    with pytest.raises(ModelFault, match="unknown_model"):
        bedrock[0].facts("anthropic.claude-next")


def test_without_credentials_the_attempt_ends_by_that_name_and_costs_nothing(role, bedrock):
    role(credentials=False)
    claude, script = bedrock
    with pytest.raises(ModelFault, match="no_credential") as caught:
        claude.count(call(model=MODEL))
    assert (caught.value.retry, caught.value.billed, script.calls) == (False, False, [])
