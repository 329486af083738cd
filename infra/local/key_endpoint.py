"""Hands the user's key to the local Plan function without writing it anywhere.

The emulator keeps secrets on disk when it stops, so the key must not go through its Secrets Manager. It stays in the
memory of this process: an HTTP endpoint on the loopback address gives it to whoever knows the endpoint's random
path. The path is stored with the function's environment, but it leads nowhere once this process has ended.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from codec_evolution.planner_specs import PLANNERS
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from infra.local.loopback import HOST, LoopbackServer


@contextmanager
def planner_environment(planner: str, shell: Mapping[str, str], state_dir: Path) -> Iterator[dict[str, str]]:
    """Yield the settings by which the Plan function finds the key and the API address of the user's shell.

    Without ``ANTHROPIC_API_KEY`` there is no endpoint, and attempts end as ``skipped: no_credential``. While the
    endpoint runs, its address is stored in the state directory, which is therefore closed to other users.

    Parameters
    ----------
    planner
        The planner of the run; only ``claude`` needs settings.
    shell
        The environment variables of the user's shell.
    state_dir
        The local state directory.
    """
    if not PLANNERS[planner].language_model:
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
    """Serves one API key; a context manager. It writes no log, because its path is the password.

    Attributes
    ----------
    url
        The address of the key, which cannot be guessed.
    """

    def __init__(self, api_key: str) -> None:
        self._path = f"/{secrets.token_urlsafe(32)}"
        self._answer = {"api_key": api_key}
        routes = [Route("/{path:path}", self._respond)]
        self._server = LoopbackServer(Starlette(routes=routes), headers={"Cache-Control": "no-store"})
        self.url = self._server.url + self._path

    def __enter__(self) -> KeyEndpoint:
        """Start serving."""
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.stop()

    async def _respond(self, request: Request) -> Response:
        # No web page knows the path; a page that rebinds its own name to this machine sends a foreign Host.
        is_known = secrets.compare_digest(request.scope["path"].encode(), self._path.encode())
        if not is_known or not request.headers.get("host", "").startswith(f"{HOST}:"):
            return PlainTextResponse("Not Found", 404)
        return JSONResponse(self._answer)
