"""Trainers behind the walls: an honest one pays, a hostile one ends with a sentence and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from codec_sandbox.clips import ClipSet
from codec_sandbox.limits import Limits
from codec_sandbox.policy import Policy
from codec_sandbox.references import References
from codec_sandbox.report import build
from codec_sandbox.request import Request
from codec_sandbox.stages import Benchmark
from codec_sandbox.supervisor import Supervisor
from codec_sandbox.trained_source import MARK, with_edits

from tests.unit.sandbox.test_clips import enter_clip

FOLDER = Path(__file__).parent
CODEC = (FOLDER / "honest" / "trained_network.py").read_bytes()
TRAINER = (FOLDER / "trainers" / "network.py").read_bytes()
SEED = "contest"


def texture(first: int) -> np.ndarray:
    """Three frames of waves that a half-size picture hardly shows, (3, 64, 96, 3) uint8."""
    y, x = np.mgrid[0:64, 0:96]
    planes = [
        [
            128 + 50 * np.sin((x + 2 * at) / 3.1 + c + y / 9) + 40 * np.cos((y - at) / 2.7 + x / 11)
            for c in range(3)
        ]
        for at in range(first, first + 3)
    ]
    return np.stack(planes).transpose(0, 2, 3, 1).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    """Two training clips and a held-out one."""
    directory = tmp_path_factory.mktemp("clips")
    for number, (name, role) in enumerate((("one", "train"), ("two", "train"), ("three", "held_out"))):
        enter_clip(directory, name, role, [texture(30 * number + 3 * at) for at in range(8)])
    return ClipSet(directory)


def run(
    supervisor: Supervisor,
    clips: ClipSet,
    trainer: bytes,
    policy: Policy | None,
    *,
    source: bytes = CODEC,
    stages: tuple[str, ...] = ("train",),
    cpu_s: float = 60.0,
    memory_mb: int = 2048,
) -> dict:
    limits = Limits(call_s=30, cpu_s=cpu_s, memory_mb=memory_mb)
    request = Request("a", source, policy, stages, "train", SEED, limits, cpu_s, trainer=trainer)
    benchmark = Benchmark(supervisor, clips, References(clips.directory), cores=1)
    return build(benchmark, request, benchmark.run(request))


def test_a_small_network_is_trained_alike_twice_and_saves_rate(
    supervisor: Supervisor, clips: ClipSet, policy: Policy
):
    plain = run(supervisor, clips, b"", policy, stages=("probe",))
    stages = ("validate", "train", "probe")
    reports = [run(supervisor, clips, TRAINER, policy, stages=stages) for _ in range(2)]
    first, second = (report["trained"] for report in reports)
    assert reports[0]["outcome"] == "passed", reports[0]["failure"]
    assert (first["edits"], first["source_sha256"]) == (second["edits"], second["source_sha256"])
    assert first["arrays"]["WEIGHTS"]["shape"] == [9 * 8 + 8 * 4]
    rates = [sum(point["bytes"] for point in report["points"]) for report in (plain, reports[0])]
    assert rates[1] < 0.85 * rates[0]
    source = with_edits(CODEC, [tuple(each) for each in first["edits"]])
    assert f"\n{MARK}one/" in source.decode()
    assert supervisor.validate(source, policy) == []


HOSTILE = {
    "an endless loop": (
        "def train(videos, config):\n    while True: pass",
        "budget",
        "train on fewer frames",
    ),
    "huge arrays": (
        "def train(videos, config):\n    return {'WEIGHTS': np.zeros(1 << 20, np.int8)}",
        "output_size",
        "256 KB are allowed",
    ),
    "too much for a reply": (
        "def train(videos, config):\n    return {'WEIGHTS': np.zeros(1 << 25, np.int8)}",
        "output_size",
        "do not fit the reply",
    ),
    "too much text": (
        "def train(videos, config):\n    draw = np.random.default_rng(1)\n"
        "    return {'WEIGHTS': draw.integers(-128, 128, 30000).astype(np.int8)}",
        "output_size",
        "KB fit: return fewer numbers",
    ),
    "a training that diverged": (
        "def train(videos, config):\n    return {'WEIGHTS': np.full(4, np.nan, np.float32)}",
        "return_type",
        "the training diverged",
    ),
    "an array of objects": (
        "def train(videos, config):\n    return {'WEIGHTS': np.array([videos], dtype=object)}",
        "return_type",
        "WEIGHTS is object; use one of int8",
    ),
    "double precision": (
        "def train(videos, config):\n    return {'WEIGHTS': np.zeros(4)}",
        "return_type",
        "WEIGHTS is float64",
    ),
    "a tensor": (
        "import torch\ndef train(videos, config):\n    return {'WEIGHTS': torch.zeros(4)}",
        "return_type",
        "WEIGHTS is a Tensor",
    ),
    "no array": ("def train(videos, config):\n    return [1]", "return_type", "must return a dict"),
    "a renamed function": (
        "def fit(videos, config):\n    return {}",
        "signature",
        "no function train(videos, config)",
    ),
    "a function of one argument": ("def train(videos):\n    return {}", "runtime", "TypeError"),
    "an unknown constant": (
        "def train(videos, config):\n    return {'WEIGTHS': np.zeros(4, np.int8)}",
        "return_type",
        'no line WEIGTHS = "..."',
    ),
    "a constant that is a number": (
        "def train(videos, config):\n    return {'HIDDEN': np.zeros(4, np.int8)}",
        "return_type",
        'no line HIDDEN = "..."',
    ),
    "a late import": ("def train(videos, config):\n    import http.client", "policy", "http"),
    "memory without end": (
        "def train(videos, config):\n    return {'WEIGHTS': np.ones(1 << 34, np.int8)}",
        "memory",
        "MemoryError",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_trainer_ends_with_its_kind_and_what_to_do(
    supervisor: Supervisor, clips: ClipSet, policy: Policy, name: str
):
    text, kind, part = HOSTILE[name]
    report = run(supervisor, clips, text.encode(), policy, cpu_s=2.0 if kind == "budget" else 60.0)
    failure = report["failure"]
    assert (failure["stage"], failure["kind"]) == ("train", kind), failure
    assert part in failure["message"], failure
    assert "trained" not in report


def test_a_fault_names_the_trainers_own_line_and_no_samples(
    supervisor: Supervisor, clips: ClipSet, policy: Policy
):
    trainer = b"# a trainer\ndef train(videos, config):\n    raise ValueError(videos[0][0].reshape(-1)[:99].tolist())\n"
    failure = run(supervisor, clips, trainer, policy)["failure"]
    assert failure["line"] == 3
    assert failure["message"].startswith("in line 3 of the trainer: ValueError: [")
    assert failure["message"].count("#") > 20
    assert failure["traceback"].startswith("trainer line 3, in train: raise ValueError(")


def test_a_trainer_keeps_nothing_for_later_stages(supervisor: Supervisor, clips: ClipSet, policy: Policy):
    """It replaces the codec's functions and remembers the frames, in a process that ends with the stage."""
    trainer = (
        b"SEEN = []\n_encode = compress_video_frame\n"
        b"def compress_video_frame(frame, frame_index, config):\n    return bytes(len(SEEN))\n"
        b"def train(videos, config):\n    SEEN.extend(videos)\n    halved.seen = videos\n"
        b"    return {'WEIGHTS': np.zeros(104, np.int8)}\n"
    )
    stages = ("validate", "train", "probe")
    neutral = run(supervisor, clips, b"def train(videos, config):\n    return {'WEIGHTS': np.zeros(104, np.int8)}",
                  policy, stages=stages)  # fmt: skip
    kept = run(supervisor, clips, trainer, policy, stages=stages)
    assert kept["outcome"] == "passed", kept["failure"]
    assert [point["bytes"] for point in kept["points"]] == [point["bytes"] for point in neutral["points"]]


def test_a_trainer_may_watch_and_call_the_codec_and_its_limits_are_its_own(
    supervisor: Supervisor, clips: ClipSet, policy: Policy
):
    trainer = (
        b"_plain = enlarged\nCALLS = []\n"
        b"def enlarged(small):\n    CALLS.append(small.shape)\n    return _plain(small)\n"
        b"def train(videos, config):\n"
        b"    frames, fps = videos[0]\n"
        b"    compress_video_frame(frames[0], 0, {'quality': 50})\n"
        b"    return {'WEIGHTS': np.full(104, len(CALLS), np.int8)}\n"
    ) + b"# " + b"x" * 30000  # fmt: skip
    longest = CODEC + b"\n".join(b"# %d" % (n * 7919) for n in range(15000))
    report = run(supervisor, clips, trainer, policy, source=longest[: 160 * 1024 - 200])
    assert report["outcome"] == "passed", report["failure"]


def test_constants_that_make_a_source_too_large_are_refused_before_it_is_measured(
    supervisor: Supervisor, clips: ClipSet, policy: Policy
):
    full = CODEC + b"#" * (160 * 1024 - len(CODEC) - 10)
    trainer = b"def train(videos, config):\n    return {'WEIGHTS': np.arange(104).astype(np.int8)}"
    failure = run(supervisor, clips, trainer, policy, source=full, stages=("train", "probe"))["failure"]
    assert (failure["stage"], failure["kind"]) == ("train", "output_size")
    assert failure["message"].startswith("with the trained constants, the source has")
