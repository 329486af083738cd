"""The log lines and traces of a function name the execution that called it, and hold no candidate."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from codec_evolution.adapters.logs import EXECUTION, make_logger
from codec_evolution.adapters.traces import DAEMON, traced

from tests.support.lambda_context import CONTEXT

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
ARN = "arn:aws:states:eu-central-1:111122223333:execution:Cycle:1"
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
HANDLER = """
from codec_evolution.adapters.traces import traced

@traced("plan")
def lambda_handler(event, context):
    return {"envelope": "def compress_video_frame"}

lambda_handler({}, None)
"""


def lines_of(capsys, events: list[dict[str, str]]) -> list[dict[str, str]]:
    # A logger is one for each name, and keeps the stream of the test that made it.
    logger = make_logger(f"calls_{len(events)}")

    @logger.inject_lambda_context(correlation_id_path=EXECUTION, clear_state=True)
    def handler(event: dict[str, str], context: object) -> None:
        logger.info("first")
        logger.warning("second", extra={"attempt_id": "a"})

    for event in events:
        handler(event, CONTEXT)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_line_of_a_call_carries_the_executions_arn(capsys):
    assert [each["correlation_id"] for each in lines_of(capsys, [{"execution": ARN}])] == [ARN, ARN]


def test_a_call_outside_of_a_cycle_does_not_inherit_the_last_execution(capsys):
    lines = lines_of(capsys, [{"execution": ARN}, {"operation": "approve"}])
    assert [each.get("correlation_id") for each in lines[2:]] == [None, None]


@pytest.mark.parametrize("folder", sorted(each.name for each in FUNCTIONS.iterdir() if each.is_dir()))
def test_every_handler_logs_and_traces_the_invocation(folder):
    tree = ast.parse((FUNCTIONS / folder / "handler.py").read_text())
    (handler,) = [node for node in tree.body if getattr(node, "name", "") == "lambda_handler"]
    trace, log = (ast.unparse(each) for each in handler.decorator_list)
    assert trace == f"traced('{folder}')"
    # A person, an event or CloudFormation calls these; a build's end is known by its build.
    path = {
        **{"actions": "", "widgets": "", "publish_image": "correlation_id_path='build', "},
        "first_image": "correlation_id_path='RequestId', ",
    }
    wanted = path.get(folder, "correlation_id_path=EXECUTION, ")
    assert log == f"logger.inject_lambda_context({wanted}clear_state=True)"


def test_nothing_is_traced_where_no_daemon_listens():
    def handler() -> None: ...

    assert DAEMON not in os.environ
    assert traced("plan")(handler) is handler


def test_a_trace_names_the_function_and_holds_no_answer():
    """In a process of its own: tracing patches botocore for good."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(30)
        address = "{}:{}".format(*daemon.getsockname())
        environment = {
            **os.environ,
            DAEMON: address,
            "LAMBDA_TASK_ROOT": "/var/task",
            "_X_AMZN_TRACE_ID": TRACE,
        }
        subprocess.run([sys.executable, "-c", HANDLER], env=environment, check=True, timeout=60)
        document = json.loads(daemon.recv(65_535).decode().partition("\n")[2])
    assert document["name"] == "## lambda_handler"
    assert document["trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"
    assert document["annotations"]["Service"] == "plan"
    assert "compress_video_frame" not in json.dumps(document)
