"""The supervisor: its clocks, its checks, its errors, and what is left when a worker is gone."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from codec_sandbox import diagnose, doctor, layers, simulated_lambda, sweep, syscalls
from codec_sandbox.policy import Policy
from codec_sandbox.supervisor import CandidateFault, Limits, SandboxUnavailable, Supervisor
from codec_sandbox.tampering import ProcessState
from codec_sandbox.walls import LAYERS
from codec_sandbox.worker_process import is_dead

FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
FRAME = np.arange(32 * 48 * 3, dtype=np.uint32).astype(np.uint8).reshape(32, 48, 3)
CONFIG = {"quality": 50, "width": 48, "height": 32}
LIMITS = Limits(call_s=3, cpu_s=10, memory_mb=1400, max_packet_bytes=1 << 20, max_frame_bytes=1 << 20)
GOOD = b"""
import numpy as np
import zlib

previous = None


def compress_video_frame(frame, frame_index, config):
    global previous
    delta = frame if previous is None or frame_index == 0 else frame - previous
    previous = frame
    return zlib.compress(delta.tobytes())


def decompress_video_frame(data, frame_index, config):
    global previous
    delta = np.frombuffer(zlib.decompress(data), np.uint8).reshape(config["height"], config["width"], 3)
    previous = delta if previous is None or frame_index == 0 else previous + delta
    return previous
"""


def encoder_of(body: str) -> bytes:
    head = "import os, time\nimport numpy as np\n\ndef compress_video_frame(frame, frame_index, config):"
    return f"{head}\n    {body}\n".encode()


def fault_of(
    supervisor: Supervisor, source: bytes, policy: Policy | None = None, limits: Limits = LIMITS
) -> CandidateFault:
    with (
        pytest.raises(CandidateFault) as raised,
        supervisor.worker("encoder", source, policy, limits) as worker,
    ):
        worker.encode(FRAME, 0, CONFIG)
    return raised.value


def round_trip(supervisor: Supervisor, policy: Policy | None = None) -> bool:
    frames = [FRAME, FRAME[::-1].copy(), FRAME]
    with supervisor.worker("encoder", GOOD, policy, LIMITS) as encoder:
        packets = [encoder.encode(frame, i, CONFIG).data for i, frame in enumerate(frames)]
    with supervisor.worker("decoder", GOOD, policy, LIMITS) as decoder:
        decoded = [decoder.decode(p, i, CONFIG, FRAME.shape).frame for i, p in enumerate(packets)]
    return all((a == b).all() for a, b in zip(frames, decoded, strict=True))


# -- what a good candidate gets


def test_state_of_the_module_lives_as_long_as_the_worker(supervisor: Supervisor, policy: Policy):
    assert round_trip(supervisor, policy)


def test_time_is_measured_by_the_supervisor_and_not_told_by_the_worker(supervisor: Supervisor):
    busy = encoder_of(
        "end = time.process_time() + 0.3\n    while time.process_time() < end: pass\n    return b'x'"
    )
    idle = encoder_of("time.sleep(0.3)\n    return b'x'")
    with supervisor.worker("encoder", busy, None, LIMITS) as worker:
        packet = worker.encode(FRAME, 0, CONFIG)
    assert 0.28 < packet.cpu_s < 0.6
    with supervisor.worker("encoder", idle, None, LIMITS) as worker:
        packet = worker.encode(FRAME, 0, CONFIG)
    assert packet.wall_s >= 0.3
    assert packet.cpu_s < 0.15


def test_what_a_candidate_computes_while_it_is_loaded_is_metered(supervisor: Supervisor):
    busy = b"import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n" + GOOD
    with supervisor.worker("encoder", busy, None, LIMITS) as worker:
        assert 0.28 < worker.load_cpu_s < 0.6
        assert worker.encode(FRAME, 0, CONFIG).cpu_s < 0.15
    with supervisor.worker("decoder", GOOD, None, LIMITS) as worker:
        assert worker.load_cpu_s < 0.15


def test_two_workers_may_be_used_from_two_threads(supervisor: Supervisor, policy: Policy):
    right: list[bool] = []
    threads = [
        threading.Thread(target=lambda: right.append(round_trip(supervisor, policy))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert right == [True] * 4


def test_a_frame_given_to_a_candidate_is_its_own_copy(supervisor: Supervisor):
    source = encoder_of("frame[:] = 0\n    return b'x'")
    before = FRAME.copy()
    with supervisor.worker("encoder", source, None, LIMITS) as worker:
        worker.encode(FRAME, 0, CONFIG)
    assert (before == FRAME).all()


# -- what a bad candidate gets


@pytest.mark.parametrize(
    ("body", "kind", "part"),
    [
        ("return bytearray(3)", "return_type", "must return bytes, not bytearray"),
        ("return None", "return_type", "NoneType"),
        ("return bytes(1 << 20) + b'x'", "output_size", "at most 1048576"),
        ("return {}['missing']", "runtime", "KeyError: 'missing'"),
        ("time.sleep(60)", "timeout", "no answer within 3 s"),
        ("os._exit(7)", "crash", "exit status 7"),
        ("os.abort()", "crash", "SIGABRT"),
        ("return bytes(1 << 33)", "memory", "MemoryError"),
        ("import xml.dom.minidom", "import", "xml cannot be imported"),
        ("return open('/etc/passwd', 'rb').read()", "runtime", "has no files"),
        ("raise SystemExit", "runtime", "SystemExit"),
    ],
)
def test_a_fault_has_a_kind_and_a_message(supervisor: Supervisor, body: str, kind: str, part: str):
    fault = fault_of(supervisor, encoder_of(body))
    assert fault.kind == kind
    assert part in fault.message


def test_a_fault_names_line_function_and_the_candidates_own_lines_only(supervisor: Supervisor):
    source = (
        b"import numpy as np\ndef inner(x):\n    return np.linalg.inv(x)\n"
        b"def compress_video_frame(f, i, c):\n    return inner(np.zeros((2, 2)))\n"
    )
    fault = fault_of(supervisor, source)
    assert (fault.kind, fault.line, fault.function) == ("runtime", 3, "inner")
    assert "LinAlgError: Singular matrix" in fault.message
    assert fault.traceback.splitlines() == [
        "line 5, in compress_video_frame: return inner(np.zeros((2, 2)))",
        "line 3, in inner: return np.linalg.inv(x)",
    ]


@pytest.mark.parametrize(
    ("body", "kind", "part"),
    [
        ("return np.zeros((32, 48, 3))", "return_type", "dtype uint8, not float64"),
        ("return np.zeros((48, 32, 3), np.uint8)", "frame_shape", "expected (32, 48, 3)"),
        ("return [[0]]", "return_type", "numpy.ndarray, not list"),
        ("return np.ma.zeros((32, 48, 3), np.uint8)", "return_type", "MaskedArray"),
    ],
)
def test_a_decoded_frame_must_have_exact_shape_and_type(
    supervisor: Supervisor, body: str, kind: str, part: str
):
    source = (
        f"import numpy as np\ndef decompress_video_frame(data, frame_index, config):\n    {body}\n".encode()
    )
    with (
        pytest.raises(CandidateFault) as raised,
        supervisor.worker("decoder", source, None, LIMITS) as worker,
    ):
        worker.decode(b"x", 0, CONFIG, FRAME.shape)
    assert raised.value.kind == kind
    assert part in raised.value.message


@pytest.mark.parametrize(
    ("source", "kind", "part"),
    [
        (b"x" * (100 * 1024 + 1), "syntax", "102400"),
        (b"\xff", "syntax", "not UTF-8"),
        (b"a\0b", "syntax", "null byte"),
        (b"def f(:", "syntax", "invalid syntax"),
        (b"-" * 60_000 + b"1", "syntax", "nested too deeply"),
        (b"1 / 0", "runtime", "ZeroDivisionError"),
        (b"import not_there", "import", "not_there"),
        (b"x = 1", "signature", "defines no function compress_video_frame"),
        (b"def compress_video_frame(a): pass", "signature", "three positional arguments"),
        (b"while True: pass", "timeout", "no answer"),
    ],
)
def test_source_that_cannot_be_loaded_says_why(supervisor: Supervisor, source: bytes, kind: str, part: str):
    fault = fault_of(supervisor, source)
    assert fault.kind == kind
    assert part in fault.message


def test_a_breach_of_policy_carries_every_violation(supervisor: Supervisor, policy: Policy):
    fault = fault_of(
        supervisor, b"import os\nimport socket\ndef compress_video_frame(f, i, c): return eval('b')\n", policy
    )
    assert fault.kind == "policy"
    assert [v.construct for v in fault.violations] == ["import os", "import socket", "eval"]


def test_the_policys_builtins_hold_at_run_time_too(supervisor: Supervisor, policy: Policy):
    shadowed = b"def f(open): return open\ndef compress_video_frame(f, i, c): return open('/etc/passwd')\n"
    fault = fault_of(supervisor, shadowed, policy)
    assert (fault.kind, fault.line) == ("runtime", 2)
    assert "NameError: name 'open' is not defined" in fault.message


def test_cpu_time_has_a_limit_of_its_own_over_the_life_of_a_worker(supervisor: Supervisor):
    source = encoder_of(
        "end = time.process_time() + 0.4\n    while time.process_time() < end: pass\n    return b'x'"
    )
    with pytest.raises(CandidateFault) as raised:
        with supervisor.worker("encoder", source, None, Limits(call_s=5, cpu_s=1)) as worker:
            for index in range(10):
                worker.encode(FRAME, index, CONFIG)
    assert raised.value.kind == "budget"
    assert 1 <= index <= 3


def test_a_dead_worker_answers_no_further_call(supervisor: Supervisor):
    with supervisor.worker("encoder", encoder_of("os._exit(0)"), None, LIMITS) as worker:
        for _ in range(2):
            with pytest.raises(CandidateFault) as raised:
                worker.encode(FRAME, 0, CONFIG)
            assert raised.value.kind == "crash"


def test_limits_must_be_positive_numbers():
    with pytest.raises(ValueError, match=r"limits\.cpu_s must be a positive number, got 0"):
        Limits(cpu_s=0)


# -- what is left


@pytest.mark.parametrize("body", ["return b'x'", "time.sleep(60)", "os._exit(1)"])
def test_no_process_outlives_its_run(supervisor: Supervisor, body: str):
    pid = 0
    with pytest.raises(CandidateFault) if "return" not in body else pytest.MonkeyPatch.context():
        with supervisor.worker("encoder", encoder_of(body), None, Limits(call_s=0.5, cpu_s=5)) as worker:
            pid = worker.pid
            assert not is_dead(pid)
            worker.encode(FRAME, 0, CONFIG)
    assert pid > 0
    assert is_dead(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_owns_no_descriptor_no_secret_and_shares_only_its_channel(supervisor: Supervisor):
    with supervisor.worker("encoder", GOOD, None, LIMITS) as worker:
        proc = Path(f"/proc/{worker.pid}")
        assert list((proc / "fd").iterdir()) == []
        assert len(list((proc / "task").iterdir())) == 1
        environment = (proc / "environ").read_bytes().split(b"\0")
        assert {line.split(b"=")[0] for line in environment if line} <= {
            b"OMP_NUM_THREADS", b"OPENBLAS_NUM_THREADS", b"MKL_NUM_THREADS", b"PYTHONHASHSEED", b"LC_CTYPE"
        }  # fmt: skip
        shared = [row for row in (proc / "maps").read_text().splitlines() if row.split()[1] == "rw-s"]
        assert len(shared) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_die_with_a_killed_supervisor(tmp_path: Path):
    script = tmp_path / "owner.py"
    script.write_text(
        "import sys, time\nfrom codec_sandbox.supervisor import Supervisor, Limits\n"
        "s = Supervisor()\nw = s.worker('encoder', b'def compress_video_frame(a, b, c): pass', None, Limits())\n"
        "print(w.pid, s.zygote_pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as owner:
        pids = [int(word) for word in owner.stdout.readline().split()]
        assert not any(map(is_dead, pids))
        owner.send_signal(signal.SIGKILL)
    end = time.monotonic() + 10
    while not all(map(is_dead, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    assert all(map(is_dead, pids))


def test_a_worker_that_ended_unasked_costs_neither_the_zygote_nor_the_next(supervisor: Supervisor):
    zygote = supervisor.zygote_pid
    with supervisor.worker("encoder", GOOD, None, LIMITS) as worker:
        worker.encode(FRAME, 0, CONFIG)
        os.kill(worker.pid, signal.SIGKILL)
        time.sleep(0.1)
    assert round_trip(supervisor)
    assert supervisor.zygote_pid == zygote


def test_a_dead_zygote_is_replaced(policy: Policy):
    with Supervisor() as supervisor:
        first = supervisor.zygote_pid
        os.kill(first, signal.SIGKILL)
        ends = time.monotonic() + 10
        while not is_dead(first) and time.monotonic() < ends:
            time.sleep(0.01)
        assert round_trip(supervisor, policy)
        assert supervisor.zygote_pid != first


def test_a_stopped_zygote_does_not_hang_the_supervisor(policy: Policy):
    with Supervisor() as supervisor:
        worker = supervisor.worker("encoder", GOOD, policy, LIMITS)
        os.kill(supervisor.zygote_pid, signal.SIGSTOP)
        worker.kill()
        assert is_dead(worker.pid)
        assert round_trip(supervisor, policy)


def test_a_zygote_that_dies_during_a_call_is_our_fault_and_leaves_no_orphan():
    with Supervisor() as supervisor:
        worker = supervisor.worker("encoder", encoder_of("time.sleep(60)"), None, LIMITS)
        threading.Timer(0.3, os.kill, (supervisor.zygote_pid, signal.SIGKILL)).start()
        with pytest.raises(SandboxUnavailable, match="zygote died"):
            worker.encode(FRAME, 0, CONFIG)
        assert is_dead(worker.pid)


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
        (lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 3), "priority"),
        (lambda pid: os.sched_setaffinity(pid, {min(os.sched_getaffinity(0))}), "processors"),
        (lambda pid: resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, FILES)), "RLIMIT_NOFILE"),
    ],
)
def test_what_was_changed_of_another_process_is_seen_and_put_back(change, name: str):
    if os.geteuid() != 0:
        pytest.skip("not run: not root")
    with subprocess.Popen(["sleep", "60"]) as other:
        before = ProcessState.of(other.pid)
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


# -- health of the loop

HOSTILE = ["os._exit(0)", "while True: pass", "return bytes(1 << 34)", "import ctypes; ctypes.string_at(0)"]


def test_a_hostile_candidate_costs_only_itself(supervisor: Supervisor):
    kinds, right = [], []
    for turn in range(12):
        if turn % 3 == 2:
            limits = Limits(call_s=1, cpu_s=10, memory_mb=1400)
            kinds.append(fault_of(supervisor, encoder_of(HOSTILE[turn // 3]), limits=limits).kind)
        else:
            right.append(round_trip(supervisor))
    assert kinds == ["crash", "timeout", "memory", "crash"]
    assert right == [True] * 8


def test_a_candidate_gets_the_same_order_and_random_numbers_in_every_environment(supervisor: Supervisor):
    source = b"""
import random
import numpy as np
import torch
def compress_video_frame(frame, frame_index, config):
    names = [name for name in {"a", "b", "c", "d", "e", "f"}]
    return repr((names, random.random(), float(np.random.rand()), float(torch.rand(1)))).encode()
"""
    with Supervisor() as another:
        packets = set()
        for owner in (supervisor, another, another):
            with owner.worker("encoder", source, None, LIMITS) as worker:
                packets.add(worker.encode(FRAME, 0, CONFIG).data)
    assert len(packets) == 1


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
    if os.geteuid() != 0 or (reason := simulated_lambda.why_not()):
        pytest.skip(f"not run: {'not root' if os.geteuid() else reason}")
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o755)
    python = directory / "python"
    shutil.copy(simulated_lambda.interpreter().resolve(), python)
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
