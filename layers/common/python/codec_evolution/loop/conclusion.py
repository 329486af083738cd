"""Concluding an attempt: from reports to a verdict, then one conditional write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from codec_evolution import artifacts
from codec_evolution import record as records
from codec_evolution.candidate import source_key
from codec_evolution.clock import day_of
from codec_evolution.contracts import Concluded, ConcludeRequest, Item, check_size
from codec_evolution.judging import adoption, archive
from codec_evolution.ports import Conflict, Control, LoopState, Objects, Record
from codec_evolution.record import Attempt, Figures, ProposalFacts, Ruling

MAX_JUDGEMENTS = 5
"""How often a candidate is judged again because another slot moved the incumbent first."""


def _ignore(attempt: Attempt, measure: Mapping[str, Any] | None) -> None:
    """Do nothing with a recorded attempt."""


@dataclass(frozen=True)
class Concluder:
    """Ends attempts. Every call may be repeated: an attempt that is in the record is answered from it.

    Attributes
    ----------
    on_recorded
        Called once with each attempt that was written, and the report on the training windows if there is one.
    """

    record: Record
    control: Control
    objects: Objects
    now: Callable[[], str]
    looks_per_day: int
    on_recorded: Callable[[Attempt, Mapping[str, Any] | None], None] = _ignore

    def conclude(self, request: ConcludeRequest) -> Concluded:
        """Judge one attempt and write it, or ask for its confirmation first."""
        item = request.item
        for report in (request.measure, request.confirm):
            if report is not None:
                check_size(report, "report")
        known = self._known(item)
        if known is not None:
            return known
        proposal = ProposalFacts.from_item(
            {
                **(self.objects.get_json(artifacts.model_usage(item.lineage, item.attempt_id)) or {}),
                **(self.objects.get_json(artifacts.proposal(item.lineage, item.attempt_id)) or {}),
            }
        )
        self._store_reports(request, proposal)
        if item.kind == "candidate":
            return self._conclude_candidate(request, proposal)
        return self._conclude_preparation(request, proposal)

    def _known(self, item: Item) -> Concluded | None:
        """Return how an attempt that is in the record ended, or None."""
        record = self.record.get(item.lineage, item.attempt_id)
        if record is None:
            return None
        return Concluded(next="done", status=record.status, version=record.adopted_version)

    def _conclude_candidate(self, request: ConcludeRequest, proposal: ProposalFacts) -> Concluded:
        early = early_ruling(request, proposal)
        if early is not None:
            return self._write(request, early, proposal)
        for _ in range(MAX_JUDGEMENTS):
            state = self.control.state(request.item.lineage)
            # A repeat of this call may have been faster; an attempt is never judged against itself.
            if state.incumbent_attempt == request.item.attempt_id:
                return Concluded(next="done", status=records.ADOPTED, version=state.version)
            known = self._known(request.item)
            if known is not None:
                return known
            incumbent = self._incumbent(state, request.item.seed)
            candidate = adoption.Contest(train=request.measure, held_out=request.confirm)
            if incumbent is None or incumbent.train["clip_set"] != candidate.train["clip_set"]:
                return self._measure_incumbent_first(request, state, proposal)
            verdict = adoption.judge(candidate, incumbent)
            self._store_held_out(request, verdict)
            if verdict.decision == "confirm":
                return self._ask_to_confirm(request, verdict, proposal)
            ruling = ruling_of(verdict, state)
            if ruling.status != records.ADOPTED:
                return self._write(request, ruling, proposal)
            try:
                return self._adopt(request, ruling, proposal, state)
            except Conflict:
                continue
        lost = Ruling(records.REJECTED, f"lost_race: the incumbent moved {MAX_JUDGEMENTS} times")
        return self._write(request, lost, proposal)

    def _conclude_preparation(self, request: ConcludeRequest, proposal: ProposalFacts) -> Concluded:
        """Version 0 becomes the incumbent without a contest; a new incumbent only gets its curves stored."""
        item = request.item
        early = early_ruling(request, proposal)
        if early is not None:
            if item.kind == "baseline":
                return self._write(request, early, proposal)
            return self._incumbent_failed(item, early)
        if request.confirm is None:
            return Concluded(next="confirm", status="measured")
        state = self.control.state(item.lineage)
        version = state.version
        if item.kind == "baseline":
            contest = adoption.Contest(train=request.measure, held_out=request.confirm)
            ruling = ruling_of(adoption.judge(contest, None), state)
            if ruling.status != records.ADOPTED:
                return self._write(request, ruling, proposal)
            self._adopt(request, ruling, proposal, state)
            version = 0
        self.control.set_prepared(item.lineage, version, str((request.measure or {})["clip_set"]))
        return Concluded(next="done", status=records.ADOPTED, version=version)

    def _incumbent_failed(self, item: Item, ruling: Ruling) -> Concluded:
        """Pause a lineage whose incumbent fails on its next contest's windows: trying again would change nothing."""
        if ruling.status == records.TEST_FAILED:
            reason = f"version {item.version} fails on the windows of its next contest ({ruling.reason})"
            self.control.set_paused(
                item.lineage, True, at=self.now(), reason=records.clip_text(reason), expected_at=None
            )
        return Concluded(next="done", status=ruling.status)

    def _ask_to_confirm(
        self, request: ConcludeRequest, verdict: adoption.Verdict, proposal: ProposalFacts
    ) -> Concluded:
        item = request.item
        look = artifacts.look(item.lineage, item.attempt_id)
        counted = self.objects.exists(look)
        if counted or self.control.count(
            item.lineage, day_of(item.cycle_id), "looks", 1, limit=float(self.looks_per_day)
        ):
            # Kept so that a repeat of this call is the same look; a crash in between counts it twice at worst.
            self.objects.put_json(look, {"attempt_id": item.attempt_id})
            return Concluded(next="confirm", status="promising")
        ruling = Ruling(
            records.SKIPPED,
            f"held_out_looks_used: {self.looks_per_day} looks at the held-out windows are allowed a day",
            figures=figures_of(verdict),
        )
        return self._write(request, ruling, proposal)

    def _adopt(
        self, request: ConcludeRequest, ruling: Ruling, proposal: ProposalFacts, state: LoopState
    ) -> Concluded:
        record = self._build(request, ruling, proposal)
        self.objects.put_json(
            artifacts.journal(request.item.lineage, request.item.attempt_id), record.to_item()
        )
        self.control.adopt(record, state)
        self._archive(request, record)
        self.on_recorded(record, request.measure)
        return Concluded(next="done", status=records.ADOPTED, version=ruling.adopted_version)

    def _write(self, request: ConcludeRequest, ruling: Ruling, proposal: ProposalFacts) -> Concluded:
        record = self._build(request, ruling, proposal)
        self.objects.put_json(
            artifacts.journal(request.item.lineage, request.item.attempt_id), record.to_item()
        )
        if not self.record.put_once(record):
            return self._known(request.item) or Concluded(next="done", status=ruling.status)
        self._archive(request, record)
        self.on_recorded(record, request.measure)
        return Concluded(next="done", status=ruling.status, cost_usd=request.plan.cost_usd)

    def _archive(self, request: ConcludeRequest, record: Attempt) -> None:
        """Let a measured codec into the archive if it is the best of its family.

        One that the held-out windows did not confirm stays out: it may know the training windows by heart.
        """
        unconfirmed = request.confirm is not None and record.status != records.ADOPTED
        if record.bitrate_mbps is None or request.measure is None or unconfirmed:
            return
        source = self.objects.get_text(artifacts.source(record.source_sha256)) or ""
        found = archive.elite_of(record, source, request.measure)
        if found is not None:
            self.control.keep_elite(request.item.lineage, *found)

    def _build(self, request: ConcludeRequest, ruling: Ruling, proposal: ProposalFacts) -> Attempt:
        facts = proposal
        measure = request.measure or {}
        if facts.normalised_sha256 and measure.get("clip_set"):
            key = source_key(
                facts.normalised_sha256, facts.policy_sha256, measure["clip_set"], adoption.RULE.version
            )
            facts = facts.model_copy(update={"source_key": key})
        item = request.item
        return records.build_record(
            request,
            ruling,
            facts,
            finished_at=self.now(),
            prefix=artifacts.attempt(item.lineage, item.attempt_id),
        )

    def _incumbent(self, state: LoopState, seed: str) -> adoption.Contest | None:
        train = self.objects.get_json(artifacts.training_curve(state.incumbent, seed))
        held_out = self.objects.get_json(artifacts.held_out_curve(state.incumbent, seed))
        return None if train is None else adoption.Contest(train=train, held_out=held_out)

    def _measure_incumbent_first(
        self, request: ConcludeRequest, state: LoopState, proposal: ProposalFacts
    ) -> Concluded:
        """Skip a contest whose incumbent has no curves on these clips; the next cycle prepares them."""
        clip_set = str((request.measure or {})["clip_set"])
        self.control.set_prepared(request.item.lineage, -1, clip_set)
        reason = f"incumbent_not_measured: version {state.version} has no curves on clip set {clip_set[:12]}"
        return self._write(request, Ruling(records.SKIPPED, reason), proposal)

    def _store_reports(self, request: ConcludeRequest, proposal: ProposalFacts) -> None:
        item, sha = request.item, proposal.source_sha256
        if request.measure is not None:
            self.objects.put_json(artifacts.report(item.lineage, item.attempt_id), request.measure)
            if request.measure.get("outcome") == "passed":
                self.objects.put_json(artifacts.training_curve(sha, item.seed), request.measure)
        if request.confirm is not None:
            self.objects.put_json(artifacts.held_out_report(item.lineage, item.attempt_id), request.confirm)
            if request.confirm.get("outcome") == "passed":
                self.objects.put_json(artifacts.held_out_curve(sha, item.seed), request.confirm)

    def _store_held_out(self, request: ConcludeRequest, verdict: adoption.Verdict) -> None:
        """Keep the verdict's held-out figures where operators find them and nobody else reads."""
        if request.confirm is not None:
            key = artifacts.held_out_verdict(request.item.lineage, request.item.attempt_id)
            self.objects.put_json(key, verdict.as_dict())


def early_ruling(request: ConcludeRequest, proposal: ProposalFacts) -> Ruling | None:
    """Return how an attempt ends before its curves are compared, or None when they are to be compared."""
    if request.fault is not None:
        return _fault_ruling(request)
    if request.measure is None:
        return Ruling(records.SKIPPED, request.plan.reason or "nothing_proposed")
    for stage, report in (("measure", request.measure), ("confirm", request.confirm)):
        if report is None:
            continue
        if report.get("source_sha256") != proposal.source_sha256:
            return Ruling(records.SKIPPED, f"infrastructure: {stage} ran another source than the one planned")
        if report.get("outcome") != "passed":
            return _failed_ruling(stage, report.get("failure") or {})
    return None


def ruling_of(verdict: adoption.Verdict, state: LoopState) -> Ruling:
    """Put a verdict into the record's words."""
    figures = figures_of(verdict)
    if verdict.decision == "adopt":
        return Ruling(
            records.ADOPTED,
            verdict.reason,
            figures=figures,
            confirmed=state.version >= 0,
            adopted_version=state.version + 1,
            parent_version=state.version,
        )
    if verdict.decision == "reject" and verdict.failure_kind:
        failure = {"stage": "confirm", "kind": verdict.failure_kind, "message": verdict.reason}
        reason = f"{verdict.failure_kind}: {verdict.reason}"
        return Ruling(
            records.TEST_FAILED, reason, failure=failure, figures=figures, parent_version=state.version
        )
    if verdict.decision == "reject":
        return Ruling(records.REJECTED, verdict.reason, figures=figures, parent_version=state.version)
    return Ruling(records.SKIPPED, f"infrastructure: {verdict.reason}", figures=figures)


def figures_of(verdict: adoption.Verdict) -> Figures:
    """Return the verdict's figures by the record's attribute names."""
    return Figures(**{name: getattr(verdict, name) for name in Figures.model_fields})


def _fault_ruling(request: ConcludeRequest) -> Ruling:
    fault = request.fault
    assert fault is not None
    if fault.kind == "killed_sandbox":
        failure = {
            "stage": fault.stage or "measure",
            "kind": "crash",
            "message": "the sandbox died twice with this candidate and lived with version 0",
        }
        return Ruling(records.TEST_FAILED, "killed the sandbox", failure=failure)
    detail = " ".join(part for part in (fault.stage, fault.error, fault.cause[:300]) if part)
    return Ruling(records.SKIPPED, f"infrastructure: {detail or 'a state of the cycle failed'}")


def _failed_ruling(stage: str, failure: Mapping[str, Any]) -> Ruling:
    if stage == "confirm":
        # The figures and places of held-out failures stay with the operators.
        failure = {
            "stage": "confirm",
            "kind": failure.get("kind"),
            "message": "failed on the held-out windows",
        }
    return Ruling(
        records.TEST_FAILED, f"{failure.get('kind', 'failed')}: {failure.get('message', '')}", failure=failure
    )


def replay(record: Attempt, control: Control, table: Record) -> bool:
    """Write a journalled record that the table lost; returns whether it was written.

    An adoption goes through the condition of its transaction again, so a journal entry whose transaction lost its
    race, or whose predecessor is missing, changes nothing.
    """
    if record.status != records.ADOPTED:
        return table.put_once(record)
    state = control.state(record.lineage)
    if record.adopted_version is None or state.version != record.adopted_version - 1:
        return False
    try:
        control.adopt(record, state)
    except Conflict:
        return False
    return True
