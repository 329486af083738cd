"""What the adapter does when GitHub, the network or the secret is not as it should be."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import pytest
from codec_evolution.adapters.github import GithubRepository
from codec_evolution.loop.commit import EVOLUTION, GithubAway, GithubRefused
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from infra.local.github_standin import GithubStandin

TOKEN = "standin-token-0123456789"
MESSAGE = "Subject\n\nText.\n\nAttempt: a#00\n"
HOUR = "3600"


@dataclass
class Call:
    """One request on its way to the stand-in."""

    method: str
    path: str
    token: str
    body: bytes
    forward: Callable[[bytes], tuple[int, dict[str, str], bytes]]


Tamper = Callable[[Call], tuple[int, dict[str, str], bytes]]


@contextmanager
def proxy(standin: GithubStandin, tamper: Tamper) -> Iterator[tuple[str, list[str]]]:
    """Stand between the adapter and the stand-in; yields the address and the calls seen."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = dict(self.headers)

            def forward(data: bytes) -> tuple[int, dict[str, str], bytes]:
                connection = HTTPConnection(urlsplit(standin.url).netloc, timeout=5)
                connection.request(
                    self.command, self.path, data, headers | {"Content-Length": str(len(data))}
                )
                answer = connection.getresponse()
                found = answer.status, {"Content-Type": "application/json"}, answer.read()
                connection.close()
                return found

            seen.append(f"{self.command} {self.path}")
            token = self.headers.get("Authorization", "").split(" ")[-1]
            status, fields, data = tamper(Call(self.command, self.path, token, body, forward))
            self.send_response(status)
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = respond  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[GithubStandin]:
    with GithubStandin(tmp_path / "github", token=TOKEN) as running:
        yield running


def commit(url: str, credential: object = None, content: str = "1\n", timeout_s: int = 5) -> str:
    repository = GithubRepository(url, "local/codec", credential or {"token": TOKEN}, timeout_s=timeout_s)
    return repository.commit_files("main", {"a.py": content}, MESSAGE, author=EVOLUTION)


def log(standin: GithubStandin) -> list[str]:
    command = ["git", "--git-dir", str(standin.git_dir), "log", "--format=%s", "main"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def always(status: int, message: str, **headers: str) -> Tamper:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda call: (status, fields, json.dumps({"message": message}).encode())


@pytest.mark.parametrize(
    ("tamper", "requests"),
    [
        (always(503, "Unavailable"), 3),
        (always(502, "Bad gateway"), 3),
        (always(403, "API rate limit exceeded", X_RateLimit_Reset=str(int(time.time()) + 3000)), 1),
        (always(403, "You have exceeded a secondary rate limit"), 1),
        (always(403, "You have exceeded a secondary rate limit", Retry_After=HOUR), 1),
        (always(429, "Too many requests", Retry_After=HOUR), 1),
        (always(503, "Maintenance", Retry_After=HOUR), 1),
        (always(429, "Too many requests"), 1),
    ],
)
def test_github_that_is_busy_or_broken_counts_as_away_after_few_requests(
    standin: GithubStandin, tamper: Tamper, requests: int
) -> None:
    with proxy(standin, tamper) as (url, seen), pytest.raises(GithubAway):
        commit(url)
    assert len(seen) == requests


def test_an_answer_that_is_not_githubs_counts_as_away(standin: GithubStandin) -> None:
    with (
        proxy(standin, lambda call: (200, {}, b"{<html>log in</html>")) as (url, _),
        pytest.raises(GithubAway),
    ):
        commit(url)


def test_an_address_where_nobody_listens_counts_as_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(GithubAway, match="cannot be reached"):
        commit(url)


def test_github_that_does_not_answer_counts_as_away_in_bounded_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        began = time.monotonic()
        with pytest.raises(GithubAway, match="cannot be reached"):
            commit(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=1)
        assert time.monotonic() - began < 3 * 1 + 5


@pytest.mark.parametrize(
    ("tamper", "advice"),
    [
        (always(403, "Resource not accessible by personal access token"), "write access to contents"),
        (always(409, "Git Repository is empty."), "push a first commit"),
        (always(401, f"Bad credentials {TOKEN}"), "valid token"),
    ],
)
def test_a_refusal_says_what_to_do_and_is_not_repeated(
    standin: GithubStandin, tamper: Tamper, advice: str
) -> None:
    with proxy(standin, tamper) as (url, seen), pytest.raises(GithubRefused, match=advice) as refused:
        commit(url)
    assert len(seen) == 1
    assert TOKEN not in str(refused.value)


def test_a_protected_branch_is_not_mistaken_for_a_race(standin: GithubStandin) -> None:
    def protect(call: Call) -> tuple[int, dict[str, str], bytes]:
        if call.method == "PATCH":
            return always(422, "Repository rule violations found")(call)
        return call.forward(call.body)

    with proxy(standin, protect) as (url, seen), pytest.raises(GithubRefused, match="protection rules"):
        commit(url)
    assert sum(call.startswith("PATCH") for call in seen) == 1


def test_a_commit_whose_answer_was_lost_is_found_the_next_time(standin: GithubStandin) -> None:
    def lose(call: Call) -> tuple[int, dict[str, str], bytes]:
        answer = call.forward(call.body)
        return answer if call.method != "PATCH" else (502, {}, b'{"message": "Bad gateway"}')

    with proxy(standin, lose) as (url, _), pytest.raises(GithubAway, match="502"):
        commit(url)
    sha = commit(standin.url)
    assert log(standin) == ["Subject", "Begin the codec's history"]
    assert (standin.git_dir / "refs/heads/main").read_text().strip() == sha


def test_bytes_that_were_changed_on_the_way_are_not_committed(standin: GithubStandin) -> None:
    def normalise(call: Call) -> tuple[int, dict[str, str], bytes]:
        return call.forward(call.body.replace(rb"\r\n", rb"\n"))

    with proxy(standin, normalise) as (url, _), pytest.raises(GithubRefused, match=r"other bytes .* a\.py"):
        commit(url, content="1\r\n")
    assert log(standin) == ["Begin the codec's history"]


def test_a_server_that_links_to_another_address_is_refused(standin: GithubStandin) -> None:
    def misdirect(call: Call) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = call.forward(call.body)
        return status, headers, body.replace(b"http://127.0.0.1", b"http://elsewhere.invalid")

    with proxy(standin, misdirect) as (url, seen), pytest.raises(GithubRefused, match="another address"):
        commit(url)
    assert not any(call.startswith("PATCH") for call in seen)


def test_a_github_app_signs_in_for_two_permissions_and_nothing_is_logged(
    standin: GithubStandin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="github")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    asked = []

    def sign_in(call: Call) -> tuple[int, dict[str, str], bytes]:
        if call.path != "/app/installations/7/access_tokens":
            return call.forward(call.body)
        asked.append(json.loads(call.body)["permissions"])
        assert jwt.decode(call.token, key.public_key(), algorithms=["RS256"])["iss"] == "42"
        return 201, {}, json.dumps({"token": TOKEN, "expires_at": "2099-01-01T00:00:00Z"}).encode()

    secret = json.dumps({"app_id": 42, "installation_id": 7, "private_key": pem})
    with proxy(standin, sign_in) as (url, _):
        commit(url, secret)
    assert asked == [{"contents": "write", "pull_requests": "write"}]
    assert log(standin)[0] == "Subject"
    assert TOKEN not in caplog.text
    assert "PRIVATE KEY" not in caplog.text


@pytest.mark.parametrize(
    "secret",
    [
        {},
        {"token": ""},
        {"token": "hidden\nvalue"},
        {"token": 5},
        {"token": "hidden", "private_key": "hidden"},
        {"app_id": 1, "private_key": "hidden"},
        {"app_id": "hidden", "installation_id": 7, "private_key": "hidden"},
        {"app_id": 1, "installation_id": 7, "private_key": "hidden"},
        {"password": "hidden"},
        "hidden",
        '["hidden"]',
    ],
)
def test_a_secret_of_another_shape_is_refused_without_being_shown(secret: object) -> None:
    with pytest.raises(GithubRefused, match="GitHub secret") as refused:
        GithubRepository("https://api.github.com", "local/codec", secret)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://api.github.com", "http://127.0.0.1.example.org", "file:///etc", "github.com"]
)
def test_a_credential_never_crosses_a_network_in_the_clear(url: str) -> None:
    with pytest.raises(GithubRefused, match="https://"):
        GithubRepository(url, "local/codec", {"token": TOKEN})


@pytest.mark.parametrize("name", ["codec", "a/b/c", "https://github.com/a/b", "a/..%2f", ""])
def test_a_repository_is_named_by_owner_and_name(name: str) -> None:
    with pytest.raises(GithubRefused, match="owner/name"):
        GithubRepository("https://api.github.com", name, {"token": TOKEN})
