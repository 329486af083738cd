"""The host's scripts, run: what they install, how a call travels through them, and how a checkout comes back."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.assets import ROOT
from infra.capabilities.framework_host import HOST_FILES, SCRIPTS, framework_files

POLICY = "layers/common/python/codec_evolution/data/language_policy.toml"
RESULT = "0" * 64
ROOTS = (
    "/run/codec-evolution",
    "/opt/codec-evolution",
    "/etc/codec-evolution",
    "/var/lib/codec-evolution",
    "/etc/systemd",
    "/root/",
)
AWS = """#!/bin/bash
# Objects are files below $BUCKETS; what is asked is written down.
echo "aws $*" >> "$CALLS"
words=(); for word in "$@"; do [[ $word == --quiet || $word == --delete ]] || words+=("$word"); done
set -- "${words[@]}"
[[ $3 != --region ]] || set -- "$1" "$2" "${@:5}"
from=${3/s3:\\/\\//$BUCKETS/} to=${4/s3:\\/\\//$BUCKETS/}
case "$2" in
  sync) mkdir -p "$from" && cp -r "$from/." "$to" ;;
  cp)
    [[ $to == - ]] && exec cat "$from"
    mkdir -p "$(dirname "$to")"
    if [[ $from == - ]]; then cat > "$to"; else cp "$from" "$to"; fi ;;
esac
"""
QUIET = """#!/bin/bash
echo "$(basename "$0") $*" >> "$CALLS"
"""
INSTALL = """#!/bin/bash
# The accounts of the instance are not there: only what is made, and with which mode.
words=()
while (($#)); do case "$1" in -o | -g) shift ;; *) words+=("$1") ;; esac; shift; done
exec /usr/bin/install "${words[@]}"
"""
PYTHON = """#!/bin/bash
# The environment of the quick tests is the one of these tests; nothing is fetched.
if [[ $1 == -m && $2 == venv ]]; then
  mkdir -p "$3/bin" && printf '#!/bin/sh\\necho "pip $*" >> "$CALLS"\\n' > "$3/bin/python" && chmod 755 "$3/bin/python"
else
  exec REAL "$@"
fi
"""


class Machine:
    """A folder that stands for the instance's root, with stand-ins for what only the instance has."""

    def __init__(self, folder: Path) -> None:
        self.root, self.buckets, self.tools = folder / "root", folder / "buckets", folder / "tools"
        for path in (self.root, self.buckets, self.tools):
            path.mkdir()
        stand_ins = {"aws": AWS, "install": INSTALL, "python3.11": PYTHON.replace("REAL", sys.executable)}
        stand_ins |= dict.fromkeys(("dnf", "useradd", "systemctl", "sleep"), QUIET)
        for name, text in stand_ins.items():
            (self.tools / name).write_text(text)
            (self.tools / name).chmod(0o755)
        for name in ("etc/systemd/system", "root"):
            (self.root / name).mkdir(parents=True)
        self.environment = {
            "PATH": f"{self.tools}:/usr/bin:/bin",
            "BUCKETS": str(self.buckets),
            "CALLS": str(folder / "calls"),
        }

    def moved(self, text: str) -> str:
        """Return a script whose absolute paths lie below the folder."""
        text = re.sub("|".join(ROOTS), lambda found: f"{self.root}{found[0]}", text)
        text = text.replace("/usr/bin/python3.11", str(self.tools / "python3.11"))
        return text.replace("env -i PATH=", f"env -i CALLS={self.environment['CALLS']} PATH=")

    def bash(self, text: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", text, "script", *arguments],
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def calls(self) -> str:
        return Path(self.environment["CALLS"]).read_text()

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")


def installed(tmp_path: Path, framework_host: str) -> Machine:
    """Return an instance after its user data ran."""
    made = Machine(tmp_path)
    code = tmp_path / "code"
    for path in framework_files():
        target = code / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    shutil.make_archive(str(made.buckets / "assets" / "code"), "zip", code)
    for name in HOST_FILES:
        made.at(f"/root/{name}").write_text(made.moved((SCRIPTS / name).read_text()))
    settings = {
        "checkout": "/var/lib/codec-evolution/checkout",
        "state": "/var/lib/codec-evolution/state",
        "guard": "/opt/codec-evolution/framework/layers/common/python/codec_evolution/data/guard.toml",
        "manifest": "/opt/codec-evolution/manifest.json",
        "python": "/opt/codec-evolution/venv/bin/python",
        "deployed": "/opt/codec-evolution/framework",
        "tools": "approve_all",
    }
    moved = {
        name: f"{made.root}{value}" if value.startswith("/") else value for name, value in settings.items()
    }
    done = made.bash(
        made.moved("set -euo pipefail\n" + (SCRIPTS / "install").read_text()),
        BUCKET="artifacts",
        REGION="eu-central-1",
        CODE="s3://assets/code.zip",
        HOST_SETTINGS=json.dumps(moved),
        FRAMEWORK_HOST=framework_host,
    )
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return installed(tmp_path, "on_demand")


def restore(machine: Machine) -> None:
    text = machine.at("/opt/codec-evolution/bin/restore").read_text()
    done = machine.bash(text, BUCKET="artifacts")
    assert done.returncode == 0, done.stderr


def call(machine: Machine, tool: str, document: dict[str, Any] | str, **variables: str) -> tuple[int, Path]:
    text = machine.at("/opt/codec-evolution/bin/call").read_text()
    if isinstance(document, dict):
        document = base64.b64encode(json.dumps(document).encode()).decode()
    done = machine.bash(text, tool, **{"SSM_Request": document, "SSM_Result": RESULT} | variables)
    return done.returncode, machine.buckets / f"artifacts/framework/results/{RESULT}.json"


EDIT = {
    "modification_id": "m",
    "tool": "modify_framework_file",
    "arguments": {"file_path": POLICY, "modification_type": "append", "content": "# more\n"},
    "reason": "r",
}


def test_the_user_data_fits_and_installs_the_program_the_tests_and_the_unit(machine):
    assert machine.at(
        "/opt/codec-evolution/framework/layers/common/python/codec_evolution/host/program.py"
    ).is_file()
    assert os.access(machine.at("/opt/codec-evolution/bin/call"), os.X_OK)
    assert machine.at("/etc/systemd/system/codec-evolution-orchestrator.service").is_file()
    assert oct(machine.at("/var/lib/codec-evolution/state").stat().st_mode)[-3:] == "700"
    assert "pip -m pip install --quiet --require-hashes --only-binary :all:" in machine.calls
    assert "systemctl enable --now codec-evolution-orchestrator.service" in machine.calls
    whole = sum((SCRIPTS / name).stat().st_size for name in (*HOST_FILES, "install"))
    assert whole < 12_000, "user data has 16 KB at most, settings included"


def test_a_new_host_starts_from_the_deployed_framework_and_what_the_tools_had_changed(machine):
    content = (ROOT / POLICY).read_text("utf-8") + "# amended\n"
    overlay = machine.buckets / "artifacts/framework/overlay" / POLICY
    overlay.parent.mkdir(parents=True)
    digest = hashlib.sha256(content.encode()).hexdigest()
    overlay.write_text(json.dumps({"content": content, "sha256": digest}))
    restore(machine)
    checkout = machine.at("/var/lib/codec-evolution/checkout")
    assert (checkout / POLICY).read_text("utf-8") == content
    assert (checkout / "prompts/system.md").read_bytes() == (ROOT / "prompts/system.md").read_bytes()
    manifest = json.loads(machine.at("/opt/codec-evolution/manifest.json").read_text())
    assert "layers/common/python/codec_evolution/judging/adoption.py" in manifest
    assert POLICY not in manifest


def test_a_call_travels_to_the_program_and_its_answer_to_the_bucket(machine):
    restore(machine)
    status, result = call(machine, "modify_framework_file", EDIT)
    assert status == 0
    assert json.loads(result.read_text())["rule"] == "approve-all"


def test_a_large_call_is_read_from_the_bucket(machine):
    restore(machine)
    request = machine.buckets / f"artifacts/framework/requests/{RESULT}.json"
    request.parent.mkdir(parents=True)
    request.write_text(json.dumps(EDIT))
    status, result = call(machine, "modify_framework_file", "bucket")
    assert (status, json.loads(result.read_text())["rule"]) == (0, "approve-all")


def test_a_document_serves_its_own_tool_only(machine):
    restore(machine)
    _, result = call(machine, "run_shell_command", EDIT)
    assert json.loads(result.read_text())["rule"] == "document-tool"


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        (EDIT, {"SSM_Result": "../../releases/x"}),
        (EDIT, {"SSM_Result": ""}),
        ("bucket", {}),
        ("not base64!", {}),
    ],
    ids=["a result elsewhere", "no result", "no such request", "no document"],
)
def test_a_call_that_cannot_be_read_fails_and_leaves_no_result(machine, document, variables):
    restore(machine)
    status, result = call(machine, "modify_framework_file", document, **variables)
    assert status != 0
    assert not result.exists()
    assert not (machine.buckets / "artifacts/releases").exists()


def test_a_host_that_is_not_set_up_fails_and_leaves_no_result(machine):
    machine.at("/etc/codec-evolution/host.json").write_text("{}")
    status, result = call(machine, "modify_framework_file", EDIT)
    assert status == 2
    assert not result.exists()


def test_what_arrives_is_never_text_of_a_script(machine):
    """A parameter that would be a command, had any script spliced it."""
    restore(machine)
    witness = machine.root / "witness"
    hostile = EDIT | {"reason": f"$(touch {witness}) `touch {witness}`; touch {witness}"}
    status, _ = call(machine, "modify_framework_file", hostile)
    call(machine, "modify_framework_file", f"$(touch {witness})")
    assert status == 0
    assert not witness.exists()


def test_the_account_of_the_settings_is_one_that_the_script_makes():
    made = (SCRIPTS / "install").read_text()
    assert "useradd --system --no-create-home --shell /sbin/nologin codec-framework" in made


def idle(machine: Machine) -> bool:
    """Let the timer's service run; returns whether it stopped the instance."""
    done = machine.bash(machine.at("/opt/codec-evolution/bin/idle").read_text())
    assert done.returncode == 0, done.stderr
    return "systemctl poweroff" in machine.calls


def test_a_host_without_calls_stops_itself(machine):
    assert "systemctl enable --now codec-evolution-idle.timer" in machine.calls
    assert idle(machine)


def test_a_host_that_was_called_waits_a_quarter_of_an_hour(machine):
    restore(machine)
    call(machine, "modify_framework_file", EDIT)
    called = machine.at("/run/codec-evolution/called")
    assert not idle(machine)
    long_ago = called.stat().st_mtime - 16 * 60
    os.utime(called, (long_ago, long_ago))
    assert idle(machine)


def test_a_host_neither_stops_during_a_call_nor_takes_one_while_it_stops(machine):
    lock = machine.at("/run/codec-evolution/lock")
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert not idle(machine)
        fcntl.flock(held, fcntl.LOCK_EX)
        status, result = call(machine, "modify_framework_file", EDIT)
    assert status == 75
    assert not result.exists()


def test_a_host_does_not_stop_while_it_is_updated(machine):
    (machine.tools / "systemctl").write_text(QUIET + "[[ $1 != show ]] || echo activating\n")
    assert not idle(machine)


def test_a_host_that_always_runs_has_no_timer_that_stops_it_and_is_updated_too(tmp_path):
    calls = installed(tmp_path, "always").calls
    assert "idle.timer" not in calls
    assert "codec-evolution-patch.timer" in calls


def test_a_host_answers_only_after_its_checkout_is_restored():
    unit = (SCRIPTS / "orchestrator.service").read_text()
    assert "Before=amazon-ssm-agent.service" in unit
