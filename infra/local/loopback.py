"""Serves an ASGI application on the loopback address from a thread of this process.

Whatever the application does, a connection is kept only after a request that succeeded and whose body was read to its
end. What a refused request leaves unread is therefore never taken for the next request.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Mapping
from types import TracebackType

import uvicorn
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HOST = "127.0.0.1"
MAX_CONNECTIONS = 128
"""Requests beyond this number of connections are answered with 503."""
HEADER_LIMIT_BYTES = 16 * 1024
IDLE_S = 60
"""Seconds a client may stay silent between requests or in the middle of one."""
GRACE_S = 1
"""Seconds that requests under way have to finish once the server stops."""
STOP_S = 3.0


class LoopbackServer:
    """One application on 127.0.0.1; a context manager.

    Parameters
    ----------
    app
        The ASGI application.
    port
        0 for any free port. It is bound at once, so a client may connect before `start` returns.
    headers
        Added to every response of the application.

    Raises
    ------
    OSError
        The port is in use, or this user may not use it.
    """

    def __init__(self, app: ASGIApp, port: int = 0, headers: Mapping[str, str] | None = None) -> None:
        self._socket = socket.create_server((HOST, port), backlog=MAX_CONNECTIONS)
        # Status line and body are two packets: without this the second waits 40 ms for an acknowledgement.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                _Guarded(app, headers or {}),
                loop="asyncio",
                http=_Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_keep_alive=IDLE_S,
                timeout_graceful_shutdown=GRACE_S,
                h11_max_incomplete_event_size=HEADER_LIMIT_BYTES,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), daemon=True, name=f"loopback-{self.port}"
        )

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Serve from a thread; once only."""
        self._thread.start()

    def stop(self) -> None:
        """Refuse new connections, let requests under way finish for `GRACE_S`, and close all connections."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(STOP_S)
        self._socket.close()

    def __enter__(self) -> LoopbackServer:
        """Start serving."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        self.stop()


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Return a request's body.

    Raises
    ------
    HTTPException
        413: the body has more than ``limit_bytes`` bytes.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit_bytes:
            raise HTTPException(413, f"the body may have at most {limit_bytes} bytes")
    return bytes(body)


class _Guarded:
    """Wraps an application: limits header fields, adds headers, and closes connections that must not be reused."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_headers = Headers(scope=scope)
        unread = "transfer-encoding" in request_headers or request_headers.get("content-length", "0") != "0"

        async def receive_noted() -> Message:
            nonlocal unread
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                unread = False
            return message

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
                if unread or message["status"] >= 400:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        size = sum(len(name) + len(value) for name, value in scope["headers"])
        if size > HEADER_LIMIT_BYTES:
            refusal = f"the header fields may have at most {HEADER_LIMIT_BYTES} bytes"
            await PlainTextResponse(refusal, 431)(scope, receive_noted, send_guarded)
            return
        try:
            await self._app(scope, receive_noted, send_guarded)
        except ClientDisconnect:
            return


class _Connection(H11Protocol):
    """A connection that is cut when its client neither sends nor reads for `IDLE_S`."""

    _silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to watch a new connection."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Note that the client is alive."""
        self._watch()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        if self._silence:
            self._silence.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self._silence:
            self._silence.cancel()
        self._silence = self.loop.call_later(IDLE_S, self._check)

    def _check(self) -> None:
        answering = self.cycle and not self.cycle.response_complete and not self.cycle.more_body
        if answering and not self.flow.write_paused:
            self._watch()
        else:
            self.transport.abort()
