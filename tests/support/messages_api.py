"""A loopback server that speaks the Messages API: streaming events, scripted conversations, the API's own refusals.

The script is data: a list of turns, each answering one call. A turn is one of

* ``{"reply": {"thinking", "text", "tools": [{"name", "input"}], "stop_reason", "stop_details", "usage"}}``: an answer;
* ``{"error": {"status", "type", "message", "error_code", "retry_after", "retry_after_ms"}}``: an error before the
  answer begins;
* ``{"fault": "drop" | "malformed" | "slow" | "overloaded"}``: an answer that breaks after it has begun;
* ``{"fault": "hang_up" | "empty" | "html" | "silence"}``: no answer at all: a closed connection, a stream without an
  event, a page of some other server, pings and nothing else.

A tool input larger than `BUFFERED_CHARS` is held back for the seconds of ``Script.buffer_s``, without a byte, if its
tool does not stream eagerly.

A reply's ``"unsigned": true`` cuts its thinking off before the signature.

``"expect": [texts]`` in a turn: each must be in what the call sent last, or the server answers 400 and notes it. A text
``$NAME`` anywhere in a reply stands for the value of that name. As a program it serves one script on a fixed port:
``python -m tests.support.messages_api SCRIPT.json --port 8099 --set WINNER=codec.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.messages_rules import CHARS_A_TOKEN, Cache, Refusal, check, conversation, count_tokens

CHUNK = 400
BUFFERED_CHARS = 2_000


def model(
    name: str, *, can_force: bool = False, between_tools: bool = False, **changes: Any
) -> dict[str, Any]:
    """Return a model as ``GET /v1/models/{id}`` describes it; newer ones always think and bind their thinking."""
    yes, no = {"supported": True}, {"supported": False}
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2026-09-22T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
        "capabilities": {
            "batch": yes,
            "citations": yes,
            "code_execution": yes,
            "context_management": {"supported": True},
            "effort": {"supported": True, **dict.fromkeys(("low", "medium", "high", "xhigh", "max"), yes)},
            "image_input": yes,
            "pdf_input": yes,
            "server_tools": {"supported": True},
            "structured_outputs": yes,
            "thinking": {
                "supported": True,
                "types": {
                    "adaptive": yes,
                    "between_tools": yes if between_tools else no,
                    "disabled": yes if can_force else no,
                    "enabled": no,
                },
            },
        },
        **changes,
    }


MODELS = (
    model("claude-opus-5-5"),
    model("claude-sonnet-5-5", between_tools=True),
    model("claude-opus-5", can_force=True),
    model("claude-haiku-5-5", can_force=True),
)


@dataclass
class Script:
    """What the server answers, and what it was asked.

    Attributes
    ----------
    values
        What a turn names with a dollar sign; a function gets the calls up to then.
    repeat
        Start again after the last turn instead of refusing.
    calls
        Bodies of the calls for which a turn was used.
    missed
        Expectations that a call did not meet.
    used
        Usage of every call that was answered to its end.
    prefixes
        What each thinking block is bound to, by its signature.
    buffer_s
        Seconds without a byte while a large tool input is held back.
    """

    turns: list[dict[str, Any]]
    values: Mapping[str, Any] = field(default_factory=dict)
    api_key: str = ""
    models: Mapping[str, dict[str, Any]] = field(default_factory=lambda: {m["id"]: m for m in MODELS})
    repeat: bool = False
    calls: list[dict[str, Any]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    counted: int = 0
    prefixes: dict[str, str] = field(default_factory=dict)
    cache: Cache = field(default_factory=Cache)
    used: list[dict[str, int]] = field(default_factory=list)
    buffer_s: float = 0.0
    lock: Any = field(default_factory=threading.Lock)

    @classmethod
    def read(cls, path: Path, **options: Any) -> Script:
        """Return the script of a file."""
        data = json.loads(path.read_text("utf-8"))
        return cls(turns=data["turns"], repeat=data.get("repeat", False), **options)

    def next_turn(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the next turn, with its values filled in; raises `Refusal` when the call is not as expected."""
        with self.lock:
            if len(self.calls) >= len(self.turns) and not self.repeat:
                raise Refusal(400, "invalid_request_error", "the script has no further turn")
            turn = self.turns[len(self.calls) % len(self.turns)]
            self.calls.append(body)
            last = json.dumps(body["messages"][-1], ensure_ascii=False)
            missing = [text for text in turn.get("expect", ()) if text not in last]
            if missing:
                self.missed.append(f"call {len(self.calls)} sent nothing with {missing}: {last[:2000]}")
                raise Refusal(400, "invalid_request_error", self.missed[-1][:500])
        return self._filled(turn)

    def _filled(self, node: Any) -> Any:
        if isinstance(node, str) and node.startswith("$"):
            value = self.values.get(node[1:], node)
            return value(self.calls) if callable(value) else value
        if isinstance(node, list):
            return [self._filled(each) for each in node]
        if isinstance(node, dict):
            return {key: self._filled(each) for key, each in node.items()}
        return node


class MessagesApi:
    """The server in a thread; a context manager."""

    def __init__(self, script: Script, port: int = 0) -> None:
        self.script = script
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", port), type("Handler", (_Handler,), {"script": script})
        )
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> MessagesApi:
        """Start serving."""
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Plain `http.server`: an ASGI server cannot hang up without an answer, which is a fault to be tested."""

    script: Script
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    """Or each answer, written in pieces, waits 40 ms for the client's delayed acknowledgement."""

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        self._answer(self._model)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._answer(lambda: self._message(body))

    def _answer(self, act: Any) -> None:
        try:
            given = self.headers.get("x-api-key") or self.headers.get("authorization", "").removeprefix(
                "Bearer "
            )
            if self.script.api_key and given != self.script.api_key:
                raise Refusal(401, "authentication_error", "invalid x-api-key")
            act()
        except Refusal as refusal:
            self._json(refusal.status, refusal.body(), refusal)

    def _model(self) -> None:
        name = self.path.removeprefix("/v1/models/").partition("?")[0]
        if name not in self.script.models:
            raise Refusal(404, "not_found_error", f"model: {name}")
        self._json(200, self.script.models[name])

    def _message(self, body: dict[str, Any]) -> None:
        check(body, self.script.models, self.script.prefixes)
        if self.path.startswith("/v1/messages/count_tokens"):
            self.script.counted += 1
            self._json(200, {"input_tokens": count_tokens(body)})
            return
        turn = self.script.next_turn(body)
        if "error" in turn:
            raise Refusal(**turn["error"])
        fault = turn.get("fault", "")
        if fault == "hang_up":
            self.close_connection = True
        elif fault == "html":
            self._send(200, b"<html>Welcome to the hotel's network</html>", "text/html")
        else:
            self._stream(body, turn)

    def _json(self, status: int, body: Any, refusal: Refusal | None = None) -> None:
        self._send(status, json.dumps(body).encode(), "application/json", refusal)

    def _send(self, status: int, data: bytes, kind: str, refusal: Refusal | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("request-id", "req_loopback")
        self.send_header("content-length", str(len(data)))
        if refusal is not None and refusal.retry_after is not None:
            self.send_header("retry-after", str(refusal.retry_after))
        if refusal is not None and refusal.retry_after_ms is not None:
            self.send_header("retry-after-ms", str(refusal.retry_after_ms))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, body: dict[str, Any], turn: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("request-id", "req_loopback")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        fault = turn.get("fault", "")
        for number, event in enumerate(_events(body, turn.get("reply", {}), self.script, fault)):
            if fault == "drop" and number == 4:
                self.close_connection = True
                return
            if fault == "slow" and number > 1:
                time.sleep(0.15)
            if number == 2 and _is_held_back(body, turn.get("reply", {})):
                time.sleep(self.script.buffer_s)
            data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            try:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            except OSError:
                self.close_connection = True
                return
        with contextlib.suppress(OSError):
            self.wfile.write(b"0\r\n\r\n")


def _events(
    body: dict[str, Any], reply: dict[str, Any], script: Script, fault: str
) -> Iterator[dict[str, Any]]:
    if fault == "empty":
        return
    usage = {**script.cache.use(body), "output_tokens": 1}
    if "usage" in reply:
        usage = {"input_tokens": count_tokens(body), "output_tokens": 1}
        usage |= {name: value for name, value in reply["usage"].items() if name != "output_tokens"}
    yield {"type": "message_start", "message": _message(f"msg_{len(script.calls):04d}", body["model"], usage)}
    yield {"type": "ping"}
    while fault == "silence":
        time.sleep(0.05)
        yield {"type": "ping"}
    if fault:
        reply = {"text": "Let me think about what to try. " * 100, **reply}
    blocks = list(_blocks(body, reply, script))
    for event in _content(blocks, fault):
        yield event
        if event["type"] == "error":
            return
    written = sum(len(json.dumps(deltas)) for _, deltas in blocks) // CHARS_A_TOKEN
    output = reply.get("usage", {}).get("output_tokens", written)
    script.used.append(_used(usage, output))
    delta = {
        "stop_reason": reply.get("stop_reason") or ("tool_use" if reply.get("tools") else "end_turn"),
        "stop_sequence": None,
        "stop_details": reply.get("stop_details"),
    }
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": output}}
    yield {"type": "message_stop"}


def _is_held_back(body: dict[str, Any], reply: dict[str, Any]) -> bool:
    """Return whether the API would buffer this answer: a large input of a tool without eager streaming."""
    eager = {tool["name"] for tool in body.get("tools", ()) if tool.get("eager_input_streaming")}
    large = (t["name"] for t in reply.get("tools", ()) if len(json.dumps(t["input"])) > BUFFERED_CHARS)
    return any(name not in eager for name in large)


def _message(identity: str, model_name: str, usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": identity,
        "type": "message",
        "role": "assistant",
        "model": model_name,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _content(blocks: list[tuple[dict, list]], fault: str) -> Iterator[dict[str, Any]]:
    for index, (start, deltas) in enumerate(blocks):
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
            if fault == "overloaded":
                yield {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
                return
        yield {"type": "content_block_stop", "index": index}
    if fault == "malformed":
        start = {"type": "tool_use", "id": "toolu_bad", "name": "submit_codec", "input": {}}
        yield {"type": "content_block_start", "index": len(blocks), "content_block": start}
        delta = {"type": "input_json_delta", "partial_json": '{"hypothesis": oops, '}
        yield {"type": "content_block_delta", "index": len(blocks), "delta": delta}


def _used(usage: Mapping[str, Any], output: int) -> dict[str, int]:
    """Return a call's usage by the names of `codec_evolution.pricing.Usage`."""
    return {
        "input": usage["input_tokens"],
        "output": output,
        "cache_read": usage.get("cache_read_input_tokens", 0),
        "cache_write": usage.get("cache_creation_input_tokens", 0),
        "cache_write_1h": usage.get("cache_creation", {}).get("ephemeral_1h_input_tokens", 0),
    }


def _blocks(body: dict[str, Any], reply: dict[str, Any], script: Script) -> Iterator[tuple[dict, list]]:
    number = len(script.calls)
    if body.get("thinking", {}).get("type") != "disabled":
        signature = f"signature-{number}"
        script.prefixes[signature] = conversation(body)
        start = {"type": "thinking", "thinking": "", "signature": ""}
        thought = {"type": "thinking_delta", "thinking": reply.get("thinking", "")}
        signed = [] if reply.get("unsigned") else [{"type": "signature_delta", "signature": signature}]
        yield start, [thought, *signed]
    if reply.get("text"):
        yield (
            {"type": "text", "text": ""},
            [{"type": "text_delta", "text": part} for part in _parts(reply["text"])],
        )
    for place, tool in enumerate(reply.get("tools", ())):
        text = tool["input"] if isinstance(tool["input"], str) else json.dumps(tool["input"])
        start = {"type": "tool_use", "id": f"toolu_{number:04d}_{place}", "name": tool["name"], "input": {}}
        yield start, [{"type": "input_json_delta", "partial_json": part} for part in _parts(text)]


def _parts(text: str) -> list[str]:
    return [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)] or [""]


def main() -> None:
    """Serve one script until interrupted."""
    parser = argparse.ArgumentParser(description="Serve a scripted conversation of the Messages API.")
    parser.add_argument("script", type=Path)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=FILE", help="value of $NAME in the script"
    )
    parser.add_argument("--api-key", default="", help="refuse every other key; any is taken without it")
    options = parser.parse_args()
    values = {
        name: Path(file).read_text("utf-8") for name, _, file in (each.partition("=") for each in options.set)
    }
    script = Script.read(options.script, values=values, api_key=options.api_key)
    with MessagesApi(script, options.port) as server:
        print(f"export ANTHROPIC_BASE_URL={server.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
