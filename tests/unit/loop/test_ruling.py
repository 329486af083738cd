"""What faults, failed reports and verdicts mean for the record."""

from __future__ import annotations

from typing import Any

import pytest
from codec_evolution.contracts import ConcludeRequest
from codec_evolution.judging.adoption import Verdict
from codec_evolution.loop.ruling import Ruling, measured, of_verdict
from codec_evolution.ports import LoopState
from codec_evolution.record import ProposalFacts

from tests.integration.support import report
from tests.unit.test_contracts import ITEM

SHA = "a" * 64
FACTS = ProposalFacts.from_item({"source_sha256": SHA})
FAILURE = {"stage": "measure", "kind": "runtime", "message": "IndexError on frame 7 of city"}


def ruled(kind: str = "candidate", **fields: Any) -> Ruling:
    """Return how an attempt ends that leaves nothing to compare."""
    found = measured(ConcludeRequest.model_validate({"item": ITEM | {"kind": kind}, **fields}), FACTS)
    assert isinstance(found, Ruling)
    return found


def failed(split: str = "train") -> dict[str, Any]:
    return report(SHA, split, outcome="failed", failure=FAILURE)


def test_a_report_of_the_planned_source_is_compared():
    request = ConcludeRequest.model_validate({"item": ITEM, "measure": report(SHA)})
    assert measured(request, FACTS) == request.measure


def test_a_fault_of_the_infrastructure_is_nobodys_loss_and_is_told():
    fault = {"kind": "infrastructure", "stage": "measure", "error": "Timeout", "cause": "c" * 400}
    ruling = ruled(fault=fault)
    assert (ruling.status, ruling.failure) == ("skipped", None)
    assert ruling.reason == f"infrastructure: measure Timeout {'c' * 300}"
    unknown = ruled(fault={"kind": "infrastructure"})
    assert unknown.reason == "infrastructure: a state of the cycle failed"


def test_a_candidate_that_killed_the_sandbox_failed_its_test():
    ruling = ruled(fault={"kind": "killed_sandbox"})
    assert (ruling.status, ruling.reason) == ("test_failed", "killed the sandbox")
    assert ruling.failure is not None
    assert (ruling.failure.stage, ruling.failure.kind) == ("measure", "crash")


def test_an_attempt_without_a_candidate_is_skipped_with_the_planners_reason():
    assert ruled(plan={"reason": "gave_up: no idea"}).reason == "gave_up: no idea"
    assert ruled().reason == "nothing_proposed"


def test_a_failure_is_told_in_full_on_training_windows_and_by_its_kind_alone_on_held_out_ones():
    ruling = ruled(measure=failed())
    assert (ruling.status, ruling.reason) == ("test_failed", f"runtime: {FAILURE['message']}")
    hidden = ruled(measure=report(SHA), confirm=failed("held_out"))
    assert hidden.reason == "runtime: failed on the held-out windows"
    assert hidden.failure is not None
    assert "city" not in hidden.failure.message


@pytest.mark.parametrize("stage", ["measure", "confirm"])
def test_a_report_of_another_source_is_no_report(stage):
    given = {"measure": report(SHA), "confirm": report(SHA, "held_out")} | {stage: report("b" * 64)}
    assert ruled(**given).reason == f"infrastructure: {stage} ran another source than the one planned"


def test_a_baseline_needs_every_window():
    given = report(SHA, unmeasured=[{"window": "bunny/0", "role": "train"}])
    assert ruled("baseline", measure=given).reason == "infrastructure: measure did not measure every window"


@pytest.mark.parametrize(
    ("decision", "kind", "version", "expected"),
    [
        ("adopt", "", 3, ("adopted", "why", 4, 3, True)),
        ("adopt", "", -1, ("adopted", "why", 0, -1, False)),
        ("reject", "", 3, ("rejected", "why", None, 3, False)),
        ("reject", "other_bits", 3, ("test_failed", "other_bits: why", None, 3, False)),
        ("undecidable", "", 3, ("skipped", "infrastructure: why", None, None, False)),
    ],
)
def test_a_verdict_becomes_a_status(decision, kind, version, expected):
    verdict = Verdict(decision=decision, reason="why", rule_version="3", failure_kind=kind)
    ruling = of_verdict(verdict, LoopState("main", version=version))
    adopted = ruling.adopted_version
    assert (ruling.status, ruling.reason, adopted, ruling.parent_version, ruling.confirmed) == expected
    assert (ruling.failure is not None) == bool(kind)
