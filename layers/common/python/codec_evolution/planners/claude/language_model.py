"""The language model's seam: a call goes in, an answer or a typed fault comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from codec_evolution.pricing import Usage

Block = dict[str, Any]


@dataclass(frozen=True)
class ModelCall:
    """One request.

    Attributes
    ----------
    system, tools
        The stable part: byte for byte the same from cycle to cycle, so that the provider's cache has it.
    messages
        The conversation; only ever appended to, because newer models refuse thinking blocks whose prefix changed.
    effort
        ``low`` to ``max``.
    forced
        Thinking off and a tool call forced; only for models that allow it.
    """

    model: str
    system: str
    tools: Sequence[Mapping[str, Any]]
    messages: Sequence[Mapping[str, Any]]
    max_tokens: int
    effort: str
    forced: bool = False


@dataclass(frozen=True)
class ModelAnswer:
    """One complete answer: its content blocks as they must be sent back, and what it used.

    Attributes
    ----------
    detail
        Why it stopped, where the provider says more than the stop reason.
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
    """What a provider says of a model.

    Attributes
    ----------
    can_force
        Whether thinking may be switched off, which a forced tool call needs.
    strict
        Whether tool inputs can be held to their schema by the provider.
    """

    context_tokens: int
    max_output_tokens: int
    can_force: bool
    strict: bool


class ModelFault(Exception):
    """A call that gave no answer.

    Attributes
    ----------
    kind
        A short machine word, which becomes the reason of the attempt.
    retry
        Whether the same call may succeed in a moment.
    billed
        Whether the provider may charge for it; then what was reserved stays spent.
    wait_s
        How long the provider asks to wait, 0 when it does not say.
    """

    def __init__(
        self, kind: str, message: str, *, retry: bool = False, billed: bool = False, wait_s: float = 0.0
    ) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message
        self.retry = retry
        self.billed = billed
        self.wait_s = wait_s


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
