"""The full-size audit of an adopted version by the deployed benchmark: before its segments are measured, and after.

It runs apart from the cycle and gates nothing. The segments belong to the benchmark's image; no planner sees what is
measured on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from codec_evolution import artifacts
from codec_evolution.clock import day_of, format_time, parse_time
from codec_evolution.contracts import Contract, Envelope, Failure, Report, TaskInput
from codec_evolution.framework import release
from codec_evolution.judging.audit import audits_of, figures
from codec_evolution.ports import Control, LoopState, Objects, Record
from codec_evolution.pricing import compute_cost, load_prices
from codec_evolution.record import Attempt

SHOWN_CAUSE = 200
"""Characters of a reason that is noted for one segment."""


class Audited(Contract):
    """What is audited."""

    lineage: str = Field(max_length=200)
    version: int = Field(ge=0)
    started: str
    """When the audit began, ISO 8601; a repeat of its last step writes the same time."""
    again: bool = False
    """Whether a version that has an audit is audited once more, as a person may ask."""


class SegmentResult(Contract):
    """What the invocation for one segment gave: a report, or the error that it ended with."""

    window: str
    report: Report | None = None
    fault: str = ""


class AuditRequest(TaskInput):
    """Input of Conclude for an audit: first without a listing, then with it and the results of its segments."""

    audit: Audited
    listing: Report | None = None
    results: list[SegmentResult] = Field(default_factory=list[SegmentResult])


class AuditAnswer(Contract):
    """Answer of Conclude: what to measure; or what was kept."""

    go: bool
    reason: str = ""
    envelope: Envelope | None = None
    lineage: str = ""
    version: int | None = None
    segments: int | None = None
    """Segments that were measured."""
    note: str = ""
    stored: list[str] = Field(default_factory=list[str])
    """Keys of the documents that hold all of it, one a video."""


@dataclass(frozen=True)
class Audits:
    """Audits of adopted versions. Every call may be repeated.

    Attributes
    ----------
    daily_budget_usd
        No audit begins on a day on which this is spent.
    """

    record: Record
    control: Control
    objects: Objects
    daily_budget_usd: float

    def answer(self, request: AuditRequest) -> AuditAnswer:
        """Return what to measure, or keep what was measured."""
        of, state = request.audit, self.control.state(request.audit.lineage)
        attempt = self._attempt(of, state)
        if attempt is None:
            return _refused(of, f"unknown_version: {of.lineage} has no version {of.version}")
        if request.listing is None:
            return self._open(of, state, attempt)
        return self._close(of, attempt, request.listing, request.results)

    def _attempt(self, of: Audited, state: LoopState) -> Attempt | None:
        """Return the version's record; the incumbent's by its key, because an index follows an adoption later."""
        if of.version == state.version:
            return self.record.get(of.lineage, state.incumbent_attempt)
        return self.record.of_version(of.lineage, of.version)

    def _open(self, of: Audited, state: LoopState, attempt: Attempt) -> AuditAnswer:
        if attempt.audited_at is not None and not of.again:
            return _refused(of, f"already_audited: at {attempt.audited_at}")
        if state.paused:
            return _refused(of, "paused")
        if self.control.day(of.lineage, day_of(_time(of))).spent_usd >= self.daily_budget_usd:
            return _refused(of, "daily_budget_spent")
        policy = release.load_policy(self.objects, attempt.release or state.release)
        source = artifacts.load_source(self.objects, attempt.source_sha256)
        envelope = Envelope.seal(source, policy)
        return AuditAnswer(go=True, lineage=of.lineage, version=of.version, envelope=envelope)

    def _close(
        self, of: Audited, attempt: Attempt, listing: Report, results: list[SegmentResult]
    ) -> AuditAnswer:
        if listing.failure is None and not listing.windows:
            return _refused(of, "no_segments: the benchmark's image holds none")
        given = {each.window: each for each in results}
        failed = {each.window: _failure_of(given.get(each.window), attempt) for each in listing.windows}
        passed = {
            window: report
            for window, failure in failed.items()
            if not failure and (report := given[window].report) is not None
        }
        reasons = [f"{window}: {failure}" for window, failure in failed.items() if failure]
        if listing.failure is not None:
            reasons = [_told(listing.failure)]
        audits = audits_of(f"version {of.version} of {of.lineage}", passed, reasons)
        keys = [artifacts.audit(of.lineage, of.version, audit.video_sha256) for audit in audits]
        for key, audit in zip(keys, audits, strict=True):
            self.objects.put_json(key, audit.as_dict())
        kept = figures(audits, _time(of), reasons, round(_cost(listing, given), 6))
        self.record.set_audit(of.lineage, attempt.attempt_id, kept)
        return AuditAnswer(
            go=True,
            lineage=of.lineage,
            version=of.version,
            segments=len(passed),
            note=kept.audit_note,
            stored=keys,
        )


def _refused(of: Audited, reason: str) -> AuditAnswer:
    return AuditAnswer(go=False, reason=reason, lineage=of.lineage, version=of.version)


def _time(of: Audited) -> str:
    return format_time(parse_time(of.started))


def _failure_of(result: SegmentResult | None, attempt: Attempt) -> str:
    """Return why a segment has no figures, "" if it has."""
    if result is None or result.report is None:
        return ((result.fault if result else "") or "not measured")[:SHOWN_CAUSE]
    if result.report.failure is not None:
        return _told(result.report.failure)
    if result.report.source_sha256 != attempt.source_sha256:
        return "another source was measured"
    return "" if result.report.points else "no points"


def _told(failure: Failure) -> str:
    return f"{failure.kind} in {failure.stage}: {failure.message}"[:SHOWN_CAUSE]


def _cost(listing: Report, given: Mapping[str, SegmentResult]) -> float:
    """Return the dollars of the invocations that have answered."""
    reports = [listing, *(each.report for each in given.values() if each.report is not None)]
    seconds = sum(sum(report.timings_s.values()) for report in reports)
    return compute_cost(load_prices(), plan_s=0.0, benchmark_s=seconds)
