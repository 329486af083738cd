"""The comparison with peers: its candidates do what they are for, and its table says where a peer is faster."""

from __future__ import annotations

import pytest

from tests.bench.peers import candidates
from tests.bench.peers.__main__ import faster, markdown
from tests.bench.peers.evaluator import evaluate
from tests.bench.peers.systems import OpenEvolve, Ours, Shinka


def costs(a_minute: int) -> dict[str, float]:
    return {"cpu_ms": 10.0, "wall_ms": 10.0, "a_minute": a_minute, "start_cpu_s": 1.0, "measured_right": 24}


def system(a_minute: int, good: int, held: bool) -> dict[str, dict]:
    """Return the figures of a system with this speed, which keeps so many good candidates."""
    return {
        "overhead": {"1": costs(a_minute), "2": costs(2 * a_minute)},
        "robustness": {fault: {"good_measured_right": good, "of": 11} for fault in candidates.FAULTS},
        "attacks": dict.fromkeys(candidates.attacks("secret", 1, "out"), not held),
    }


SYSTEMS = {
    Ours.name: system(100, 11, True),
    OpenEvolve.name: system(300, 0, False),
    Shinka.name: system(50, 11, False),
}


def test_a_peer_that_is_faster_is_named_with_its_factor():
    said = faster(SYSTEMS)
    assert f"{OpenEvolve.name} is 3.0 times as fast with 1 worker;" in said
    assert Shinka.name not in said


def test_the_table_has_a_row_for_each_fault_and_each_attack():
    table = markdown({"systems": SYSTEMS})
    for row in (
        "| candidates a minute, 2 workers | 200 | 600 | 100 |",
        "| good ones measured beside one with endless loop | 11 of 11 | 0 of 11 | 11 of 11 |",
        "| forge the score | held | succeeds | succeeds |",
    ):
        assert row in table


@pytest.mark.parametrize(("value", "score"), [(0.25, 0.25), (7.0, 1.0), (-1.0, 0.0)])
def test_the_evaluator_clamps_what_a_candidate_says(tmp_path, value, score):
    path = tmp_path / "candidate.py"
    path.write_text(candidates.for_peers("", value))
    assert evaluate(path) == {"combined_score": score}


def test_every_candidate_is_a_program():
    statements = [*candidates.FAULTS.values(), *candidates.attacks("secret", 1, "out").values(), ""]
    for each in statements:
        compile(candidates.for_peers(each, 0.5), "candidate", "exec")
        compile(candidates.for_us(each, 3), "candidate", "exec")
    compile(candidates.SMUGGLER, "candidate", "exec")


def test_a_forged_score_is_one_that_the_evaluator_would_not_give(tmp_path):
    path = tmp_path / "candidate.py"
    forged = candidates.attacks("secret", 1, str(tmp_path))["forge the score"]
    path.write_text(candidates.for_peers(forged, 0.5))
    try:
        assert evaluate(path)["combined_score"] > 1
    finally:
        evaluate.__globals__["clamped"] = CLAMPED


CLAMPED = evaluate.__globals__["clamped"]
