"""The local page: the widgets of the deployed functions, live, with buttons that only this page can press."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from codec_evolution.adapters.clients import client_config
from codec_evolution.contracts import LIVE_ALIAS
from codec_evolution.framework.visible_text import visible
from codec_evolution.widgets.request import WidgetRequestError
from codec_evolution.widgets.views import VIEWS
from jinja2 import Environment, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.errors import UserError
from infra.local import held_out
from infra.local.held_out import HeldOutView
from infra.local.loopback import HOST, LoopbackServer, read_body
from infra.local.losses import note_pause
from infra.local.session import LINEAGE, Session, is_alive, lend_session, lineages_of
from infra.progress import Progress

NAMES = (HOST, "localhost")
SAFE_METHODS = ("GET", "HEAD")
BODY_LIMIT_BYTES = 16 * 1024
WATCH_S = 0.5
ACTION_TIMEOUT_S = 300
"""An approved change is tested before it is applied, which may take minutes."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Only the page's own script runs, so that even markup that slipped through could do nothing."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Sent with every response."""


class NotNow(Exception):
    """The functions cannot be reached at the moment; the page will try again."""


class Backend:
    """The functions of whichever stack is running.

    Each function is called once at a time, so that one warm environment serves every call.
    """

    def __init__(self) -> None:
        self._locks = {name: threading.Lock() for name in ("Widgets", "Actions")}
        self._attached: tuple[Session, Any] | None = None
        self._held_out: HeldOutView | None = None

    def attach(self, session: Session | None) -> None:
        """Use another stack, or none for the moment."""
        if session is None:
            self._attached = self._held_out = None
            return
        deployment = session.deployment
        # A single attempt: an action must not be done twice, and the page asks for widgets again by itself.
        client = boto3.client(
            "lambda",
            endpoint_url=deployment.endpoint,
            region_name=deployment.region,
            config=client_config(ACTION_TIMEOUT_S, attempts=1),
        )
        self._attached = (session, client)
        self._held_out = HeldOutView(session.record, session.bucket, LINEAGE)

    def lineages(self) -> list[str]:
        """Return the lineages that the stack has evolved; only the first one while there is no stack."""
        if self._attached is None:
            return [LINEAGE]
        try:
            return lineages_of(self._attached[0])
        except (BotoCoreError, ClientError):
            return [LINEAGE]

    def invoke(self, function: str, event: dict[str, Any]) -> str:
        """Return the HTML that a function answers with.

        Parameters
        ----------
        function
            ``Widgets`` or ``Actions``.

        Raises
        ------
        NotNow
            There is no stack, it does not answer, or the function failed.
        """
        with self._locks[function]:
            if self._attached is None:
                raise NotNow("the stack is starting")
            session, client = self._attached
            try:
                answer = client.invoke(
                    FunctionName=session.deployment.functions[function],
                    Qualifier=LIVE_ALIAS,
                    Payload=json.dumps(event).encode(),
                )
                text = answer["Payload"].read().decode("utf-8")
                if function == "Actions":
                    note_pause(session.control, session.bucket, LINEAGE)
            except (BotoCoreError, ClientError) as error:
                raise NotNow(f"the stack does not answer: {error}") from error
        if "FunctionError" in answer:
            raise NotNow(f"{function} failed: {json.loads(text).get('errorMessage', text)[:300]}")
        html: str = json.loads(text)
        return html

    def held_out(self, event: dict[str, Any]) -> str:
        """Return the HTML of the held-out view, which this process reads itself; raises `NotNow`."""
        view = self._held_out
        if view is None:
            raise NotNow("the stack is starting")
        try:
            return view.draw(event)
        except (BotoCoreError, ClientError) as error:
            raise NotNow(f"the stack does not answer: {error}") from error


class Page:
    """The HTTP server of the page; a context manager.

    Parameters
    ----------
    backend
        Answers what widgets and buttons ask for.
    port
        0 for any free port.

    Raises
    ------
    UserError
        The port cannot be used.
    """

    def __init__(self, backend: Backend, port: int) -> None:
        try:
            self._server = LoopbackServer(_application(backend), port, HEADERS)
        except OSError as error:
            raise UserError(f"port {port} on {HOST} cannot be used: {error.strerror}") from None
        self.url = f"{self._server.url}/"

    def __enter__(self) -> Page:
        """Start serving."""
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.stop()


def serve_page(state_dir: Path, port: int, progress: Progress, ready: Callable[[str], None]) -> None:
    """Serve the page until it is interrupted, on top of one stack after the other.

    During a run the page uses the run's stack. Between runs it starts its own, which the next run borrows.

    Parameters
    ----------
    state_dir
        The local state directory.
    port
        0 for any free port.
    progress
        Receives one line for each step.
    ready
        Called once, with the page's address, when the page can be opened.

    Raises
    ------
    UserError
        The port cannot be used, or the stack cannot be started.
    """
    backend = Backend()
    with Page(backend, port) as page:
        announced = False
        while True:
            with lend_session(state_dir, progress) as session:
                backend.attach(session)
                if not announced:
                    ready(page.url)
                    announced = True
                try:
                    while is_alive(session):
                        time.sleep(WATCH_S)
                finally:
                    backend.attach(None)
            progress("the run has ended")


def render_page(lineage: str = LINEAGE, lineages: Sequence[str] = (LINEAGE,)) -> str:
    """Return the page of a lineage without its widgets, which its script fetches.

    Parameters
    ----------
    lineages
        Those that the page can show.
    """
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_static("page.html.j2"))
    views = {**VIEWS, held_out.VIEW: {"title": held_out.TITLE, "about": held_out.ABOUT}}
    return template.render(views=views, lineage=lineage, lineages=lineages)


def _static(name: str) -> str:
    return (resources.files("infra.local") / "static" / name).read_text("utf-8")


def _application(backend: Backend) -> Starlette:
    async def page(request: Request) -> Response:
        lineages = await run_in_threadpool(backend.lineages)
        asked = request.query_params.get("lineage", LINEAGE)
        return HTMLResponse(render_page(asked if asked in lineages else LINEAGE, lineages))

    async def script(request: Request) -> Response:
        return Response(_static("page.js"), media_type="text/javascript")

    async def style(request: Request) -> Response:
        return Response(_static("page.css"), media_type="text/css")

    async def widget(request: Request) -> Response:
        event = _widget_event(request.query_params)
        if event["view"] == held_out.VIEW:
            return HTMLResponse(await run_in_threadpool(backend.held_out, event))
        return HTMLResponse(await run_in_threadpool(backend.invoke, "Widgets", event))

    async def action(request: Request) -> Response:
        event = await _read_action(request)
        return HTMLResponse(await run_in_threadpool(backend.invoke, "Actions", event))

    return Starlette(
        routes=[
            Route("/", page),
            Route("/page.js", script),
            Route("/page.css", style),
            Route("/widget", widget),
            Route("/action", action, methods=["POST"]),
        ],
        middleware=[Middleware(_OwnRequests)],
        exception_handlers={NotNow: _not_now, WidgetRequestError: _out_of_range, RecursionError: _too_deep},
    )


class _OwnRequests:
    """Refuses what does not name this server as its host, and buttons that another page presses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        app = PlainTextResponse(refusal, 403) if refusal else self._app
        await app(scope, receive, send)

    @staticmethod
    def _refusal(scope: Scope) -> str:
        headers, port = Headers(scope=scope), scope["server"][1]
        hosts = [f"{name}:{port}" for name in NAMES]
        # Each field exactly once: of two, another reader might believe the other one.
        if headers.getlist("host") not in [[host] for host in hosts]:
            return "This page is served on 127.0.0.1 and localhost only."
        if scope["method"] not in SAFE_METHODS and headers.getlist("origin") not in [
            [f"http://{host}"] for host in hosts
        ]:
            return "Buttons work on this page only."
        return ""


async def _read_action(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "An action must be sent as application/json.")
    try:
        event = json.loads(await read_body(request, BODY_LIMIT_BYTES))
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise HTTPException(400, "An action must be a JSON object.")
    return event


async def _not_now(request: Request, error: Exception) -> Response:
    return PlainTextResponse(visible(str(error)), 503)


async def _out_of_range(request: Request, error: Exception) -> Response:
    return PlainTextResponse(visible(str(error)), 400)


async def _too_deep(request: Request, error: Exception) -> Response:
    return PlainTextResponse("The JSON is nested too deeply.", 400)


def _widget_event(query: Mapping[str, str]) -> dict[str, Any]:
    """Return the event that CloudWatch would send for these parameters."""
    context = {"theme": query.get("theme", "light"), "width": query.get("width", "900")}
    return {
        "view": query.get("view", ""),
        "lineage": query.get("lineage", LINEAGE),
        "widgetContext": context,
    }
