"""The audit of locked packages: what it says without a database, and what its exit status is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from infra.audit import LOCKS, ROOT, command, database_answers, main


@pytest.fixture(
    params=['{"vulnerabilities": [{"id": "PYSEC-1"}]}', '{"vulnerabilities": []}', "[]", "<html>"]
)
def database(request) -> Iterator[tuple[str, bool]]:
    """A server and whether what it says is a database's answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(request.param.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", "PYSEC" in request.param
        server.shutdown()
        thread.join()


def test_a_mirror_that_knows_no_vulnerability_is_no_database(database):
    url, is_one = database
    assert database_answers(url) is is_one


def test_without_a_database_the_audit_says_so_and_is_no_failure(capsys):
    assert database_answers("http://127.0.0.1:9") is False
    assert main(lambda: False) == 0
    assert "cannot be reached" in capsys.readouterr().out


@pytest.mark.parametrize(("status", "result"), [(0, 0), (1, 1)])
def test_a_finding_is_a_failure(status, result):
    assert main(lambda: True, [sys.executable, "-c", f"raise SystemExit({status})"]) == result


def test_every_lock_file_of_what_runs_is_audited_by_hash():
    assert all((ROOT / lock).is_file() for lock in LOCKS)
    found = command()
    assert [found[place + 1] for place, word in enumerate(found) if word == "--requirement"] == list(LOCKS)
    assert "--require-hashes" in found
