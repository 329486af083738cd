"""The loopback server: which connections it keeps, what it limits, and how it starts and stops."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from infra.local import loopback
from infra.local.loopback import HEADER_LIMIT_BYTES, LoopbackServer, read_body
from tests.support.raw_http import exchange, statuses

BODY_LIMIT = 1000
GET = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
"""The server closes the connection after this one, so that its answer is known to be the last."""

Answer = Callable[[Request], Response]


def application(
    answer: Answer = lambda request: PlainTextResponse("hello"), reads: bool = False
) -> Starlette:
    """An application with one page, which reads the request's body if told so."""

    async def page(request: Request) -> Response:
        if reads:
            await read_body(request, BODY_LIMIT)
        return await run_in_threadpool(answer, request)

    return Starlette(routes=[Route("/", page, methods=["GET", "POST"])])


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(application(), headers={"X-Test": "yes"}) as running:
        yield running


def talk(server: LoopbackServer, *parts: str) -> str:
    """Return what comes back over one connection until the server closes it."""
    return exchange((loopback.HOST, server.port), *parts)


def post(body: str, **headers: str) -> str:
    fields = {"Host": "x", "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"POST / HTTP/1.1\r\n{lines}\r\n{body}"


def test_a_connection_is_kept_after_a_request_that_succeeded(server):
    text = talk(server, GET, LAST)
    assert statuses(text) == ["200", "200"]
    assert text.count("X-Test: yes") == 2


def test_a_body_that_was_not_read_is_never_taken_for_a_request(server):
    text = talk(server, post(GET))
    assert statuses(text) == ["200"]
    assert "connection: close" in text


def test_a_chunked_body_that_was_not_read_is_never_taken_for_a_request(server):
    text = talk(
        server, f"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{len(GET):x}\r\n{GET}\r\n"
    )
    assert statuses(text) == ["200"]


def test_a_refused_request_closes_its_connection():
    with LoopbackServer(application(lambda request: PlainTextResponse("no", 403), reads=True)) as server:
        text = talk(server, post("x") + GET)
    assert statuses(text) == ["403"]


def test_a_body_that_was_read_keeps_the_connection():
    with LoopbackServer(application(reads=True)) as server:
        assert statuses(talk(server, post(GET) + LAST)) == ["200", "200"]


@pytest.mark.parametrize(
    "request_text",
    [
        post("x" * (BODY_LIMIT + 1)),
        f"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n{'x' * 0x800}\r\n0\r\n\r\n",
    ],
)
def test_a_body_beyond_the_limit_is_refused_with_the_limit(request_text):
    with LoopbackServer(application(reads=True)) as server:
        text = talk(server, request_text)
    assert statuses(text) == ["413"]
    assert f"at most {BODY_LIMIT} bytes" in text


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 20])
def test_headers_beyond_the_limit_are_refused(server, parts):
    fields = "".join(f"X-{number}: {'x' * 1000}\r\n" for number in range(HEADER_LIMIT_BYTES // 1000 + 3))
    request = f"GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n"
    size = len(request) // parts + 1
    text = talk(server, *(request[start : start + size] for start in range(0, len(request), size)))
    assert statuses(text) == ["431"] if parts == 1 else "200" not in statuses(text)


@pytest.mark.parametrize(
    "request_text",
    [
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_and_the_connection_closed(server, request_text):
    text = talk(server, request_text + GET)
    assert statuses(text) == ["400"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "begun", ["", "GET / HT", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"]
)
def test_a_silent_client_is_cut_off(monkeypatch, begun):
    monkeypatch.setattr(loopback, "IDLE_S", 0.3)
    with LoopbackServer(application(reads=True)) as server:
        assert talk(server, begun) == ""


@pytest.mark.slow
def test_a_client_that_waits_for_a_slow_answer_is_not_cut_off(monkeypatch):
    monkeypatch.setattr(loopback, "IDLE_S", 0.2)

    def slow(request: Request) -> Response:
        time.sleep(0.7)
        return PlainTextResponse("late")

    with LoopbackServer(application(slow)) as server:
        assert urllib.request.urlopen(server.url, timeout=5).read() == b"late"


def test_more_connections_than_the_limit_are_answered_with_503(monkeypatch):
    monkeypatch.setattr(loopback, "MAX_CONNECTIONS", 3)
    with LoopbackServer(application()) as server:
        idle = [socket.create_connection((loopback.HOST, server.port), 5) for _ in range(3)]
        text = talk(server, GET)
        assert statuses(text) == ["503"]
        for line in idle:
            line.close()
        time.sleep(0.1)
        assert statuses(talk(server, LAST)) == ["200"]


def test_several_clients_are_served_at_once():
    together = threading.Barrier(4, timeout=5)

    def meet(request: Request) -> Response:
        together.wait()
        return PlainTextResponse("met")

    with LoopbackServer(application(meet)) as server:
        found: list[bytes] = []
        clients = [
            threading.Thread(
                target=lambda: found.append(urllib.request.urlopen(server.url, timeout=5).read())
            )
            for _ in range(4)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert found == [b"met"] * 4


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error(capfd):
    with LoopbackServer(application(reads=True)) as server:
        with socket.create_connection((loopback.HOST, server.port), 5) as line:
            line.sendall(post("x" * 20)[:-5].encode())
            time.sleep(0.1)
        time.sleep(0.1)
    assert capfd.readouterr().err == ""


def test_the_port_is_bound_before_the_server_starts():
    server = LoopbackServer(application())
    with socket.create_connection((loopback.HOST, server.port), 5) as early:
        early.sendall(GET.encode())
        server.start()
        assert early.recv(65536).startswith(b"HTTP/1.1 200")
    server.stop()


def test_a_stopped_server_is_gone_and_its_port_free_again():
    first = LoopbackServer(application())
    first.start()
    with socket.create_connection((loopback.HOST, first.port), 5) as kept:
        kept.sendall(GET.encode())
        answer = kept.makefile("rb")
        assert answer.readline().startswith(b"HTTP/1.1 200")
        first.stop()
        assert answer.read().endswith(b"hello"), "the connection has ended"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(first.url, timeout=5)
    with LoopbackServer(application(), first.port) as second:
        assert urllib.request.urlopen(second.url, timeout=5).read() == b"hello"


def test_a_port_in_use_is_an_error_of_the_system():
    with LoopbackServer(application()) as server, pytest.raises(OSError, match="in use"):
        LoopbackServer(application(), server.port)


def test_an_error_of_the_application_is_answered_and_logged(caplog):
    def fail(request: Request) -> Response:
        return Response(json.dumps(object()))

    with LoopbackServer(application(fail)) as server:
        text = talk(server, GET)
    assert statuses(text) == ["500"]
    assert "not JSON serializable" in caplog.text
