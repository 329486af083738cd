"""How an attempt ends: the rulings on faults, failed reports and verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field

from codec_evolution.contracts import ConcludeRequest, Failure, Fault, Report
from codec_evolution.judging import adoption
from codec_evolution.ports import LoopState
from codec_evolution.record import (
    ADOPTED,
    REJECTED,
    SKIPPED,
    TEST_FAILED,
    Figures,
    ProposalFacts,
    Status,
)


@dataclass(frozen=True)
class Ruling:
    """How an attempt ended, before it becomes a record.

    Attributes
    ----------
    reason
        A short machine word, then optionally a sentence after a colon.
    failure
        The candidate's fault.
    figures
        Those of the verdict; empty when nothing was measured.
    parent_version
        The version that the attempt was judged against; None for the one that its cycle began with.
    """

    status: Status
    reason: str
    failure: Failure | None = None
    figures: Figures = field(default_factory=Figures)
    confirmed: bool = False
    adopted_version: int | None = None
    parent_version: int | None = None


def measured(request: ConcludeRequest, facts: ProposalFacts) -> Report | Ruling:
    """Return the report whose curves are to be compared, or how the attempt ends without a comparison."""
    if request.fault is not None:
        return _of_fault(request.fault)
    if request.measure is None:
        return Ruling(SKIPPED, request.plan.reason or "nothing_proposed")
    for stage, report in (("measure", request.measure), ("confirm", request.confirm)):
        if report is None:
            continue
        if report.source_sha256 != facts.source_sha256:
            return Ruling(SKIPPED, f"infrastructure: {stage} ran another source than the one planned")
        if report.failure is not None:
            return _of_failure(stage, report.failure)
        if report.unmeasured and request.item.kind != "candidate":
            return Ruling(SKIPPED, f"infrastructure: {stage} did not measure every window")
    return request.measure


def of_verdict(verdict: adoption.Verdict, state: LoopState) -> Ruling:
    """Return what a verdict means for the record."""
    figures = verdict.figures()
    if verdict.decision == "adopt":
        return Ruling(
            ADOPTED,
            verdict.reason,
            figures=figures,
            confirmed=state.version >= 0,
            adopted_version=state.version + 1,
            parent_version=state.version,
        )
    if verdict.decision == "reject" and verdict.failure_kind:
        failure = Failure(stage="confirm", kind=verdict.failure_kind, message=verdict.reason)
        reason = f"{verdict.failure_kind}: {verdict.reason}"
        return Ruling(TEST_FAILED, reason, failure=failure, figures=figures, parent_version=state.version)
    if verdict.decision == "reject":
        return Ruling(REJECTED, verdict.reason, figures=figures, parent_version=state.version)
    return Ruling(SKIPPED, f"infrastructure: {verdict.reason}", figures=figures)


def _of_fault(fault: Fault) -> Ruling:
    if fault.kind == "killed_sandbox":
        message = "the sandbox died twice with this candidate and lived with version 0"
        failure = Failure(stage=fault.stage or "measure", kind="crash", message=message)
        return Ruling(TEST_FAILED, "killed the sandbox", failure=failure)
    detail = " ".join(part for part in (fault.stage, fault.error, fault.cause[:300]) if part)
    return Ruling(SKIPPED, f"infrastructure: {detail or 'a state of the cycle failed'}")


def _of_failure(stage: str, failure: Failure) -> Ruling:
    if stage == "confirm":
        # Figures and places of held-out failures are for operators only.
        failure = Failure(stage="confirm", kind=failure.kind, message="failed on the held-out windows")
    return Ruling(TEST_FAILED, f"{failure.kind}: {failure.message}", failure=failure)
