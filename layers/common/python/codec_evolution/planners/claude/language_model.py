"""The interface to a language model: a call goes in, an answer or a typed fault comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from codec_evolution.pricing import Usage

Block = dict[str, Any]
"""A content block of the Messages API."""


@dataclass(frozen=True)
class ModelCall:
    """One request.

    Attributes
    ----------
    model
        Name of the model, as the provider knows it.
    system, tools
        The stable part: byte for byte the same from cycle to cycle, so that the provider's cache holds it.
    messages
        The conversation. It is only ever appended to, because newer models refuse thinking blocks whose prefix
        changed.
    max_tokens
        Most output tokens, thinking included.
    effort
        ``low`` to ``max``.
    forced
        Whether some tool call is forced; only for models that allow it.
    limit_s
        Seconds after which the answer is no longer waited for; None for as long as there is time.
    """

    model: str
    system: str
    tools: Sequence[Mapping[str, Any]]
    messages: Sequence[Mapping[str, Any]]
    max_tokens: int
    effort: str
    forced: bool = False
    limit_s: float | None = None


@dataclass(frozen=True)
class ModelAnswer:
    """One complete answer: its content blocks as they must be sent back, and what it used.

    Attributes
    ----------
    stop_reason
        Why the model stopped, in the provider's words.
    detail
        More about why it stopped, if the provider says so.
    """

    content: list[Block]
    stop_reason: str
    usage: Usage
    request_id: str = ""
    detail: str = ""

    @property
    def tool_calls(self) -> list[Block]:
        """The blocks that ask for a tool."""
        return [block for block in self.content if block["type"] == "tool_use"]


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model.

    Attributes
    ----------
    context_tokens, max_output_tokens
        Most tokens that it reads and writes in one call.
    can_force
        Whether a tool call can be forced: by the provider's documentation, on the models whose thinking can be off.
    strict
        Whether the provider can hold tool inputs to their schemas.
    """

    context_tokens: int
    max_output_tokens: int
    can_force: bool
    strict: bool


class ModelFault(Exception):
    """A call that returned no answer.

    Attributes
    ----------
    kind
        A short machine word; the reason of the attempt starts with it.
    retry
        Whether the same call may succeed if it is repeated soon.
    billed
        Whether the provider may charge for it. If so, the reservation stays spent.
    wait_s
        Seconds that the provider asks to wait; 0 if it does not say.
    request_id
        The provider's id of the call, "" if it gave none.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        retry: bool = False,
        billed: bool = False,
        wait_s: float = 0.0,
        request_id: str = "",
    ) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message
        self.retry = retry
        self.billed = billed
        self.wait_s = wait_s
        self.request_id = request_id


class LanguageModel(Protocol):
    """A provider of language models."""

    @property
    def provider(self) -> str:
        """Name of the provider, by which its prices are found."""
        ...

    def facts(self, model: str) -> ModelFacts:
        """Return what is known of a model; raises `ModelFault` for one that is unknown, retired or too small."""
        ...

    def count(self, call: ModelCall) -> int:
        """Return the input tokens of a call without making it; raises `ModelFault`."""
        ...

    def send(self, call: ModelCall) -> ModelAnswer:
        """Make a call once, without any retry; raises `ModelFault`."""
        ...
