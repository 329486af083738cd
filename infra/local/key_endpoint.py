"""Hands the user's key to the local Plan function without writing it anywhere.

The emulator keeps secrets on disk when it is stopped, so the key must not go through its Secrets Manager. It stays in
the memory of this process: an HTTP endpoint on the loopback address gives it to whoever knows the endpoint's random
path. The path is written down with the function's environment, but it is worth nothing once this process has ended.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def planner_environment(planner: str, shell: Mapping[str, str], state_dir: Path) -> Iterator[dict[str, str]]:
    """Yield the settings by which the Plan function finds the key and the address of the user's shell.

    Without ``ANTHROPIC_API_KEY`` there is no endpoint, and attempts end as ``skipped: no_credential``. The state
    directory holds the endpoint's address while it lives, so it is closed to other users of the machine.
    """
    if planner != "claude":
        yield {}
        return
    found = {"PLANNER_BASE_URL": shell.get("ANTHROPIC_BASE_URL", "")}
    key = shell.get("ANTHROPIC_API_KEY", "").strip()
    if not key:
        yield found
        return
    state_dir.chmod(0o700)
    with KeyEndpoint(key) as endpoint:
        yield {**found, "ANTHROPIC_SECRET_ARN": endpoint.url}


class KeyEndpoint:
    """Serves one secret text; a context manager.

    Attributes
    ----------
    url
        The address of the secret, unguessable.
    """

    def __init__(self, api_key: str) -> None:
        path = f"/{secrets.token_urlsafe(32)}"
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), _handler(path, json.dumps({"api_key": api_key}).encode())
        )
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def __enter__(self) -> KeyEndpoint:
        """Start serving."""
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _handler(path: str, body: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Write no log: the path is the password."""

        def do_GET(self) -> None:
            # A browser's page may not read it: no page knows the path, and a foreign Host is a rebound name.
            known = secrets.compare_digest(self.path.encode(), path.encode())
            if not known or not (self.headers.get("host") or "").startswith("127.0.0.1:"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("cache-control", "no-store")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
