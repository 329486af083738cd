"""The base of the sandbox image: locked by the digest of what a registry serves, and used where it is locked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from infra.base_image import MAX_INDEX_BYTES, base_image, main, resolve
from infra.errors import UserError

INDEX = json.dumps(
    {"manifests": [{"platform": {"os": "linux", "architecture": each}} for each in ("arm64", "amd64")]}
).encode()
DIGEST = f"sha256:{hashlib.sha256(INDEX).hexdigest()}"
TAG = "public.ecr.aws/lambda/python:3.13"


class Registry(HTTPServer):
    """Serves one image index to whoever brings the token that it gives to everyone."""

    body, stated, token = INDEX, DIGEST, "t"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/token/":
            asked = self.path.partition("?")[2]
            assert asked == "service=here&scope=repository%3Alambda%2Fpython%3Apull"
            self._answer(200, json.dumps({"token": self.server.token}).encode())
        elif self.headers.get("Authorization") != "Bearer t":
            challenge = (
                f'realm="{self.server.url}/token/",service="here",scope="repository:lambda/python:pull"'
            )
            self._answer(401, b"", **{"WWW-Authenticate": f"Bearer {challenge}"})
        elif path == "/v2/lambda/python/manifests/3.13" and "oci.image.index" in self.headers["Accept"]:
            self._answer(200, self.server.body, **{"Docker-Content-Digest": self.server.stated})
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry(("127.0.0.1", 0), _Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_digest_of_what_the_registry_serves_is_locked_and_used(registry, tmp_path, capsys):
    lock = tmp_path / "base_image.lock"
    assert base_image(lock) == TAG, "without a lock, the tag"
    assert main(registry.url, lock) == 0
    assert base_image(lock) == f"{TAG}@{DIGEST}"
    assert DIGEST in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stated", f"sha256:{'0' * 64}"),
        ("body", INDEX.replace(b"amd64", b"riscv")),
        ("body", b'{"manifests": [{}]}'),
        ("body", b"[]"),
        ("body", b"<html>"),
        ("body", b" " * MAX_INDEX_BYTES + INDEX),
    ],
    ids=["another digest", "another platform", "no platform", "no index", "no JSON", "too long"],
)
def test_what_is_not_an_index_for_the_platform_is_not_locked(registry, tmp_path, name, value):
    setattr(registry, name, value)
    if name == "body":
        registry.stated = f"sha256:{hashlib.sha256(value).hexdigest()}"
    with pytest.raises(UserError, match="nothing was locked"):
        resolve(registry.url)


def test_a_registry_that_refuses_or_cannot_be_reached_leaves_the_lock_as_it_was(registry, tmp_path, capsys):
    lock = tmp_path / "base_image.lock"
    lock.write_text(f"{TAG}@{DIGEST}\n")
    registry.token = "refused"
    assert main(registry.url, lock) == 2
    assert main("http://127.0.0.1:9", lock) == 2
    said = capsys.readouterr().err
    assert said.count("cannot be asked for lambda/python:3.13; nothing was locked") == 2
    assert base_image(lock) == f"{TAG}@{DIGEST}"


@pytest.mark.parametrize(
    "text", ["", f"{TAG}\n", f"{TAG}@sha256:12\n", f"public.ecr.aws/lambda/python:3.12@{DIGEST}\n"]
)
def test_a_lock_that_is_not_one_image_by_digest_is_refused(tmp_path, text):
    lock = tmp_path / "base_image.lock"
    lock.write_text(text)
    with pytest.raises(UserError, match="must be one line"):
        base_image(lock)
