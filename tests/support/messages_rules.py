"""The rules of the Messages API as far as a client can run into them: what is refused, and what the cache saves."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

CHARS_A_TOKEN = 3
MAX_BREAKPOINTS = 4
LOOKBACK_BLOCKS = 20
TTL_S = {"5m": 300, "1h": 3600}
EFFORTS = ("low", "medium", "high", "xhigh", "max")
THINKING = ("thinking", "redacted_thinking")
UNBOUND = ("claude-opus-5",)
"""Models from before thinking was bound to the conversation that it was thought in."""
KNOWN_FIELDS = {
    "model",
    "max_tokens",
    "system",
    "cache_control",
    "tools",
    "messages",
    "output_config",
    "thinking",
    "tool_choice",
    "stream",
}
TOOL_FIELDS = {"name", "description", "input_schema", "strict", "eager_input_streaming", "cache_control"}


@dataclass
class Refusal(Exception):
    """An answer with an HTTP error status."""

    status: int
    type: str
    message: str
    error_code: str = ""
    retry_after: float | None = None
    retry_after_ms: float | None = None

    def body(self) -> dict[str, Any]:
        """Return the API's error document."""
        error: dict[str, Any] = {"type": self.type, "message": self.message}
        if self.error_code:
            error["details"] = {"error_code": self.error_code}
        return {"type": "error", "error": error, "request_id": "req_loopback"}


@dataclass
class Cache:
    """What the provider keeps of earlier prompts, and until when.

    Attributes
    ----------
    later
        Seconds added to the clock, so that a test need not wait.
    """

    kept: dict[str, tuple[float, str]] = field(default_factory=dict)
    later: float = 0.0

    def use(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the input side of a call's usage, and keep its prefixes."""
        now = time.monotonic() + self.later
        places = list(_places(body))
        marks = [(number, place.ttl) for number, place in enumerate(places) if place.ttl]
        found = self._found(places, [number for number, _ in marks], now)
        read = places[found].tokens if found is not None else 0
        written = {"1h": 0, "5m": 0}
        reached = read
        for number, ttl in marks:
            written[ttl] += max(0, places[number].tokens - reached)
            reached = max(reached, places[number].tokens)
            self.kept[places[number].key] = (now + TTL_S[ttl], ttl)
        if found is not None and places[found].key in self.kept:
            _, ttl = self.kept[places[found].key]
            self.kept[places[found].key] = (now + TTL_S[ttl], ttl)
        return {
            "input_tokens": count_tokens(body) - reached,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": sum(written.values()),
            "cache_creation": {
                "ephemeral_1h_input_tokens": written["1h"],
                "ephemeral_5m_input_tokens": written["5m"],
            },
        }

    def _found(self, places: list[Place], marks: list[int], now: float) -> int | None:
        for mark in reversed(marks):
            for number in range(mark, max(-1, mark - LOOKBACK_BLOCKS), -1):
                if self.kept.get(places[number].key, (0.0, ""))[0] > now:
                    return number
        return None


@dataclass(frozen=True)
class Place:
    """The end of one block of a prompt: the key of everything up to it, its tokens, and the mark that it bears."""

    key: str
    tokens: int
    ttl: str


def _places(body: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the ends of the blocks in the order in which the provider reads them: tools, system, messages."""
    digest, chars = hashlib.sha256(str(body["model"]).encode()), 0
    mode = json.dumps([body.get("thinking"), body.get("tool_choice")])
    blocks: list[tuple[str, Mapping[str, Any]]] = [("tools", tool) for tool in body.get("tools", ())]
    blocks += [("system", block) for block in body.get("system", ())]
    for message in body["messages"]:
        blocks += [(f"{message['role']} {mode}", block) for block in _blocks(message)]
    for where, block in blocks:
        text = json.dumps(_unmarked(block), ensure_ascii=False)
        digest.update(f"{where} {text}".encode())
        chars += len(text)
        mark = block.get("cache_control")
        yield Place(digest.hexdigest(), chars // CHARS_A_TOKEN, mark.get("ttl", "5m") if mark else "")


def count_tokens(body: Mapping[str, Any]) -> int:
    """Return a count that grows with the prompt as a real one does."""
    return [place.tokens for place in _places(body)][-1] + 10


def conversation(body: Mapping[str, Any], upto: int | None = None) -> str:
    """Return what a thinking block is bound to: system, tools and the messages before it."""
    earlier = [{**m, "content": [_unmarked(b) for b in _blocks(m)]} for m in body["messages"][:upto]]
    system = [_unmarked(block) for block in body.get("system", ())]
    return json.dumps([system, body.get("tools"), earlier])


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message["content"]
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _unmarked(block: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if name != "cache_control"}


def check(body: dict[str, Any], models: Mapping[str, Any], prefixes: Mapping[str, str]) -> None:
    """Raise the refusals of the real API that a client can run into."""
    unknown = set(body) - KNOWN_FIELDS
    if unknown:
        raise _bad(f"{sorted(unknown)[0]}: Extra inputs are not permitted")
    found = models.get(body["model"])
    if found is None or found["lifecycle"] == "retired":
        raise Refusal(404, "not_found_error", f"model: {body['model']}")
    can_force = found["capabilities"]["thinking"]["types"]["disabled"]["supported"]
    thinking = body.get("thinking", {"type": "adaptive"})["type"]
    forced = body.get("tool_choice", {"type": "auto"})["type"] in ("any", "tool")
    if forced and not can_force:
        raise _bad('tool_choice: type "tool" and "any" are not supported for this model.')
    if forced and thinking == "enabled":
        raise _bad("Thinking may not be enabled when tool_choice forces tool use.")
    if thinking == "disabled" and not can_force:
        raise _bad('"thinking.type.disabled" is not supported for this model.')
    if body.get("max_tokens", 1) > found["max_tokens"]:
        raise _bad(f"max_tokens: {body['max_tokens']} > {found['max_tokens']}")
    for tool in body.get("tools", ()):
        if extra := sorted(set(tool) - TOOL_FIELDS):
            raise _bad(f"tools.{tool.get('name')}.{extra[0]}: Extra inputs are not permitted")
        if tool.get("strict"):
            _check_strict(tool["input_schema"], tool["name"])
    effort = body.get("output_config", {}).get("effort", "high")
    if effort not in EFFORTS:
        raise _bad(f"output_config.effort: Input should be one of {', '.join(EFFORTS)}")
    if thinking == "disabled" and effort in ("xhigh", "max"):
        raise _bad(f"thinking.type.disabled is not supported with effort {effort}")
    _check_marks(body)
    _check_messages(body["messages"])
    if body["model"] not in UNBOUND:
        _check_prefix(body, prefixes)


def _check_strict(schema: Any, where: str) -> None:
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            raise _bad(
                f"tools.{where}: For 'object' type, 'additionalProperties' must be explicitly set to false"
            )
        if set(schema.get("required", ())) != set(schema.get("properties", {})):
            raise _bad(f"tools.{where}: this server wants every property of a strict tool to be required")
    for name in ("maxLength", "minLength", "maxItems", "minimum", "maximum", "oneOf"):
        if name in schema:
            raise _bad(f"tools.{where}: property '{name}' is not supported")
    for each in schema.get("properties", {}).values():
        _check_strict(each, where)
    for each in schema.get("anyOf", ()):
        _check_strict(each, where)
    _check_strict(schema.get("items"), where)


def _check_marks(body: dict[str, Any]) -> None:
    """Refuse more than four cache breakpoints, a long one behind a short one, and one on thinking."""
    everything = [*body.get("tools", ()), *body.get("system", ())]
    everything += [block for message in body["messages"] for block in _blocks(message)]
    marks = [(block["type"], block["cache_control"]) for block in everything if block.get("cache_control")]
    if len(marks) + bool(body.get("cache_control")) > MAX_BREAKPOINTS:
        raise _bad(f"A maximum of 4 blocks with cache_control may be provided. Found {len(marks)}.")
    lives = [mark.get("ttl", "5m") for _, mark in marks]
    if lives != sorted(lives):
        raise _bad("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block.")
    if any(kind in THINKING for kind, _ in marks):
        raise _bad("cache_control cannot be set for thinking blocks")


def _check_messages(messages: list[dict[str, Any]]) -> None:
    if not messages or messages[-1]["role"] != "user":
        raise _bad("messages: the last message must be of the user; prefill is not supported")
    if messages[0]["role"] != "user":
        raise _bad('messages: first message must use the "user" role')
    for earlier, later in itertools.pairwise([{"role": "user", "content": []}, *messages]):
        asked = [block["id"] for block in _blocks(earlier) if block["type"] == "tool_use"]
        answered = [block["tool_use_id"] for block in _blocks(later) if block["type"] == "tool_result"]
        if set(asked) - set(answered):
            raise _bad("messages: `tool_use` ids were found without `tool_result` blocks immediately after")
        if set(answered) - set(asked) or len(answered) != len(set(answered)):
            raise _bad("messages: unexpected `tool_use_id` found in `tool_result` blocks")
    for message in messages:
        if not _blocks(message):
            raise _bad("messages: all messages must have non-empty content")
        for block in _blocks(message):
            if block["type"] == "text" and not block["text"].strip():
                raise _bad("messages: text content blocks must contain non-whitespace text")
            if block["type"] == "thinking" and not block.get("signature"):
                raise _bad("messages: thinking.signature: Field required")
            if block["type"] == "tool_use" and not isinstance(block["input"], dict):
                raise _bad("messages: tool_use.input: Input should be a valid dictionary")


def _check_prefix(body: dict[str, Any], prefixes: Mapping[str, str]) -> None:
    """Refuse thinking blocks with another system prompt, other tools or other messages before them."""
    for number, message in enumerate(body["messages"]):
        for block in _blocks(message):
            signature = block.get("signature", "") if block["type"] == "thinking" else ""
            here = conversation(body, number)
            if signature and prefixes.get(signature, here) != here:
                raise _bad(
                    f"messages.{number}.content.0: Invalid `signature` in `thinking` block. The block is bound to "
                    "a different conversation."
                )


def _bad(message: str) -> Refusal:
    return Refusal(400, "invalid_request_error", message)
