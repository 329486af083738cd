"""The image's entry point: what it does with a sandbox that can no longer be trusted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.commands.stacks import stack_outputs
from infra.errors import UserError
from infra.settings import APP_STACK
from infra.workbench.doctor import examine_deployed

SANDBOX = Path(__file__).resolve().parents[2] / "sandbox_container"
PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
import handler
from codec_sandbox.faults import SandboxUnavailable

class Sandbox:
    tampered = {tampered!r}
    def close(self):
        print("closed", flush=True)

class Broken:
    sandbox = Sandbox()
    def run(self, request, wall_s):
        raise SandboxUnavailable("not to be trusted")

handler._warm = Broken()
try:
    handler.lambda_handler({{"control": True, "stages": ["validate"]}}, None)
except SandboxUnavailable:
    print("lives on", handler._warm)
"""


def invoke(tampered: list[str]) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(folder=str(SANDBOX), tampered=tampered)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_lost_supervisor_is_dropped_and_the_environment_lives_on():
    done = invoke([])
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["closed", "lives on None"]


def test_an_environment_that_a_worker_changed_for_good_ends():
    done = invoke(["RLIMIT_NOFILE"])
    assert done.returncode == 70
    assert "tampered" in done.stdout and "RLIMIT_NOFILE" in done.stdout and "lives on" not in done.stdout


def test_a_run_ends_before_the_functions_own_time_is_over():
    program = (
        f"import sys; sys.path.insert(0, {str(SANDBOX)!r})\n"
        "import handler\n"
        "from codec_sandbox.request import parse\n"
        "request = parse({'control': True, 'stages': ['validate'], 'limits': {'call_s': 30}})\n"
        "class Context:\n"
        "    def __init__(self, left_s): self.get_remaining_time_in_millis = lambda: left_s * 1000\n"
        "print([handler.wall_s(request, context) for context in (None, Context(900), Context(300))])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[840.0, 840.0, 250.0]", done.stderr


def test_the_handler_answers_the_doctor_with_the_layers_of_its_environment():
    program = (
        f"import sys, json; sys.path.insert(0, {str(SANDBOX)!r})\n"
        "import handler\n"
        "print(json.dumps(handler.lambda_handler({'doctor': True}, None)))\n"
        "assert handler._warm is None, 'the doctor needs no clips'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["fit"] is True
    assert set(said["minimum"]) <= {name for name, state in said["layers"].items() if state == "ok"}


def test_the_doctor_asks_the_deployed_function(session):
    found = examine_deployed(stack_outputs(APP_STACK)["BenchmarkFunction"])
    assert found["status"] == "passed"
    assert {check["name"] for check in found["checks"]} == {
        f"sandbox layer {name}" for name in found["sandbox"]["layers"]
    }
    with pytest.raises(UserError, match="no-such-function cannot be invoked"):
        examine_deployed("no-such-function")
