"""The walls: which layers are required and in force, what is restored after a worker, and what diagnosis reports."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from codec_sandbox import diagnose, doctor, layers, simulated_lambda, sweep, syscalls
from codec_sandbox.supervisor import SandboxUnavailable, Supervisor
from codec_sandbox.tampering import ProcessState
from codec_sandbox.walls import LAYERS

FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


# -- layers


def test_every_layer_has_a_report(supervisor: Supervisor):
    assert set(supervisor.layers) == set(LAYERS)
    assert all(supervisor.layers[layer] == "ok" for layer in supervisor.minimum)


def test_below_the_minimum_it_refuses_to_run_and_names_the_layer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        layers, "judged", lambda report, probes: {**report, "fdless": "RLIMIT_NOFILE not settable"}
    )
    with pytest.raises(SandboxUnavailable, match=r"fdless \(RLIMIT_NOFILE not settable\)"):
        Supervisor()


def test_a_layer_whose_probe_was_not_refused_does_not_count():
    refused = {name: "EPERM" for names in layers._EVIDENCE.values() for name in names}
    report = dict.fromkeys(LAYERS, "ok")
    assert layers.judged(report, refused) == report
    judged = layers.judged(report, {**refused, "open_socket": "succeeded"})
    assert judged["fdless"] == "self-test: open_socket not refused"


def test_the_configured_minimum_must_name_layers_that_exist(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(layers.MINIMUM_VARIABLE, "fdless, moat")
    with pytest.raises(SandboxUnavailable, match="unknown layers in the sandbox's minimum: moat"):
        Supervisor()


def test_without_a_writable_directory_it_refuses_to_start_and_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(SandboxUnavailable, match=r"no place for a temporary file.*/nowhere"):
        Supervisor()


def test_lambda_requires_what_needs_no_kernel_feature(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "benchmark")
    assert layers.configured_minimum() == ("separate_process", "empty_env", "rlimits", "nproc", "fdless")


def test_an_interpreter_that_may_only_be_executed_makes_up_for_a_refused_prctl(tmp_path_factory):
    reason = simulated_lambda.why_not() if os.geteuid() == 0 else "not root"
    interpreter = simulated_lambda.interpreter()
    if reason or interpreter is None:
        pytest.skip(f"not run: {reason}")
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o755)
    python = directory / "python"
    shutil.copy(interpreter.resolve(), python)
    python.chmod(0o711)
    program = "from codec_sandbox.supervisor import Supervisor\nwith Supervisor() as s: print(s.layers['non_dumpable'])"
    command = simulated_lambda.command(["-c", program])
    command[3] = str(python)
    paths = [str(Path(doctor.__file__).parents[1]), str(Path(np.__file__).parents[1])]
    environment = {
        "PYTHONPATH": os.pathsep.join(paths),
        "AWS_LAMBDA_FUNCTION_NAME": "x",
        "PYTHONHOME": "/usr",
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False, cwd="/"
    )
    shutil.rmtree(directory)
    assert done.stdout.strip() == "ok", done.stderr


def test_doctor_tells_what_is_in_force_and_whether_that_is_enough():
    report = doctor.report()
    assert report["fit"] is True
    assert report["missing"] == {}
    assert report["layers"]["fdless"] == "ok"
    assert report["probes"]["open_file"] == "EMFILE"


# -- one function, for diagnosis


@pytest.mark.parametrize("mode", ["full", "lambda"])
@pytest.mark.parametrize(
    ("body", "outcome", "part"),
    [
        ("return frame.shape", "returned", "tuple: (64, 64, 3)"),
        ("return 1 / 0", "raised", "ZeroDivisionError"),
        ("import os; os._exit(3)", "killed", "exit status 3"),
    ],
)
def test_one_function_can_be_run_for_diagnosis(mode, body: str, outcome: str, part: str):
    if mode == "lambda" and (reason := simulated_lambda.why_not()):
        pytest.skip(f"not run: {reason}")
    found = diagnose.run(
        f"def probe(frame, frame_index, config):\n    {body}\n".encode(), "probe", None, mode
    )
    assert found["outcome"] == outcome
    assert part in found["detail"]
    assert (found["layers"]["seccomp"] == "ok") == (mode == "full")


def test_diagnosis_under_the_policy_refuses_what_the_policy_refuses(policy_text: str):
    found = diagnose.run(b"import os\ndef probe(f, i, c): pass\n", "probe", policy_text)
    assert (found["outcome"], found["kind"], found["line"]) == ("refused", "policy", 1)


# -- the sweep


@pytest.mark.parametrize(
    ("platform", "in_force", "left"),
    [
        ("lambda", {"fdless"}, set()),
        ("lambda", {"fdless", "seccomp"}, {"new"}),
        ("linux", {"fdless"}, {"new"}),
    ],
)
def test_names_are_swept_only_in_lambda_and_only_where_a_worker_could_make_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, in_force: set[str], left: set[str]
):
    monkeypatch.setattr(sweep, "_WRITABLE", (str(tmp_path),))
    monkeypatch.setattr(sweep, "_IDENTIFIER", {})
    monkeypatch.setattr(layers, "platform", lambda: platform)
    (tmp_path / "old").touch()
    swept = sweep.Sweep(None)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "inside").touch()
    swept.run(in_force)
    assert {entry.name for entry in tmp_path.iterdir()} == left | {"old"}


def test_what_a_worker_writes_on_a_directory_itself_is_swept_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(sweep, "_WRITABLE", (str(tmp_path),))
    monkeypatch.setattr(sweep, "_IDENTIFIER", {})
    monkeypatch.setattr(layers, "platform", lambda: "lambda")
    mode = tmp_path.stat().st_mode
    swept = sweep.Sweep(None)
    tmp_path.chmod(0o711)
    os.utime(tmp_path, (1_000_000_000, 1_000_000_000))
    try:
        os.setxattr(tmp_path, b"user.picture", b"x" * 100)
    except OSError:
        pytest.skip("not run: this file system has no extended attributes")
    swept.run({"fdless"})
    assert tmp_path.stat().st_mode == mode
    assert tmp_path.stat().st_mtime > 1_700_000_000
    assert os.listxattr(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other processes are changed on Linux only")
@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda pid: os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0)), "scheduling"),
        (lambda pid: syscalls.call("ioprio_set", 1, pid, 2 << 13 | 6), "io_priority"),
        (
            lambda pid: os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid) + 1),
            "priority",
        ),
        (lambda pid: os.sched_setaffinity(pid, {min(os.sched_getaffinity(0))}), "processors"),
        (lambda pid: resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, FILES)), "RLIMIT_NOFILE"),
    ],
)
def test_what_was_changed_of_another_process_is_seen_and_put_back(change, name: str):
    if os.geteuid() != 0:
        pytest.skip("not run: not root")
    with subprocess.Popen(["sleep", "60"]) as other:
        before = ProcessState.of(other.pid)
        assert before is not None
        assert before.differences() == []
        change(other.pid)
        assert name in before.differences()
        assert before.restore() == []
        other.kill()


def test_throwaway_users_are_nobody_and_never_the_same_twice_in_a_row():
    uids = sweep.throwaway_uids()
    first = [next(uids) for _ in range(100)]
    assert len(set(first)) == 100
    assert min(first) >= 61_184
