"""The local stack with faults in its functions, the sandbox and the model replaced by stand-ins."""

from __future__ import annotations

import io
import json
import re
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local.session import Session, open_session
from infra.local.synthesis import ROOT
from tests.chaos.injected import CYCLES

FUNCTIONS = {
    "OpenCycle": "open_cycle",
    "Plan": "plan",
    "Conclude": "conclude",
    "Commit": "commit",
    "CloseCycle": "close_cycle",
}
"""The deployed functions that a cycle invokes, with their folders; the sandbox is a stand-in."""
SANDBOX = "Benchmark"
CYCLE_TIMEOUT_S = 600
"""After which a cycle counts as one that never ends; eight attempts on a busy machine take two minutes."""

_WRAPPED = """import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.chaos.injected import wrap
lambda_handler = wrap({name!r}, Path({handler!r}), Path({rows!r}))
"""


@contextmanager
def open_stack(state_dir: Path, rows: Path, model_url: str) -> Iterator[Session]:
    """Start the local stack with faults that the folder `rows` describes."""
    environment = {
        "PLANNER": "claude",
        "PLANNER_MODELS": "claude-opus-5-5",
        "PLANNER_BASE_URL": model_url,
        "ANTHROPIC_SECRET_ARN": f"{model_url}/key",
        "DAILY_BUDGET_USD": "1000",
        "MAX_ATTEMPTS_PER_DAY": "10000",
        "CONFIRM_LOOKS_PER_DAY": "10000",
    }
    (rows / CYCLES).mkdir(parents=True, exist_ok=True)
    with open_session(state_dir, environment, lambda text: None) as session:
        _wrap_functions(session, rows)
        yield session


def run_cycle(session: Session, lineage: str) -> dict[str, Any]:
    """Run one cycle of a lineage to its end and return how the execution ended."""
    return _run(session, session.deployment.state_machine_arn, {"lineage": lineage})


def run_audit(session: Session, lineage: str, version: int) -> dict[str, Any]:
    """Run one audit of a version to its end and return how the execution ended."""
    return _run(session, session.deployment.audit_machine_arn, {"lineage": lineage, "version": version})


def _run(session: Session, machine: str, given: dict[str, Any]) -> dict[str, Any]:
    client = session.deployment.client("stepfunctions")
    execution = client.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"]
    deadline = time.monotonic() + CYCLE_TIMEOUT_S
    while True:
        found = client.describe_execution(executionArn=execution)
        if found["status"] != "RUNNING":
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"an execution for {given['lineage']} did not end within {CYCLE_TIMEOUT_S} s")
        time.sleep(0.1)


def _wrap_functions(session: Session, rows: Path) -> None:
    for name, folder in FUNCTIONS.items():
        own = ROOT / "functions" / folder
        _publish(session, name, own, _write(rows, folder, own / "handler.py"))
    double = rows / "handlers" / "double.py"
    double.write_text("from tests.chaos.doubles import benchmark as lambda_handler\n")
    _publish(session, SANDBOX, ROOT / "sandbox_container", _write(rows, "benchmark", double))


def _write(rows: Path, name: str, handler: Path) -> Path:
    folder = rows / "handlers" / name
    folder.mkdir(parents=True, exist_ok=True)
    text = _WRAPPED.format(root=str(ROOT), name=name, handler=str(handler), rows=str(rows))
    (folder / "handler.py").write_text(text)
    return folder


def _publish(session: Session, function: str, own: Path, wrapped: Path) -> None:
    """Publish a function whose package starts another handler, as publishing amended code does."""
    client, name = session.deployment.client("lambda"), session.deployment.functions[function]
    location = client.get_function(FunctionName=name)["Code"]["Location"]
    with urllib.request.urlopen(location, timeout=30) as answer:
        bootstrap = zipfile.ZipFile(io.BytesIO(answer.read())).read("bootstrap").decode()
    if str(wrapped) in bootstrap:
        return  # an emulator that ended cleanly has kept it
    if str(own) not in bootstrap:
        raise AssertionError(f"{function} does not run from {own}")
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, bootstrap.replace(str(own), str(wrapped)))
    client.update_function_code(FunctionName=name, ZipFile=package.getvalue())
    version = client.publish_version(FunctionName=name)["Version"]
    client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
    _invoke_version(session, name, version)


def _invoke_version(session: Session, function: str, version: str) -> None:
    """Let the state machine invoke a version of a function that it invokes by number."""
    client, machine = session.deployment.client("stepfunctions"), session.deployment.state_machine_arn
    definition = client.describe_state_machine(stateMachineArn=machine)["definition"]
    moved = re.sub(rf"{re.escape(function)}:\d+", f"{function}:{version}", definition)
    if moved != definition:
        client.update_state_machine(stateMachineArn=machine, definition=moved)
