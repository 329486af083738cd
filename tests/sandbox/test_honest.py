"""What a codec's author would write passes the language policy unchanged, and runs behind every wall."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from codec_sandbox.faults import CandidateFault
from codec_sandbox.policy import Policy
from codec_sandbox.supervisor import Limits, Supervisor

from tests.sandbox.conftest import SHIPPED, moving_picture

FOLDER = Path(__file__).parent / "honest"
LIBRARY_CALLS = FOLDER / "library_calls.py"
HONEST = sorted(set(FOLDER.glob("*.py")) - {LIBRARY_CALLS})
LIMITS = Limits(call_s=30, cpu_s=60)
FRAMES = moving_picture(frames=3, height=64, width=96)
CONFIG = {"quality": 50, "max_edges": 1000, "width": 96, "height": 64, "fps": 30, "frames": 3}


@pytest.mark.parametrize("path", HONEST + SHIPPED, ids=lambda path: path.stem)
def test_an_honest_codec_is_accepted_and_runs(path: Path, supervisor: Supervisor, policy: Policy):
    source = path.read_bytes()
    assert supervisor.validate(source, policy) == []
    with supervisor.worker("encoder", source, policy, LIMITS) as encoder:
        packets = [encoder.encode(frame, i, CONFIG).data for i, frame in enumerate(FRAMES)]
    with supervisor.worker("decoder", source, policy, LIMITS) as decoder:
        decoded = [
            decoder.decode(packet, i, CONFIG, FRAMES[0].shape).frame for i, packet in enumerate(packets)
        ]
    error = np.mean([(a.astype(float) - b) ** 2 for a, b in zip(FRAMES, decoded, strict=True)])
    assert 10 * np.log10(255**2 / error) > 22
    assert sum(map(len, packets)) < sum(frame.nbytes for frame in FRAMES)


@pytest.mark.parametrize("path", HONEST, ids=lambda path: path.stem)
def test_an_honest_codec_gives_the_same_packets_twice(path: Path, supervisor: Supervisor, policy: Policy):
    runs = []
    for _ in range(2):
        with supervisor.worker("encoder", path.read_bytes(), policy, LIMITS) as encoder:
            runs.append([encoder.encode(frame, i, CONFIG).data for i, frame in enumerate(FRAMES)])
    assert runs[0] == runs[1]


def test_no_call_that_authors_make_is_refused_or_imports_late(supervisor: Supervisor, policy: Policy):
    source = LIBRARY_CALLS.read_bytes()
    assert supervisor.validate(source, policy) == []
    with supervisor.worker_for_call(source, policy, LIMITS) as worker:
        assert worker.call("run_all", FRAMES[0], 0, CONFIG) == "list: []"


def test_every_module_of_the_policy_can_be_imported_in_every_way_that_authors_write(
    supervisor: Supervisor, policy: Policy
):
    names = sorted(policy.modules)
    nested = [name.rpartition(".") for name in names if "." in name]
    lines = [f"import {name} as m{number}" for number, name in enumerate(names)]
    lines += [f"from {parent} import {child} as n{n}" for n, (parent, _, child) in enumerate(nested)]
    lines += [
        f"from {name} import {sorted(members)[0]}" for name, members in policy.modules.items() if members
    ]
    source = "\n".join([*lines, "def answer(frame, frame_index, config):", "    return 'imported'"]).encode()
    assert "torchvision.transforms.functional" in names
    with supervisor.worker_for_call(source, policy, LIMITS) as worker:
        assert worker.call("answer", FRAMES[0], 0, CONFIG) == "str: 'imported'"


def test_the_other_modules_of_a_package_stay_refused_when_code_gets_round_the_validator(
    supervisor: Supervisor, policy: Policy
):
    for line in (
        "from torchvision import utils",
        "from torchvision import transforms, utils",
        "import torchvision",
    ):
        source = f"def answer(frame, frame_index, config):\n    {line}\n".encode()
        with pytest.raises(CandidateFault, match="torchvision"):
            supervisor.worker_for_call(source, policy, LIMITS)
