"""The image's entry point: what it does with a sandbox that is no longer to be trusted."""

import subprocess
import sys
from pathlib import Path

SANDBOX = Path(__file__).resolve().parents[2] / "sandbox_container"
PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
import handler
from codec_sandbox.faults import SandboxUnavailable

class Workshop:
    tampered = {tampered!r}
    def close(self):
        print("closed", flush=True)

class Broken:
    workshop = Workshop()
    def run(self, request):
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
