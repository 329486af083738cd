"""The conversation of one attempt, stored before and after every call of the model.

If the function crashes, at most the one in-flight call is paid for twice: its reservation is stored before the call,
its answer after it, and only then is it settled. A stored answer is read again without another call.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter

from codec_evolution.planners.claude.language_model import ModelAnswer, ModelFacts
from codec_evolution.pricing import Usage

THINKING = ("thinking", "redacted_thinking")
"""Kinds of blocks that hold a model's thinking."""
RESERVED, SETTLED, RELEASED, LOST = "reserved", "settled", "released", "lost"
"""States of a call: in flight; answered and booked; failed without a charge; lost, with its worst case booked."""


@dataclass
class Call:
    """One request to the provider, and what it cost.

    Attributes
    ----------
    round
        The round that it belongs to.
    fault
        Why it returned no answer; "" otherwise.
    detail
        More about why the model stopped, if the provider says so.
    model
        The model that was asked; "" in a conversation from before it was kept.
    """

    round: int
    reserved_usd: float
    state: str = RESERVED
    cost_usd: float = 0.0
    usage: Usage = field(default_factory=Usage)
    stop_reason: str = ""
    request_id: str = ""
    fault: str = ""
    detail: str = ""
    model: str = ""

    def end(self, state: str, cost_usd: float) -> None:
        """Move the call to its final state with the dollars booked for it."""
        self.state, self.cost_usd = state, cost_usd

    @property
    def booked_usd(self) -> float:
        """Dollars that the day's budget holds for this call."""
        return self.reserved_usd if self.state == RESERVED else self.cost_usd


@dataclass
class Experiment:
    """The probe of one round's draft, and what its compute costs.

    Attributes
    ----------
    state
        `RESERVED` or `SETTLED`.
    cost_usd
        Dollars that the budgets hold for it.
    seconds
        Of the benchmark function; 0 if they are not known.
    used
        Whether it counts against the attempt's number of probes.
    """

    reserved_usd: float
    state: str = RESERVED
    cost_usd: float = -1.0
    seconds: float = 0.0
    used: bool = True

    def __post_init__(self) -> None:
        """Book the reservation until the cost is known."""
        if self.cost_usd < 0:
            self.cost_usd = self.reserved_usd


@dataclass
class Transcript:
    """Everything that was said, called and paid in one attempt.

    Attributes
    ----------
    system, tools
        As in the first call; later calls repeat them unchanged.
    incumbent
        SHA-256 of the incumbent that the prompt shows. Another slot may have replaced it since.
    prompts
        SHA-256 of each rendered part of the prompt, by name; ``all`` is the whole.
    outcomes
        Outcome of each round, by its number as text.
    draft
        SHA-256 of the source that was sent last.
    passed
        SHA-256 of the drafts that passed in the sandbox.
    role, inspirations
        What the attempt is to do, and the attempts of other families that the prompt shows.
    draws
        How role and model were drawn, for the record.
    prompt_problem
        Why the deployment's own prompts were used instead of those of the release.
    refused
        Models that declined to answer; another one went on in their place.
    warned
        Normalised SHA-256 of the sources of which the model was told that they restore a loser.
    experiments
        The probes by the round, as text, that asked for them.
    memory_calls
        The call that wrote the lineage's notes, if this attempt made it; round 0 pays for it.
    """

    model: str
    effort: str
    can_force: bool
    system: str
    tools: list[dict[str, Any]]
    prompts: dict[str, str]
    messages: list[dict[str, Any]]
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    calls: list[Call] = field(default_factory=list[Call])
    incumbent: str = ""
    draft: str = ""
    passed: list[str] = field(default_factory=list[str])
    role: str = ""
    draws: str = ""
    prompt_problem: str = ""
    inspirations: list[str] = field(default_factory=list[str])
    refused: list[str] = field(default_factory=list[str])
    warned: list[str] = field(default_factory=list[str])
    experiments: dict[str, Experiment] = field(default_factory=dict[str, Experiment])
    memory_calls: list[Call] = field(default_factory=list[Call])

    @staticmethod
    def from_json(stored: object) -> Transcript:
        """Return a stored transcript; raises `pydantic.ValidationError` if it is none."""
        return _STORED.validate_python(stored)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)

    @property
    def all_calls(self) -> list[Call]:
        """Every call that the attempt pays for."""
        return [*self.memory_calls, *self.calls]

    @property
    def cost_usd(self) -> float:
        """Dollars of all calls so far; one in flight counts with its reservation."""
        return sum(call.booked_usd for call in self.all_calls)

    @property
    def experiment_usd(self) -> float:
        """Dollars of compute of all probes so far; one that runs counts with its reservation."""
        return sum(each.cost_usd for each in self.experiments.values())

    def cost_of(self, number: int) -> float:
        """Return the dollars of one round."""
        return sum(call.booked_usd for call in self.all_calls if call.round == number)

    def usage(self) -> dict[str, Any]:
        """Return what the record keeps of the conversation: model, tokens, calls, dollars, prompt hashes."""
        return {
            "model": self.model,
            "role": self.role,
            "inspirations": ",".join(self.inspirations),
            "draws": self.draws,
            "prompt_problem": self.prompt_problem,
            "tokens_in": sum(call.usage.input for call in self.all_calls),
            "tokens_cache_read": sum(call.usage.cache_read for call in self.all_calls),
            "tokens_cache_write": sum(call.usage.cache_write for call in self.all_calls),
            "tokens_out": sum(call.usage.output for call in self.all_calls),
            "llm_calls": len(self.all_calls),
            "llm_cost_usd": round(self.cost_usd, 6),
            "probes": sum(each.used for each in self.experiments.values()),
            "probe_cost_usd": round(self.experiment_usd, 6),
            **{f"prompt_{name}sha256": sha for name, sha in self._named_prompts()},
        }

    def go_on_with(self, model: str, facts: ModelFacts) -> None:
        """Let another model go on in place of the one that declined: its answer and all thinking are left out.

        Thinking is tied to the model that thought it.
        """
        self.refused.append(self.model)
        self.model, self.can_force = model, facts.can_force
        if not facts.strict:
            self.loosen()
        if self.messages[-1]["role"] == "assistant":
            self.messages.pop()
        for message in self.messages:
            if message["role"] == "assistant":
                kept = [block for block in message["content"] if block["type"] not in THINKING]
                message["content"] = kept or [{"type": "text", "text": "(no answer)"}]

    def loosen(self) -> bool:
        """Stop asking the provider to hold tool inputs to their schemas; return whether it was asked to."""
        strict = any("strict" in tool for tool in self.tools)
        self.tools = [
            {name: value for name, value in tool.items() if name != "strict"} for tool in self.tools
        ]
        return strict

    def say(self, text: str) -> None:
        """Append a text of the user's side."""
        self.messages.append({"role": "user", "content": [{"type": "text", "text": text}]})

    def hear(self, content: list[dict[str, Any]]) -> None:
        """Append an answer of the model, exactly as it was received."""
        if content:
            self.messages.append({"role": "assistant", "content": content})

    def answered(self, number: int) -> ModelAnswer | None:
        """Return the answer of a round that a crashed process stored but did not read, or None."""
        settled = [c for c in self.calls if c.round == number and c.state == SETTLED]
        if not settled or str(number) in self.outcomes or settled[-1].model not in ("", self.model):
            return None
        call = settled[-1]
        last = self.messages[-1]
        content: list[dict[str, Any]] = last["content"] if last["role"] == "assistant" else []
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


_STORED = TypeAdapter(Transcript)
