"""The grammar's own trainer: what it learns from the frames of the codec that it stands behind."""

import numpy as np
import pytest
from codec_evolution.contracts import MAX_ROUNDS
from codec_evolution.planner_specs import SEARCH_TRIALS
from codec_evolution.planners.grammar.writer import write_codec, write_trainer
from codec_evolution.planners.parts import strongest
from codec_sandbox.policy import Policy, ceiling_text
from codec_sandbox.trained_arrays import packed_text
from codec_sandbox.trained_source import edits, with_edits
from codec_sandbox.validator import check

from tests.sandbox.conftest import POLICY_PATH
from tests.unit.planners.codec_runs import encode, load, moving_frames

GENOME = strongest()
TRAINER = write_trainer(GENOME)
NEUTRAL = write_codec(
    GENOME, weights=packed_text(bytes(4 * 36 * 25)), chroma_weights=packed_text(bytes(4 * 2 * 6 * 21))
)


def learn(source: str) -> dict[str, np.ndarray]:
    videos = [(np.stack(moving_frames(3, 48, 64, seed)), 25.0) for seed in (2, 3)]
    return load(f"{source}\n{TRAINER}")["train"](videos, {"seed": 1, "max_edges": 0})


@pytest.fixture(scope="module")
def learnt() -> dict[str, np.ndarray]:
    return learn(NEUTRAL)


def test_it_passes_the_language_policy_behind_the_largest_codec():
    policy = Policy.from_toml(POLICY_PATH.read_text("utf-8"), ceiling_text())
    source = f"{write_codec(GENOME)}\n{TRAINER}".encode()
    assert check(source, policy, spare=len(TRAINER) + 1)[1] == []


@pytest.mark.slow
def test_it_returns_the_weights_of_both_filters_and_the_same_ones_twice(learnt):
    assert {name: (array.dtype.name, array.shape) for name, array in learnt.items()} == {
        "FILTER": ("int8", (4, 36, 25)),
        "CHROMA_FILTER": ("int8", (4, 2, 6, 21)),
    }
    assert all(array.any() for array in learnt.values())
    again = learn(NEUTRAL)
    assert all((again[name] == learnt[name]).all() for name in learnt)


@pytest.mark.slow
def test_its_weights_stand_in_the_source_and_bring_the_decoded_frames_nearer(learnt):
    texts = {name: packed_text(array.tobytes()) for name, array in learnt.items()}
    trained = with_edits(NEUTRAL.encode(), edits(NEUTRAL.encode(), texts, "test.")).decode()
    frames = moving_frames(3, 48, 64, seed=2)
    errors, sizes = [], []
    for source in (NEUTRAL, trained):
        packets, _ = encode(source, frames, 15)
        decoder = load(source)
        config = {"quality": 15, "max_edges": 0, "width": 64, "height": 48, "fps": 25.0, "frames": 3}
        decoded = [decoder["decompress_video_frame"](p, n, dict(config)) for n, p in enumerate(packets)]
        errors.append(np.mean([(a.astype(float) - b) ** 2 for a, b in zip(frames, decoded, strict=True)]))
        sizes.append(sum(map(len, packets)))
    assert errors[1] < errors[0] and sizes[1] < 1.02 * sizes[0]


def test_trials_and_training_leave_the_last_round_for_the_proposal():
    assert max(SEARCH_TRIALS.values()) + 1 <= MAX_ROUNDS
