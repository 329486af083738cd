"""The conversation of one attempt, stored before and after every call of the model.

A crash buys nothing twice but the one call that was under way: before a call its reservation is stored, after it the
answer, and only then the money is settled. A stored answer is read again without asking.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from codec_evolution.planners.claude.language_model import ModelAnswer
from codec_evolution.pricing import Usage

RESERVED, SETTLED, RELEASED, LOST = "reserved", "settled", "released", "lost"
"""States of a call: under way; answered and booked; failed without a bill; broken off, its worst case booked."""


@dataclass
class Call:
    """One request to the provider and its money."""

    round: int
    reserved_usd: float
    state: str = RESERVED
    cost_usd: float = 0.0
    usage: Usage = field(default_factory=Usage)
    stop_reason: str = ""
    request_id: str = ""
    fault: str = ""
    detail: str = ""

    def end(self, state: str, cost_usd: float) -> None:
        """Book the call."""
        self.state, self.cost_usd = state, cost_usd

    @property
    def booked_usd(self) -> float:
        """Dollars that the day's budget holds for this call."""
        return self.reserved_usd if self.state == RESERVED else self.cost_usd


@dataclass
class Transcript:
    """Everything that was said, asked and paid in one attempt.

    Attributes
    ----------
    system, tools
        As they were in the first call; later calls repeat them unchanged.
    incumbent
        SHA-256 of the incumbent that the prompt shows; another slot may have moved it since.
    prompts
        SHA-256 of each rendered part of the prompt, by its name.
    outcomes
        What each round led to, by its number as text.
    draft
        SHA-256 of the source that was sent last.
    passed
        SHA-256 of drafts that the sandbox passed.
    """

    model: str
    effort: str
    can_force: bool
    system: str
    tools: list[dict[str, Any]]
    prompts: dict[str, str]
    messages: list[dict[str, Any]]
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    incumbent: str = ""
    draft: str = ""
    passed: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Transcript:
        """Return a stored transcript."""
        calls = [Call(**{**call, "usage": Usage(**call["usage"])}) for call in stored["calls"]]
        return cls(**{**stored, "calls": calls})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)

    @property
    def cost_usd(self) -> float:
        """Dollars of all calls so far; one under way counts with what is reserved for it."""
        return sum(call.booked_usd for call in self.calls)

    def cost_of(self, number: int) -> float:
        """Return the dollars of one round."""
        return sum(call.booked_usd for call in self.calls if call.round == number)

    def usage(self) -> dict[str, Any]:
        """Return what the record keeps of the conversation."""
        return {
            "model": self.model,
            "tokens_in": sum(call.usage.input for call in self.calls),
            "tokens_cache_read": sum(call.usage.cache_read for call in self.calls),
            "tokens_cache_write": sum(call.usage.cache_write for call in self.calls),
            "tokens_out": sum(call.usage.output for call in self.calls),
            "llm_calls": len(self.calls),
            "llm_cost_usd": round(self.cost_usd, 6),
            **{f"prompt_{name}sha256": sha for name, sha in self._named_prompts()},
        }

    def say(self, text: str) -> None:
        """Append what the user's side says."""
        self.messages.append({"role": "user", "content": [{"type": "text", "text": text}]})

    def hear(self, content: list[dict[str, Any]]) -> None:
        """Append an answer of the model, exactly as it came."""
        if content:
            self.messages.append({"role": "assistant", "content": content})

    def answered(self, number: int) -> ModelAnswer | None:
        """Return the answer of a round that a crashed process stored and did not read, or None."""
        call = next((c for c in self.calls if c.round == number and c.state == SETTLED), None)
        if call is None or str(number) in self.outcomes:
            return None
        last = self.messages[-1]
        content = last["content"] if last["role"] == "assistant" else []
        return ModelAnswer(content, call.stop_reason, call.usage, call.request_id, call.detail)

    def answer_calls(self, texts: dict[str, str], *, error: bool) -> None:
        """Append the results of the model's tool calls, by their ids."""
        blocks = [
            {"type": "tool_result", "tool_use_id": call, "content": text, "is_error": error}
            for call, text in texts.items()
        ]
        self.messages.append({"role": "user", "content": blocks})

    def open_calls(self) -> list[str]:
        """Return the ids of tool calls in the model's last answer that have no result yet."""
        last = self.messages[-1]
        if last["role"] != "assistant":
            return []
        return [block["id"] for block in last["content"] if block["type"] == "tool_use"]

    def _named_prompts(self) -> list[tuple[str, str]]:
        return [("" if name == "all" else f"{name}_", sha) for name, sha in sorted(self.prompts.items())]
