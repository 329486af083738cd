"""Claude through the official SDK: the Anthropic API, or Amazon Bedrock with the function's own role."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
from anthropic.lib.bedrock import AnthropicBedrockMantle
from anthropic.types import MessageTokensCount, ModelInfo

from codec_evolution.planners.claude.language_model import (
    LanguageModel,
    ModelAnswer,
    ModelCall,
    ModelFacts,
    ModelFault,
)
from codec_evolution.pricing import UnknownPrice, Usage, load_prices

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 600.0
"""Seconds without a byte of the stream. Gateways hold pings back, and a large tool input that is not streamed eagerly
comes in one piece: more than 300 seconds of silence were seen. The deadline of the call bounds it besides."""
COUNT_TIMEOUT_S = 20.0
"""Seconds for a free request: a model's facts, a token count."""
STABLE_TTL = "1h"
"""How long the provider caches tools and system prompt; a cycle may take longer than the default five minutes."""
RETIREMENT_NOTICE = timedelta(days=30)
"""A model that retires sooner is refused."""
LEAST_CONTEXT_TOKENS = 150_000
LEAST_OUTPUT_TOKENS = 32_000
"""What a model must be able to read and write: a large prompt with five rounds, and a whole codec after thinking."""

VENDOR = "anthropic."
"""Begins the names of Bedrock's models, sometimes after a region (``us.anthropic.claude-opus-5-5``)."""

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
    (anthropic.UnprocessableEntityError, "bad_request"),
)
_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
"""Failures before the first byte of the request is sent. Any other one may have reached the provider."""
_SPENT = ("spend_limit", "billing", "credit balance", "api usage limits")
"""Words for an exhausted account in the provider's codes and messages; no retry helps until a person acts."""


@dataclass
class ClaudeApi:
    """One provider; implements `planners.claude.language_model.LanguageModel`.

    Attributes
    ----------
    client
        An SDK client without retries of its own, because the budget must know of every call.
    provider
        Its name, by which prices are found.
    deadline
        Returns the monotonic time at which a stream is abandoned.
    effort
        The effort that every call will ask for; a model must support it.
    max_tokens
        Most output tokens that a call will ask for.
    """

    client: Any
    provider: str
    deadline: Callable[[], float]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    effort: str = "high"
    max_tokens: int = LEAST_OUTPUT_TOKENS
    _facts: dict[str, ModelFacts] = field(default_factory=dict)

    def facts(self, model: str) -> ModelFacts:
        """Check a model: it exists, does not retire within 30 days, supports the settings, and is large enough."""
        if model not in self._facts:
            found = self._retrieve(model) if self.provider == "anthropic" else self._tabled(model)
            written = max(self.max_tokens, LEAST_OUTPUT_TOKENS)
            if found.context_tokens < LEAST_CONTEXT_TOKENS or found.max_output_tokens < written:
                raise ModelFault(
                    "model_too_small",
                    f"{model} reads {found.context_tokens} and writes {found.max_output_tokens} tokens; "
                    f"{LEAST_CONTEXT_TOKENS} and {written} are needed",
                )
            self._facts[model] = found
        return self._facts[model]

    def count(self, call: ModelCall) -> int:
        """Return the input tokens of a call as the provider counts them, which is free."""
        body = _body(call)
        for name in ("max_tokens", "stream"):
            body.pop(name, None)
        body["model"] = self._served(call.model)
        with _mapped():
            counted = self.client.messages.count_tokens(**body, timeout=COUNT_TIMEOUT_S)
        return int(_expected(counted, MessageTokensCount).input_tokens)

    def send(self, call: ModelCall) -> ModelAnswer:
        """Make a call once; it streams, so that no idle connection is cut."""
        started, stream, ends = False, None, self._ends(call)
        try:
            body = _body(call) | {"model": self._served(call.model)}
            with self.client.messages.stream(**body, timeout=_timeout(ends())) as stream:
                # The SDK does not pass pings on, and a model that is thinking sends nothing else for minutes.
                stream.response.stream = _Punctual(stream.response.stream, ends)
                for event in stream:
                    started = started or event.type == "message_start"
                if not started:
                    raise ModelFault("no_answer", "the address answers with no message", billed=True)
                message = stream.get_final_message()
        except anthropic.APIError as error:
            raise _fault(error, started=started) from None
        except httpx2.HTTPError as error:
            # The SDK does not wrap a connection that breaks within the stream.
            silent = isinstance(error, httpx2.TimeoutException)
            kind = "timed_out" if silent else "connection_lost"
            raise _broken(kind, str(error), stream, retry=not silent) from None
        except ValueError as error:
            # The SDK raises this for tool input that is not JSON.
            raise _broken("malformed_tool_input", str(error), stream) from None
        if message.stop_reason is None:
            raise _broken("connection_lost", "the stream ended early", stream)
        return ModelAnswer(
            content=[_returnable(block) for block in message.content if not _unsigned(block)],
            stop_reason=str(message.stop_reason),
            usage=_usage(message.usage),
            request_id=stream.request_id or "",
            detail=_detail(message.stop_details),
        )

    def _served(self, model: str) -> str:
        """Return a model's name as the provider knows it: Bedrock's begin with the vendor."""
        bare = self.provider == "bedrock" and VENDOR not in model
        return f"{VENDOR}{model}" if bare else model

    def _ends(self, call: ModelCall) -> Callable[[], float]:
        """Return what tells the monotonic time at which a call's answer must be complete."""
        if call.limit_s is None:
            return self.deadline
        limit = time.monotonic() + call.limit_s
        return lambda: min(limit, self.deadline())

    def _retrieve(self, model: str) -> ModelFacts:
        with _mapped(f"model {model}"):
            answer = self.client.models.retrieve(model, timeout=COUNT_TIMEOUT_S)
        info = _expected(answer, ModelInfo)
        if info.lifecycle == "retired":
            raise ModelFault("retired_model", f"{model} is retired: name another model")
        if info.retires_at is not None and info.retires_at - self.now() < RETIREMENT_NOTICE:
            raise ModelFault(
                "retiring_model", f"{model} retires on {info.retires_at.date()}: name another model"
            )
        able = info.capabilities
        self._check_abilities(model, able)
        return ModelFacts(
            context_tokens=info.max_input_tokens or 0,
            max_output_tokens=info.max_tokens or 0,
            can_force=able is not None and able.thinking.types.disabled.supported,
            strict=able is not None and able.structured_outputs.supported,
        )

    def _check_abilities(self, model: str, able: Any) -> None:
        """Refuse a model that would answer every call with 400: without adaptive thinking, or without the effort."""
        if able is None:
            return
        if not able.thinking.types.adaptive.supported:
            raise ModelFault("model_unfit", f"{model} has no adaptive thinking: name another model")
        level = getattr(able.effort, self.effort, None)
        if not able.effort.supported or level is None or not level.supported:
            raise ModelFault("model_unfit", f"{model} has no effort {self.effort!r}: set another one")

    def _tabled(self, model: str) -> ModelFacts:
        """Return the price table's facts: Bedrock has no catalogue of them, and not all its models are strict."""
        try:
            price = load_prices().model(model, self.provider)
        except UnknownPrice as unknown:
            raise ModelFault("unknown_model", str(unknown)) from None
        if not price.adaptive_thinking:
            raise ModelFault("model_unfit", f"{model} has no adaptive thinking: name another model")
        return ModelFacts(price.context_tokens, price.max_output_tokens, price.thinking_can_be_off, False)


def anthropic_client(api_key: str, base_url: str) -> Any:
    """Return a client of the Anthropic API; an empty address means the provider's own."""
    return anthropic.Anthropic(
        api_key=api_key, base_url=base_url or "https://api.anthropic.com", max_retries=0
    )


def bedrock_client(base_url: str) -> Any:
    """Return a client of Amazon Bedrock in this function's region that signs with the function's role."""
    return AnthropicBedrockMantle(base_url=base_url or None, max_retries=0)


PROVIDERS: Mapping[str, Callable[[str, str], Any]] = {
    "anthropic": anthropic_client,
    "bedrock": lambda _, base_url: bedrock_client(base_url),
}
"""Client factories by the name in the settings: each takes a key and an address. A new provider is one entry."""


def _timeout(ends: float) -> anthropic.Timeout:
    left = max(1.0, ends - time.monotonic())
    return anthropic.Timeout(min(READ_TIMEOUT_S, left), connect=min(CONNECT_TIMEOUT_S, left))


def _body(call: ModelCall) -> dict[str, Any]:
    stable = {"type": "ephemeral", "ttl": STABLE_TTL}
    body: dict[str, Any] = {
        "model": call.model,
        "max_tokens": call.max_tokens,
        # Two of the four cache breakpoints: one after the stable part, one that moves with the conversation. Both are
        # explicit, because not every provider places the second automatically.
        "system": [{"type": "text", "text": call.system, "cache_control": stable}],
        "tools": list(call.tools),
        "messages": _marked(list(call.messages)),
        "output_config": {"effort": call.effort},
        "thinking": {"type": "adaptive"},
        # A forced call keeps thinking and tools: other ones would be another prefix to the provider's cache.
        "tool_choice": {"type": "any" if call.forced else "auto", "disable_parallel_tool_use": True},
    }
    return body


def _marked(messages: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return messages with a cache breakpoint at the end; the stored conversation has none."""
    *earlier, last = messages
    *blocks, block = last["content"]
    return [*earlier, {**last, "content": [*blocks, {**block, "cache_control": {"type": "ephemeral"}}]}]


def _returnable(block: Any) -> dict[str, Any]:
    """Return a content block as the API takes it back."""
    plain: dict[str, Any] = block.to_dict(mode="json", exclude_unset=True)
    # Added by the SDK's stream; not part of the API's block.
    plain.pop("parsed_output", None)
    return plain


def _unsigned(block: Any) -> bool:
    """Return whether a thinking block was cut off before its signature; the API accepts none without one."""
    return block.type == "thinking" and not block.signature


def _detail(stop_details: Any) -> str:
    """Return why the model declined to answer, as far as the provider says so."""
    if stop_details is None:
        return ""
    return ": ".join(part for part in (stop_details.category, stop_details.explanation) if part)[:300]


def _usage(usage: Any) -> Usage:
    written = usage.cache_creation_input_tokens or 0
    kinds = usage.cache_creation
    # Without the breakdown, everything counts as written at the higher price.
    short = min(written, kinds.ephemeral_5m_input_tokens) if kinds is not None else 0
    return Usage(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cache_write=written,
        cache_write_1h=written - short,
        cache_read=usage.cache_read_input_tokens or 0,
    )


@contextmanager
def _mapped(asked: str = "") -> Iterator[None]:
    """Map the SDK's errors of a free request to `ModelFault`."""
    try:
        yield
    except anthropic.APIError as error:
        fault = _fault(error, started=False, asked=asked)
        fault.billed = False
        raise fault from None
    except (anthropic.AnthropicError, RuntimeError) as error:
        # Bedrock without a region or without credentials; the SDK has no type of its own for these.
        raise ModelFault("no_credential", str(error)[:300]) from None


def _expected(answer: Any, kind: type) -> Any:
    """Return an answer if it is of the expected type; the SDK passes on the page of any other server."""
    if not isinstance(answer, kind):
        raise ModelFault("wrong_address", "the address answers with something else than the Messages API")
    return answer


class _Punctual(httpx2.SyncByteStream):
    """The bytes of an answer until the deadline. Pings count as bytes, so a model that only thinks is cut off too."""

    def __init__(self, inner: Any, deadline: Callable[[], float]) -> None:
        self._inner, self._deadline = inner, deadline

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            if time.monotonic() > self._deadline():
                raise ModelFault("too_slow", "the answer took longer than there is time", billed=True)
            yield chunk

    def close(self) -> None:
        self._inner.close()


def _broken(kind: str, message: str, stream: Any, *, retry: bool = True) -> ModelFault:
    """Return the fault of a stream that broke off; it may be charged for, so a silent one is never repeated."""
    identity = (stream.request_id or "") if stream is not None else ""
    return ModelFault(kind, message[:300], retry=retry, billed=True, request_id=identity)


def _fault(error: anthropic.APIError, *, started: bool, asked: str = "") -> ModelFault:
    """Map an error of the SDK to `ModelFault`; any failure after the request was sent may be charged for."""
    if not isinstance(error, anthropic.APIStatusError):
        timeout = isinstance(error, anthropic.APITimeoutError)
        kind = "timed_out" if timeout else "connection_lost"
        sent = not isinstance(error.__cause__, _NEVER_SENT)
        cause = f"{error} ({error.__cause__})" if error.__cause__ is not None else str(error)
        billed = started or sent
        # A call that was silent until its time was over may be charged for: it is not bought again.
        return ModelFault(kind, cause[:300], retry=not (timeout and billed), billed=billed)
    message = error.api_message or error.message
    text = f"{error.error_code or ''} {error.type or ''} {message}"
    identity = error.request_id or ""
    if any(word in text.lower() for word in _SPENT):
        return ModelFault("spend_limit_reached", text.strip()[:300], billed=started, request_id=identity)
    kind = next((name for cls, name in _KINDS if isinstance(error, cls)), "provider_failed")
    if error.type == "overloaded_error":
        kind = "overloaded"
    if kind == "unknown_model" and error.type != "not_found_error":
        # A 404 of some other server: the address is not the Messages API's.
        kind, message = "wrong_address", f"{error.request.url} is not there ({error.message})"
    elif asked and kind == "unknown_model":
        message = f"the provider has no {asked}: check planner_models (locally: run --model)"
    headers = error.response.headers
    retry = isinstance(error, _RETRIED) or error.type in ("overloaded_error", "api_error")
    return ModelFault(
        kind,
        message[:300],
        retry=retry and headers.get("x-should-retry") != "false",
        billed=started,
        wait_s=_seconds(headers),
        request_id=identity,
    )


def _seconds(headers: Mapping[str, str]) -> float:
    """Return the seconds that the provider asks to wait, from its header in milliseconds or the standard one.

    A date, which the provider never sends, counts as 0.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with suppress(ValueError):
            if name in headers:
                return max(0.0, float(headers[name]) * unit)
    return 0.0


if TYPE_CHECKING:
    _model: type[LanguageModel] = ClaudeApi
