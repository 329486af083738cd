"""The local page's server without a stack: what it takes for a request of its own, over a raw connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from infra.local.page import BODY_LIMIT_BYTES, Backend, Page
from tests.support.raw_http import exchange, statuses

PAUSE = json.dumps({"action": "pause", "lineage": "main"})


class Recorder(Backend):
    """Notes what is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def invoke(self, function: str, event: dict[str, Any]) -> str:
        self.asked.append((function, event))
        json.dumps(event)
        return "<p>done</p>"


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def host(recorder) -> Iterator[str]:
    with Page(recorder, 0) as page:
        yield urlsplit(page.url).netloc


def raw(method: str, path: str, body: str = "", **headers: str | list[str]) -> str:
    """Return a request as it is sent; a field with a list occurs once for each value."""
    fields = {"Content_Length": str(len(body)), **headers}
    lines = [f"{method} {path} HTTP/1.1"]
    for name, given in fields.items():
        for value in [given] if isinstance(given, str) else given:
            lines.append(f"{name.replace('_', '-')}: {value}")
    return "\r\n".join([*lines, "", body])


def press(host: str, body: str = PAUSE, path: str = "/action", **headers: str | list[str]) -> str:
    """Return what the page's own script sends, with some fields changed."""
    own = {
        "Host": host,
        "Origin": f"http://{host}",
        "Content_Type": "application/json",
        "Connection": "close",
    }
    return raw("POST", path, body, **{**own, **headers})


def send(host: str, *requests: str) -> str:
    """Return what comes back over one connection until the server closes it."""
    name, _, port = host.partition(":")
    return exchange((name, int(port)), *requests)


def test_the_pages_own_script_may_press_a_button(host, recorder):
    assert statuses(send(host, press(host))) == ["200"]
    assert recorder.asked == [("Actions", json.loads(PAUSE))]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/action", {"Origin": "https://evil.example"}, "403"),
        ("/action", {"Host": "evil.example"}, "403"),
        ("/action", {"Content_Type": "text/plain;charset=UTF-8"}, "415"),
        ("/elsewhere", {}, "404"),
        ("/widget", {}, "405"),
    ],
)
def test_a_request_in_the_body_of_a_refused_one_is_not_served(host, recorder, path, headers, status):
    smuggled = press(host)
    carrier = press(host, smuggled, path, Connection="keep-alive", **headers)
    assert statuses(send(host, carrier)) == [status]
    assert statuses(send(host, carrier, smuggled)) == [status], "nor is one that follows it"
    assert recorder.asked == []


def test_a_request_in_the_body_of_a_get_is_not_served(host, recorder):
    text = send(host, raw("GET", "/", press(host), Host=host))
    assert statuses(text) == ["200"]
    assert recorder.asked == []


def test_a_request_behind_a_body_beyond_the_limit_is_not_served(host, recorder):
    assert statuses(send(host, press(host, "x" * (BODY_LIMIT_BYTES + 1)) + press(host))) == ["413"]
    assert recorder.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": []},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
)
def test_a_button_needs_this_servers_host_and_origin(host, recorder, headers):
    assert statuses(send(host, press(host, **headers))) == ["403"]
    assert recorder.asked == []


def test_a_field_that_occurs_twice_is_refused(host, recorder):
    origins = [f"http://{host}", "https://evil.example"]
    assert statuses(send(host, press(host, Origin=origins))) == ["403"]
    assert statuses(send(host, press(host, Origin=origins[::-1]))) == ["403"]
    assert statuses(send(host, press(host, Host=[host, "evil.example"]))) == ["400"]
    assert recorder.asked == []


def test_the_page_answers_as_localhost_too(host, recorder):
    here = host.replace("127.0.0.1", "localhost")
    assert statuses(send(host, press(here))) == ["200"]


@pytest.mark.parametrize("body", ["[" * BODY_LIMIT_BYTES, '{"a":' * (BODY_LIMIT_BYTES // 5)])
def test_deeply_nested_json_is_refused_without_a_traceback(host, recorder, body, capfd):
    text = send(host, press(host, body))
    assert statuses(text) == ["400"]
    assert recorder.asked == []
    assert "Traceback" not in capfd.readouterr().err


def test_json_too_deep_to_hand_on_is_refused(host, monkeypatch, recorder):
    def invoke(function: str, event: dict[str, Any]) -> str:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr(recorder, "invoke", invoke)
    text = send(host, press(host))
    assert statuses(text) == ["400"]
    assert "nested too deeply" in text


@pytest.mark.parametrize(
    "request_text",
    [
        "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
        "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_every_answer_has_the_security_headers(host, request_text):
    text = send(host, request_text.format(host=host)).lower()
    for field in ("content-security-policy", "x-content-type-options", "referrer-policy", "cache-control"):
        assert f"\r\n{field}: " in text
