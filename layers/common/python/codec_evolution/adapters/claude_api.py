"""Claude through the official SDK: the Anthropic API, or Amazon Bedrock with the function's own role."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import httpx2

from codec_evolution.planners.model import ModelAnswer, ModelCall, ModelFacts, ModelFault
from codec_evolution.pricing import UnknownPrice, Usage, load_prices

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 90.0
"""Seconds without any event of the stream, which sends a ping at least every few seconds."""
COUNT_TIMEOUT_S = 20.0
RETIREMENT_NOTICE = timedelta(days=30)
LEAST_CONTEXT_TOKENS = 150_000
LEAST_OUTPUT_TOKENS = 32_000

_RETRIED = (
    anthropic.RateLimitError,
    anthropic.OverloadedError,
    anthropic.InternalServerError,
    anthropic.RequestTimeoutError,
    anthropic.ConflictError,
)
_KINDS: tuple[tuple[type[anthropic.APIStatusError], str], ...] = (
    (anthropic.AuthenticationError, "wrong_key"),
    (anthropic.PermissionDeniedError, "not_permitted"),
    (anthropic.PaymentRequiredError, "spend_limit_reached"),
    (anthropic.NotFoundError, "unknown_model"),
    (anthropic.ContentTooLargeError, "prompt_too_large"),
    (anthropic.RateLimitError, "rate_limited"),
    (anthropic.OverloadedError, "overloaded"),
    (anthropic.InternalServerError, "provider_failed"),
    (anthropic.BadRequestError, "bad_request"),
)
_SPENT = ("spend_limit", "billing", "credit balance", "api usage limits")
"""What the provider's codes and messages call an exhausted account; no retry helps before a person acts."""


@dataclass
class ClaudeApi:
    """One provider; implements `planners.model.LanguageModel`.

    Attributes
    ----------
    client
        An SDK client whose own retries are off: each try is a call that the budget must know.
    deadline
        Returns the monotonic time at which a stream is given up.
    """

    client: Any
    provider: str
    deadline: Callable[[], float]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _facts: dict[str, ModelFacts] = field(default_factory=dict)

    def facts(self, model: str) -> ModelFacts:
        """Check a model once a process: it exists, stays for 30 days, and has room for the prompt."""
        if model not in self._facts:
            found = self._retrieve(model) if self.provider == "anthropic" else self._tabled(model)
            if found.context_tokens < LEAST_CONTEXT_TOKENS or found.max_output_tokens < LEAST_OUTPUT_TOKENS:
                raise ModelFault(
                    "model_too_small",
                    f"{model} reads {found.context_tokens} and writes {found.max_output_tokens} tokens; "
                    f"{LEAST_CONTEXT_TOKENS} and {LEAST_OUTPUT_TOKENS} are needed",
                )
            self._facts[model] = found
        return self._facts[model]

    def count(self, call: ModelCall) -> int:
        """Return the input tokens of a call by the provider's own count, which is free."""
        body = _body(call)
        for name in ("max_tokens", "stream"):
            body.pop(name, None)
        try:
            return int(self.client.messages.count_tokens(**body, timeout=COUNT_TIMEOUT_S).input_tokens)
        except anthropic.APIError as error:
            raise _fault(error, started=False) from None

    def send(self, call: ModelCall) -> ModelAnswer:
        """Make a call once, streaming, so that no idle connection is cut."""
        started = False
        try:
            with self.client.messages.stream(**_body(call), timeout=self._timeout()) as stream:
                for event in stream:
                    started = started or event.type == "message_start"
                    if time.monotonic() > self.deadline():
                        raise ModelFault("too_slow", "the answer took too long", billed=True)
                message = stream.get_final_message()
        except anthropic.APIError as error:
            raise _fault(error, started=started) from None
        except httpx2.HTTPError as error:
            # A connection that breaks within the stream is not wrapped by the SDK.
            raise ModelFault("connection_lost", str(error)[:300], retry=True, billed=True) from None
        except ValueError as error:
            # The SDK's word for tool input that is not JSON.
            raise ModelFault("malformed_tool_input", str(error)[:300], retry=True, billed=True) from None
        if message.stop_reason is None:
            raise ModelFault("connection_lost", "the stream ended early", retry=True, billed=True)
        return ModelAnswer(
            content=[_returnable(block) for block in message.content],
            stop_reason=str(message.stop_reason),
            usage=_usage(message.usage),
            request_id=stream.request_id or "",
        )

    def _timeout(self) -> anthropic.Timeout:
        left = max(1.0, self.deadline() - time.monotonic())
        return anthropic.Timeout(min(READ_TIMEOUT_S, left), connect=min(CONNECT_TIMEOUT_S, left))

    def _retrieve(self, model: str) -> ModelFacts:
        try:
            info = self.client.models.retrieve(model, timeout=COUNT_TIMEOUT_S)
        except anthropic.APIError as error:
            raise _fault(error, started=False) from None
        if info.lifecycle == "retired":
            raise ModelFault("retired_model", f"{model} is retired: name another model")
        if info.retires_at is not None and info.retires_at - self.now() < RETIREMENT_NOTICE:
            raise ModelFault(
                "retiring_model", f"{model} retires on {info.retires_at.date()}: name another model"
            )
        able = info.capabilities
        return ModelFacts(
            context_tokens=info.max_input_tokens or 0,
            max_output_tokens=info.max_tokens or 0,
            can_force=able is not None and able.thinking.types.disabled.supported,
            strict=able is not None and able.structured_outputs.supported,
        )

    def _tabled(self, model: str) -> ModelFacts:
        """Bedrock has no catalogue with these facts, and holds no tool input to its schema on every model."""
        try:
            price = load_prices().model(model, self.provider)
        except UnknownPrice as unknown:
            raise ModelFault("unknown_model", str(unknown)) from None
        return ModelFacts(price.context_tokens, price.max_output_tokens, price.thinking_can_be_off, False)


def anthropic_client(api_key: str, base_url: str) -> Any:
    """Return a client of the Anthropic API; an empty address is the provider's own."""
    return anthropic.Anthropic(
        api_key=api_key, base_url=base_url or "https://api.anthropic.com", max_retries=0
    )


def bedrock_client(base_url: str) -> Any:
    """Return a client of Amazon Bedrock in this function's region, signed with its role."""
    return anthropic.AnthropicBedrockMantle(base_url=base_url or None, max_retries=0)


PROVIDERS: Mapping[str, Callable[[str, str], Any]] = {
    "anthropic": anthropic_client,
    "bedrock": lambda _, base_url: bedrock_client(base_url),
}
"""Client factories by the setting's name: from a key and an address. A further provider is one more entry."""


def _body(call: ModelCall) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": call.model,
        "max_tokens": call.max_tokens,
        # One breakpoint after the part that never changes, one that moves with the conversation.
        "system": [{"type": "text", "text": call.system, "cache_control": {"type": "ephemeral"}}],
        "cache_control": {"type": "ephemeral"},
        "tools": list(call.tools),
        "messages": list(call.messages),
        "output_config": {"effort": call.effort},
        "thinking": {"type": "adaptive"},
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    }
    if call.forced:
        body["thinking"] = {"type": "disabled"}
        body["tool_choice"] = {"type": "any", "disable_parallel_tool_use": True}
    return body


def _returnable(block: Any) -> dict[str, Any]:
    """Return a content block as the API takes it back."""
    plain: dict[str, Any] = block.to_dict(mode="json", exclude_unset=True)
    # What the SDK's stream adds is no part of the API's block.
    plain.pop("parsed_output", None)
    return plain


def _usage(usage: Any) -> Usage:
    return Usage(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cache_write=usage.cache_creation_input_tokens or 0,
        cache_read=usage.cache_read_input_tokens or 0,
    )


def _fault(error: anthropic.APIError, *, started: bool) -> ModelFault:
    """Map the SDK's errors; whatever breaks once the answer has begun may be charged for."""
    if not isinstance(error, anthropic.APIStatusError):
        timeout = isinstance(error, anthropic.APITimeoutError)
        kind = "timed_out" if timeout else "connection_lost"
        return ModelFault(kind, str(error)[:300], retry=True, billed=started or timeout)
    text = f"{error.error_code or ''} {error.type or ''} {error.api_message or error.message}"
    if any(word in text.lower() for word in _SPENT):
        return ModelFault("spend_limit_reached", text.strip()[:300], billed=started)
    kind = next((name for cls, name in _KINDS if isinstance(error, cls)), "provider_failed")
    if error.type == "overloaded_error":
        kind = "overloaded"
    return ModelFault(
        kind,
        (error.api_message or error.message)[:300],
        retry=isinstance(error, _RETRIED) or error.type in ("overloaded_error", "api_error"),
        billed=started,
        wait_s=_seconds(error.response.headers.get("retry-after")),
    )


def _seconds(header: str | None) -> float:
    try:
        return max(0.0, float(header or 0))
    except ValueError:
        return 0.0
