"""The file by which one command joins the stack that another one runs."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.commands.running import running_evolution
from infra.local.deploy import LocalDeployment
from infra.local.session import _live


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def announce(state_dir: Path, endpoint: str, **changes: object) -> None:
    deployment = LocalDeployment(endpoint, "us-east-1", "r", "c", "m", "b", "a", "g", "s", {}, {})
    facts = {
        "pid": os.getpid(),
        "emulator_pid": os.getpid(),
        "git_dir": "git",
        "deployment": asdict(deployment),
        "environment": {},
        "lends": False,
    }
    (state_dir / "session.json").write_text(json.dumps({**facts, **changes}))


@pytest.mark.slow
def test_an_announced_session_that_answers_is_joined(tmp_path, endpoint):
    announce(tmp_path, endpoint)
    assert _live(tmp_path).deployment.endpoint == endpoint


def test_commands_that_only_read_use_the_stack_that_runs(tmp_path, endpoint):
    announce(tmp_path, endpoint)
    with running_evolution(tmp_path) as running:
        assert running is not None
        assert os.environ["AWS_ENDPOINT_URL"] == endpoint
        assert running.lineage == "main"


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"deployment": {"endpoint": "http://127.0.0.1:1"}}, {"pid": 2**22 + 1}])
def test_without_a_stack_that_answers_there_is_none_to_read_from(tmp_path, endpoint, changes):
    announce(tmp_path, endpoint, **changes)
    with running_evolution(tmp_path) as running:
        assert running is None


def test_reading_from_a_running_stack_loads_nothing_that_starts_one():
    heavy = (
        "{'infra.local.session', 'infra.local.deploy', 'aws_cdk', 'starlette', 'numpy'} & set(sys.modules)"
    )
    code = f"import sys, infra.cli, infra.commands.running; sys.exit(str({heavy}) if {heavy} else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_session_whose_emulator_does_not_answer_is_not_live(tmp_path):
    announce(tmp_path, "http://127.0.0.1:1")
    assert _live(tmp_path) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"deployment": {"endpoint": "x"}},
        {"deployment": {"of_another_version": 1}},
        {"pid": "12"},
        {"git_dir": None},
    ],
)
def test_a_session_of_another_version_is_not_live(tmp_path, endpoint, changes):
    announce(tmp_path, endpoint, **changes)
    assert _live(tmp_path) is None


@pytest.mark.parametrize("text", ["[]", "{}", "7", "", "{"])
def test_a_session_file_of_another_shape_is_not_live(tmp_path, text):
    (tmp_path / "session.json").write_text(text)
    assert _live(tmp_path) is None
