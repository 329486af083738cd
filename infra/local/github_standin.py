"""A stand-in for GitHub's REST API on this machine, over a real git repository.

It answers exactly the calls that an atomic commit of several files, a branch and a pull request need. Everything is
on disk: a bare repository that ``git --git-dir`` reads, and one small JSON file per pull request. However the process
ends, the next one continues from there.
"""

from __future__ import annotations

import fcntl
import hmac
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.authentication import AuthenticationBackend, AuthenticationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from infra.local.bare_repository import BareRepository, GitError
from infra.local.github_api import BRANCH, OWNER, PERSON, REPOSITORY, Api, Body, Query, Refusal, Reply
from infra.local.loopback import HOST, LoopbackServer, read_body
from infra.local.pull_requests import PullRequests

BODY_LIMIT_BYTES = 32 * 1024 * 1024
FIRST_FILES = {"README.md": "# Codec\n\nThe codec that evolves on this machine, one commit a version.\n"}
FIRST_MESSAGE = "Begin the codec's history"

Call = Callable[[Api, str, Query, Body], Reply]
CALLS: tuple[tuple[str, str, Call], ...] = (
    ("GET", "", Api.get_repository),
    ("GET", "/git/ref/{rest:path}", Api.get_ref),
    ("POST", "/git/refs", Api.create_ref),
    ("PATCH", "/git/refs/{rest:path}", Api.update_ref),
    ("GET", "/git/commits/{rest}", Api.get_commit),
    ("POST", "/git/commits", Api.create_commit),
    ("GET", "/commits", Api.list_commits),
    ("GET", "/git/trees/{rest}", Api.get_tree),
    ("POST", "/git/trees", Api.create_tree),
    ("GET", "/contents/{rest:path}", Api.get_contents),
    ("GET", "/pulls", Api.list_pulls),
    ("POST", "/pulls", Api.create_pull),
    ("PATCH", "/pulls/{rest}", Api.edit_pull),
)
"""Method, path below the repository, and what answers it with the rest of the path."""


class GithubStandin:
    """GitHub on this machine, for one repository; a context manager.

    Parameters
    ----------
    state_dir
        Holds ``codec.git`` and ``pulls/``; created if missing. One stand-in at a time serves it.
    port
        0 for any free port; kept over `stop` and `start`.
    token
        The only credential that is accepted.

    Raises
    ------
    RuntimeError
        Another stand-in serves the directory.
    OSError
        The port is in use.
    """

    repository = REPOSITORY

    def __init__(self, state_dir: Path | str, port: int = 0, *, token: str) -> None:
        self._state_dir = Path(state_dir)
        self._port = port
        self._token = token
        self.git_dir = self._state_dir / "codec.git"

    @property
    def url(self) -> str:
        """The address of the API; known once started."""
        return f"http://{HOST}:{self._port}"

    def start(self) -> GithubStandin:
        """Serve from a thread of this process."""
        self._state_dir.mkdir(parents=True, exist_ok=True)
        self._claim = (self._state_dir / "serving.lock").open("w")
        try:
            fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._claim.close()
            raise RuntimeError(f"another GitHub stand-in serves {self._state_dir}") from None
        try:
            git = BareRepository(self.git_dir)
            git.clean_up()
            if not self.git_dir.exists():
                git.create(BRANCH, FIRST_FILES, FIRST_MESSAGE, PERSON)
            pulls = PullRequests(self._state_dir / "pulls", git, OWNER)
            self._server = LoopbackServer(_application(git, pulls, self._token), self._port)
        except BaseException:
            self._claim.close()
            raise
        self._port = self._server.port
        self._server.start()
        return self

    def stop(self) -> None:
        """Refuse connections and close open ones; `start` serves again at the same address."""
        self._server.stop()
        self._claim.close()

    def __enter__(self) -> GithubStandin:
        """Start serving."""
        return self.start()

    def __exit__(self, *error: object) -> None:
        """Stop serving."""
        self.stop()


class _Token(AuthenticationBackend):
    """Accepts one token, before anything else of a request is looked at."""

    def __init__(self, token: str) -> None:
        self._token = token.encode("utf-8")

    async def authenticate(self, conn: HTTPConnection) -> None:
        """Raise `AuthenticationError` unless the request has the token."""
        scheme, _, token = conn.headers.get("authorization", "").partition(" ")
        is_known = hmac.compare_digest(token.encode("utf-8"), self._token)
        if scheme.lower() not in ("token", "bearer") or not is_known:
            raise AuthenticationError("Bad credentials")


def _application(git: BareRepository, pulls: PullRequests, token: str) -> Starlette:
    def endpoint(call: Call) -> Callable[[Request], Awaitable[JSONResponse]]:
        async def respond(request: Request) -> JSONResponse:
            # Links name the address by which the client knows this server, as PyGithub demands.
            api = Api(git, pulls, f"http://{request.headers.get('host', '')}")
            rest = request.path_params.get("rest", "")
            query = {name: value for name, value in request.query_params.items() if value}
            data = await read_body(request, BODY_LIMIT_BYTES)
            status, body = await run_in_threadpool(_answer, call, api, rest, query, data)
            return JSONResponse(body, status)

        return respond

    async def refuse(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, HTTPException) and error.status_code == 413:
            return _refused(Refusal(413, "Payload too large"))
        # GitHub answers an unknown path and an unknown method alike.
        return _refused(Refusal(404, "Not Found"))

    prefix = f"/repos/{REPOSITORY}"
    application = Starlette(
        routes=[Route(prefix + path, endpoint(call), methods=[method]) for method, path, call in CALLS],
        middleware=[
            Middleware(
                AuthenticationMiddleware,
                backend=_Token(token),
                on_error=lambda conn, error: _refused(Refusal(401, str(error))),
            )
        ],
        exception_handlers={HTTPException: refuse},
    )
    application.router.redirect_slashes = False
    return application


def _answer(call: Call, api: Api, rest: str, query: Query, data: bytes) -> Reply:
    try:
        return call(api, rest, query, json.loads(data) if data else {})
    except Refusal as refusal:
        return refusal.status, refusal.body
    except GitError as error:
        return 422, Refusal(422, str(error)).body
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        return 400, Refusal(400, f"Problems parsing JSON: {error}").body


def _refused(refusal: Refusal) -> JSONResponse:
    return JSONResponse(refusal.body, refusal.status)
