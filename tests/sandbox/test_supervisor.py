"""The supervisor: its clocks, its checks, its errors, and what is left when a worker is gone."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_sandbox import syscalls
from codec_sandbox.elements import read_bits
from codec_sandbox.policy import Policy
from codec_sandbox.supervisor import CandidateFault, Limits, SandboxUnavailable, Supervisor
from codec_sandbox.worker import COMPILE, ENCODE, LOAD
from codec_sandbox.worker_process import Packet, Worker, is_dead

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


def test_a_source_that_is_loaded_again_is_compiled_once_and_fails_as_before(
    supervisor: Supervisor, policy: Policy, monkeypatch: pytest.MonkeyPatch
):
    operations: list[int] = []
    request = Worker.request

    def noted(self: Worker, operation: int, meta: dict[str, Any], payload: bytes | memoryview) -> Packet:
        operations.append(operation)
        return request(self, operation, meta, payload)

    monkeypatch.setattr(Worker, "request", noted)
    lines = (
        "_sizes = [3]",
        "def compress_video_frame(frame, frame_index, config):",
        "    return bytes(_sizes[1])",
    )
    source = "\n".join(lines).encode()
    faults = [fault_of(supervisor, source, policy) for _ in range(4)]
    assert operations == [LOAD, ENCODE, COMPILE, LOAD, ENCODE, LOAD, ENCODE, LOAD, ENCODE]
    assert {(each.kind, each.message, each.line, each.traceback) for each in faults} == {
        (
            "runtime",
            "IndexError: list index out of range",
            3,
            "line 3, in compress_video_frame: return bytes(_sizes[1])",
        )
    }


def test_a_worker_does_not_hold_torchs_compiler_nor_its_shapes_without_data(supervisor: Supervisor):
    left_out = ("torch._dynamo", "torch._inductor", "torch._decomp", "torch._refs", "torch._meta_")
    lines = (
        "import sys",
        "def held(frame, frame_index, config):",
        f"    found = [m for name, m in sys.modules.items() if name.startswith({left_out})]",
        "    return [m.__name__ for m in found if m.__spec__ is not None]",
    )
    with supervisor.worker_for_call("\n".join(lines).encode(), None, LIMITS) as worker:
        assert worker.call("held", FRAME, 0, CONFIG) == "list: []"


def test_a_source_that_was_loaded_without_a_policy_is_checked_when_there_is_one(
    supervisor: Supervisor, policy: Policy
):
    source = encoder_of("return b'' if os.getpid() else b''")
    for _ in range(3):
        with supervisor.worker("encoder", source, None, LIMITS) as worker:
            assert worker.encode(FRAME, 0, CONFIG).data == b""
    for _ in range(3):
        assert fault_of(supervisor, source, policy).kind == "policy"


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
        (b"x" * (160 * 1024 + 1), "syntax", "163840"),
        (b"# " + random.Random(1).randbytes(41 * 1024).hex().encode(), "syntax", "compressed with lzma"),
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
            b"OMP_NUM_THREADS", b"OPENBLAS_NUM_THREADS", b"MKL_NUM_THREADS", b"PYTHONHASHSEED", b"LC_CTYPE",
            b"OPENBLAS_CORETYPE", b"ATEN_CPU_CAPABILITY", b"ONEDNN_MAX_CPU_ISA", b"MKL_CBWR",
            b"NPY_DISABLE_CPU_FEATURES", b"OPENCV_IPP",
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


@pytest.mark.skipif(syscalls.MACHINE != "x86_64", reason="kernels are pinned on x86_64")
def test_every_library_computes_with_the_kernels_that_all_hosts_have(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
):
    probe = b"""
import numpy as np
import torch
from numpy._core._multiarray_umath import __cpu_features__ as features

def run(frame, frame_index, config):
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal(shape).astype(np.float32) for shape in ((64, 257), (257, 64)))
    soft = torch.softmax(torch.from_numpy(x), -1).numpy()
    return torch.backends.cpu.get_cpu_capability(), features["X86_V4"], hash((x @ y).tobytes() + soft.tobytes())
"""
    said = []
    for setting in ("SkylakeX", "Prescott"):
        monkeypatch.setenv("OPENBLAS_CORETYPE", setting)  # of the machine; a zygote has its own environment
        with Supervisor() as started, started.worker_for_call(probe, None, LIMITS) as worker:
            said.append(worker.call("run", FRAME, 0, CONFIG))
    assert said[0] == said[1]
    assert said[0].startswith("tuple: ('AVX2', False, ")


def test_a_codec_counts_its_bits_in_the_process_that_made_them(supervisor: Supervisor, policy: Policy):
    counting = (
        GOOD
        + b"""

spent = 0
plain = compress_video_frame


def compress_video_frame(frame, frame_index, config):
    global spent
    packet = plain(frame, frame_index, config)
    spent += 8 * len(packet)
    return packet


def bits_report():
    return {"luma": spent}
"""
    )
    with supervisor.worker("encoder", counting, policy, LIMITS) as worker:
        packets = [worker.encode(FRAME, index, CONFIG).data for index in range(2)]
        bits = 8 * sum(map(len, packets))
        assert read_bits(worker.bits().data, bits) == {"luma": bits}
    with supervisor.worker("encoder", GOOD, policy, LIMITS) as worker:
        assert read_bits(worker.bits().data, 0) == {}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("return {'luma': object()}", "runtime"),
        ("while True: pass", "timeout"),
        ("return [1] * 10**6", "return_type"),
    ],
)
def test_a_hostile_count_of_bits_is_the_candidates_fault(supervisor: Supervisor, body: str, kind: str):
    source = GOOD + f"\n\ndef bits_report():\n    {body}\n".encode()
    with (
        pytest.raises(CandidateFault) as raised,
        supervisor.worker("encoder", source, None, LIMITS) as worker,
    ):
        read_bits(worker.bits().data, 100)
    assert raised.value.kind == kind


def test_a_coding_line_is_refused_in_a_worker_too(supervisor: Supervisor, policy: Policy):
    for name in ("utf-7", "cp037", "nothing"):
        (found,) = supervisor.validate(f"# coding: {name}\n".encode() + GOOD, policy)
        assert (found.line, found.column, found.construct) == (1, 11, "source")
