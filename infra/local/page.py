"""The local page: the widgets of the deployed functions, live, with buttons that only this page can press."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from codec_evolution.widgets.views import VIEWS
from jinja2 import Environment, StrictUndefined

from infra.errors import UserError
from infra.local.session import LINEAGE, Session, is_alive, lend_session

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
BODY_LIMIT_BYTES = 16 * 1024
IDLE_S = 60
WATCH_S = 0.5
CLIENT_CONFIG = Config(connect_timeout=5, read_timeout=300, retries={"total_max_attempts": 1})
"""One attempt: an approved change may take minutes, and the page asks again by itself."""
FILES = {
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Only our own script runs, so that even markup that slipped through could do nothing."""

Progress = Callable[[str], None]


class NotNow(Exception):
    """The functions cannot be reached at the moment; the page tries again."""


class Backend:
    """The functions of whatever stack runs at the moment.

    One call of a function at a time, so that one warm environment serves them all.
    """

    def __init__(self) -> None:
        self._locks = {name: threading.Lock() for name in ("Widgets", "Actions")}
        self._attached: tuple[Session, Any] | None = None

    def attach(self, session: Session | None) -> None:
        """Use another stack; None when there is none at the moment."""
        if session is None:
            self._attached = None
            return
        deployment = session.deployment
        client = boto3.client(
            "lambda", endpoint_url=deployment.endpoint, region_name=deployment.region, config=CLIENT_CONFIG
        )
        self._attached = (session, client)

    def invoke(self, function: str, event: dict[str, Any]) -> str:
        """Return what a function answers; raises `NotNow`."""
        with self._locks[function]:
            if self._attached is None:
                raise NotNow("the stack is starting")
            session, client = self._attached
            try:
                answer = client.invoke(
                    FunctionName=session.deployment.functions[function],
                    Qualifier="live",
                    Payload=json.dumps(event).encode(),
                )
                text = answer["Payload"].read().decode("utf-8")
            except (BotoCoreError, ClientError) as error:
                raise NotNow(f"the stack does not answer: {error}") from error
        if "FunctionError" in answer:
            raise NotNow(f"{function} failed: {json.loads(text).get('errorMessage', text)[:300]}")
        html: str = json.loads(text)
        return html


class Page:
    """The HTTP server of the page; use it as a context manager.

    Parameters
    ----------
    port
        0 takes a free one.

    Raises
    ------
    UserError
        The port cannot be used.
    """

    def __init__(self, backend: Backend, port: int) -> None:
        try:
            self._server = ThreadingHTTPServer((HOST, port), _handler(backend))
        except OSError as error:
            raise UserError(f"port {port} on {HOST} cannot be used: {error.strerror}") from None
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_port}/"

    def __enter__(self) -> Page:
        """Begin to serve in a thread of its own."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *ignored: object) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def serve_page(state_dir: Path, port: int, progress: Progress, ready: Callable[[str], None]) -> None:
    """Serve the page until it is interrupted, over one stack after the other.

    While a run goes on its stack is used; between runs the page has one of its own, which the next run borrows.

    Parameters
    ----------
    ready
        Is told the page's address once it can be opened.

    Raises
    ------
    UserError
        The port cannot be used, or the stack cannot be started.
    """
    backend = Backend()
    with Page(backend, port) as page:
        told = False
        while True:
            with lend_session(state_dir, progress) as session:
                backend.attach(session)
                if not told:
                    ready(page.url)
                    told = True
                try:
                    while is_alive(session):
                        time.sleep(WATCH_S)
                finally:
                    backend.attach(None)
            progress("the run has ended")


def render_page() -> str:
    """Return the page without its widgets, which its script fetches."""
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_static("page.html.j2"))
    return template.render(views=VIEWS, lineage=LINEAGE)


def _static(name: str) -> str:
    return (resources.files("infra.local") / "static" / name).read_text("utf-8")


def _handler(backend: Backend) -> type[BaseHTTPRequestHandler]:
    class Handler(_PageHandler):
        functions = backend

    return Handler


class _PageHandler(BaseHTTPRequestHandler):
    functions: Backend
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S

    def do_GET(self) -> None:
        """Answer the page, its files, and one widget."""
        if not self._is_ours("Host", ""):
            return self._send(403, "this page answers on 127.0.0.1 and localhost only", "text/plain")
        address = urlsplit(self.path)
        if address.path == "/":
            return self._send(200, render_page(), "text/html; charset=utf-8")
        if address.path in FILES:
            name, kind = FILES[address.path]
            return self._send(200, _static(name), kind)
        if address.path == "/widget":
            return self._invoke("Widgets", _widget_event(dict(parse_qsl(address.query))))
        return self._send(404, "there is no such page", "text/plain")

    def do_POST(self) -> None:
        """Do what a button asks for, if this page's own script asks."""
        if not self._is_ours("Host", "") or not self._is_ours("Origin", "http://"):
            return self._send(403, "buttons work from this page only", "text/plain")
        if urlsplit(self.path).path != "/action":
            return self._send(404, "there is no such page", "text/plain")
        if self.headers.get_content_type() != "application/json":
            return self._send(415, "an action is sent as application/json", "text/plain")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BODY_LIMIT_BYTES:
            self.close_connection = True
            return self._send(413, f"an action has at most {BODY_LIMIT_BYTES} bytes", "text/plain")
        try:
            event = json.loads(self.rfile.read(int(length)))
        except ValueError:
            event = None
        if not isinstance(event, dict):
            return self._send(400, "an action is a JSON object", "text/plain")
        return self._invoke("Actions", event)

    def log_message(self, *ignored: object) -> None:
        """Write no line a request."""

    def _is_ours(self, header: str, scheme: str) -> bool:
        port = self.server.server_address[1]
        return self.headers.get(header) in {f"{scheme}{name}:{port}" for name in NAMES}

    def _invoke(self, function: str, event: dict[str, Any]) -> None:
        try:
            html = self.functions.invoke(function, event)
        except NotNow as reason:
            return self._send(503, str(reason), "text/plain; charset=utf-8")
        return self._send(200, html, "text/html; charset=utf-8")

    def _send(self, status: int, text: str, kind: str) -> None:
        body = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        # The browser may have left, or asked for something newer meanwhile.
        with suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(body)


def _widget_event(query: dict[str, str]) -> dict[str, Any]:
    """Return the event that CloudWatch would send for these parameters."""
    context = {"theme": query.get("theme", "light"), "width": query.get("width", "900")}
    return {"view": query.get("view", ""), "widgetContext": context}
