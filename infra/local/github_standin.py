"""A stand-in for GitHub's REST interface on this machine, over a real git repository.

It answers exactly the calls that an atomic commit of several files, a branch and a pull request need. Everything is
on disk: a bare repository that ``git --git-dir`` reads, and one small JSON file a pull request. Whatever kills
the process, the next one goes on from there.
"""

from __future__ import annotations

import base64
import fcntl
import hmac
import json
import re
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from infra.local.bare_repository import SHA, ZERO, BareRepository, Commit, GitError, Person, TreeChange
from infra.local.pull_requests import PullRequests

OWNER = "local"
REPOSITORY = f"{OWNER}/codec"
BRANCH = "main"
BODY_LIMIT_BYTES = 32 * 1024 * 1024
IDLE_S = 60
FILE_MODES = ("100644", "100755", "120000")
PERSON = Person("Codec Evolution", "evolution@codec-evolution.invalid")
FIRST_FILES = {"README.md": "# Codec\n\nThe codec that evolves on this machine, one commit a version.\n"}
FIRST_MESSAGE = "Begin the codec's history"


class Refusal(Exception):
    """An error answer in GitHub's form."""

    def __init__(self, status: int, message: str, *details: str) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(status),
        }
        if details:
            self.body["errors"] = [{"code": "custom", "message": detail} for detail in details]


Query = dict[str, str]
Reply = tuple[int, Any]


def _string(body: dict[str, Any], field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str):
        raise Refusal(422, f"Invalid request: {field} must be a string")
    return value


def _person(given: dict[str, Any]) -> Person:
    return Person(_string(given, "name"), _string(given, "email"), given.get("date", ""))


class Api:
    """The calls, apart from HTTP: each takes the rest of the path, the query and the body."""

    def __init__(self, git: BareRepository, pulls: PullRequests, url: str) -> None:
        self._git = git
        self._pulls = pulls
        self._root = f"{url}/repos/{REPOSITORY}"

    def get_repository(self, rest: str, query: Query, body: Any) -> Reply:
        return 200, {"full_name": REPOSITORY, "default_branch": BRANCH, "url": self._root}

    def get_ref(self, rest: str, query: Query, body: Any) -> Reply:
        return 200, self._ref(f"refs/{rest}", self._known(f"refs/{rest}", "commit"))

    def create_ref(self, rest: str, query: Query, body: Any) -> Reply:
        ref, sha = _string(body, "ref"), self._stored(body, "sha", "commit")
        if not self._git.is_ref(ref) or ref.count("/") < 2:
            raise Refusal(422, "Reference name must be a valid ref")
        if not self._git.move(ref, sha, ZERO):
            raise Refusal(422, "Reference already exists")
        return 201, self._ref(ref, sha)

    def update_ref(self, rest: str, query: Query, body: Any) -> Reply:
        """Move a ref, forwards unless forced, and only from where it was when the call came."""
        ref, new = f"refs/{rest}", self._stored(body, "sha", "commit")
        old = self._git.resolve(ref, "commit")
        if old is None:
            raise Refusal(422, "Reference does not exist")
        self._pulls.all()  # notices what a person merged before the head moves on
        is_allowed = body.get("force") is True or self._git.contains(new, old)
        if not is_allowed or not self._git.move(ref, new, old):
            raise Refusal(422, "Update is not a fast forward")
        return 200, self._ref(ref, new)

    def get_commit(self, rest: str, query: Query, body: Any) -> Reply:
        return 200, self._commit(self._git.commits([self._known(rest, "commit")])[0])

    def create_commit(self, rest: str, query: Query, body: Any) -> Reply:
        tree = self._stored(body, "tree", "tree")
        parents = [self._stored({"parent": parent}, "parent", "commit") for parent in body.get("parents", [])]
        author = _person(body["author"]) if "author" in body else PERSON
        sha = self._git.write_commit(_string(body, "message"), tree, parents, author)
        return 201, self._commit(self._git.commits([sha])[0])

    def list_commits(self, rest: str, query: Query, body: Any) -> Reply:
        size, page = min(int(query.get("per_page", 30)), 100), max(int(query.get("page", 1)), 1)
        history = self._git.history(self._start(query.get("sha")), size * (page - 1), size)
        url = f"{self._root}/commits"
        return 200, [
            {"sha": one.sha, "url": f"{url}/{one.sha}", "commit": self._commit(one)} for one in history
        ]

    def get_tree(self, rest: str, query: Query, body: Any) -> Reply:
        return 200, self._tree(self._known(rest, "tree"), recursive="recursive" in query)

    def create_tree(self, rest: str, query: Query, body: Any) -> Reply:
        base = self._stored(body, "base_tree", "tree") if body.get("base_tree") else None
        entries = body.get("tree")
        if not isinstance(entries, list) or not entries:
            raise Refusal(422, "Invalid tree info")
        tree = self._git.write_tree(base, [self._change(entry) for entry in entries])
        return 201, self._tree(tree, recursive=False)

    def get_contents(self, rest: str, query: Query, body: Any) -> Reply:
        entries = self._git.entries(self._start(query.get("ref")), recursive=True)
        found = next((one for one in entries if one.path == rest and one.kind == "blob"), None)
        if found is None:
            raise Refusal(404, "Not Found")
        content = base64.b64encode(self._git.blob(found.sha)).decode("ascii")
        return 200, {
            "type": "file",
            "encoding": "base64",
            "path": rest,
            "sha": found.sha,
            "content": content,
            "url": f"{self._root}/contents/{rest}",
        }

    def list_pulls(self, rest: str, query: Query, body: Any) -> Reply:
        wanted = {"state": query.get("state", "open"), "base": query.get("base")}
        wanted["head"] = query.get("head", "").removeprefix(f"{OWNER}:") or None
        wanted = {name: value for name, value in wanted.items() if value not in (None, "all")}
        pulls = [pull for pull in self._pulls.all() if wanted.items() <= pull.items()]
        return 200, [self._pull(pull) for pull in pulls]

    def create_pull(self, rest: str, query: Query, body: Any) -> Reply:
        head = _string(body, "head").removeprefix(f"{OWNER}:")
        title, text = _string(body, "title"), body.get("body") or ""
        try:
            pull = self._pulls.create(head, _string(body, "base"), title, text)
        except ValueError as error:
            raise Refusal(422, "Validation Failed", str(error)) from None
        return 201, self._pull(pull)

    def edit_pull(self, rest: str, query: Query, body: Any) -> Reply:
        try:
            return 200, self._pull(self._pulls.edit(int(rest), body))
        except LookupError:
            raise Refusal(404, "Not Found") from None

    def _known(self, name: str, kind: str) -> str:
        sha = self._git.resolve(name, kind)
        if sha is None:
            raise Refusal(404, "Not Found")
        return sha

    def _stored(self, body: dict[str, Any], field: str, kind: str) -> str:
        name = _string(body, field)
        sha = self._git.resolve(name, kind) if SHA.fullmatch(name) else None
        if sha is None:
            raise Refusal(422, f"{kind.capitalize()} SHA does not exist")
        return sha

    def _start(self, name: str | None) -> str:
        name = name or BRANCH
        return self._known(name if SHA.fullmatch(name) else f"refs/heads/{name}", "commit")

    def _change(self, entry: dict[str, Any]) -> TreeChange:
        path, mode, sha = _string(entry, "path"), _string(entry, "mode"), entry.get("sha")
        if "\0" in path or any(part in ("", ".", "..", ".git") for part in path.split("/")):
            raise Refusal(422, "tree.path contains a malformed path component")
        if mode not in FILE_MODES:
            raise Refusal(422, "tree.mode is not supported")
        if "content" in entry:
            return TreeChange(path, mode, content=_string(entry, "content").encode("utf-8"))
        if sha is not None and not (isinstance(sha, str) and SHA.fullmatch(sha)):
            raise Refusal(422, "tree.sha is not a valid object")
        return TreeChange(path, mode, sha=sha)

    def _ref(self, ref: str, sha: str) -> dict[str, Any]:
        target = {"type": "commit", "sha": sha, "url": f"{self._root}/git/commits/{sha}"}
        return {"ref": ref, "url": f"{self._root}/git/{ref}", "object": target}

    def _commit(self, commit: Commit) -> dict[str, Any]:
        url = f"{self._root}/git"
        return {
            "sha": commit.sha,
            "url": f"{url}/commits/{commit.sha}",
            "message": commit.message,
            "tree": {"sha": commit.tree, "url": f"{url}/trees/{commit.tree}"},
            "parents": [{"sha": parent, "url": f"{url}/commits/{parent}"} for parent in commit.parents],
            "author": vars(commit.author),
            "committer": vars(commit.committer),
        }

    def _tree(self, sha: str, *, recursive: bool) -> dict[str, Any]:
        listed = [
            {"path": one.path, "mode": one.mode, "type": one.kind, "sha": one.sha}
            for one in self._git.entries(sha, recursive=recursive)
        ]
        return {"sha": sha, "url": f"{self._root}/git/trees/{sha}", "truncated": False, "tree": listed}

    def _pull(self, pull: dict[str, Any]) -> dict[str, Any]:
        url = f"{self._root}/pulls/{pull['number']}"
        sides = {side: {"ref": pull[side], "label": f"{OWNER}:{pull[side]}"} for side in ("head", "base")}
        return pull | sides | {"url": url, "html_url": url}


ROUTES = [
    (method, re.compile(pattern), call)
    for method, pattern, call in (
        ("GET", r"", Api.get_repository),
        ("GET", r"/git/ref/(.+)", Api.get_ref),
        ("POST", r"/git/refs", Api.create_ref),
        ("PATCH", r"/git/refs/(.+)", Api.update_ref),
        ("GET", r"/git/commits/([0-9a-f]{40})", Api.get_commit),
        ("POST", r"/git/commits", Api.create_commit),
        ("GET", r"/commits", Api.list_commits),
        ("GET", r"/git/trees/([0-9a-f]{40})", Api.get_tree),
        ("POST", r"/git/trees", Api.create_tree),
        ("GET", r"/contents/(.+)", Api.get_contents),
        ("GET", r"/pulls", Api.list_pulls),
        ("POST", r"/pulls", Api.create_pull),
        ("PATCH", r"/pulls/(\d{1,9})", Api.edit_pull),
    )
]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    wbufsize = (
        -1
    )  # one packet an answer: two would wait for the client's delayed acknowledgement, 40 ms a call
    server: _Server

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_PATCH(self) -> None:
        self._respond()

    def log_message(self, format: str, *args: object) -> None:
        """Write no log: the repository's history is the record."""

    def _respond(self) -> None:
        try:
            status, body = self._reply()
        except Refusal as refusal:
            status, body = refusal.status, refusal.body
        except (ValueError, AttributeError, TypeError) as error:
            status, body = 400, Refusal(400, f"Problems parsing JSON: {error}").body
        except GitError as error:
            status, body = 422, Refusal(422, str(error)).body
        data = json.dumps(body).encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _reply(self) -> Reply:
        size = int(self.headers.get("Content-Length") or 0)
        if size > BODY_LIMIT_BYTES:
            self.close_connection = True
            raise Refusal(413, "Payload too large")
        data = self.rfile.read(size)
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        is_known = hmac.compare_digest(token.encode("utf-8"), self.server.token.encode("utf-8"))
        if scheme.lower() not in ("token", "bearer") or not is_known:
            raise Refusal(401, "Bad credentials")
        address = urlsplit(self.path)
        path = unquote(address.path)
        prefix = f"/repos/{REPOSITORY}"
        if path.startswith(prefix):
            query, body = dict(parse_qsl(address.query)), json.loads(data) if data else {}
            for method, pattern, call in ROUTES:
                found = pattern.fullmatch(path, len(prefix))
                if found and method == self.command:
                    api = self.server.api(self.headers.get("Host", ""))
                    return call(api, "".join(found.groups()), query, body)
        raise Refusal(404, "Not Found")


class _Server(ThreadingHTTPServer):
    """The HTTP server; closing it also cuts the connections that clients keep open."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, git: BareRepository, pulls: PullRequests, token: str) -> None:
        self.token = token
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)
        self._git = git
        self._pulls = pulls

    def api(self, host: str) -> Api:
        """Return the calls with links to the address by which the client knows this server, as PyGithub demands."""
        return Api(self._git, self._pulls, f"http://{host}")

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class GithubStandin:
    """GitHub on this machine, for one repository.

    Parameters
    ----------
    state_dir
        Holds ``codec.git`` and ``pulls/``; made if missing. One stand-in at a time serves it.
    port
        0 for any that is free; kept over `stop` and `start`.
    token
        The only credential that is let in.

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
        """The address of the interface; known once started."""
        return f"http://127.0.0.1:{self._port}"

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
            self._server = _Server(self._port, git, pulls, self._token)
        except BaseException:
            self._claim.close()
            raise
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Be away: refuse connections and cut open ones; `start` serves again at the same address."""
        self._server.shutdown()
        self._server.server_close()
        self._claim.close()

    def __enter__(self) -> GithubStandin:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()
