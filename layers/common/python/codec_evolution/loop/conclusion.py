"""Concluding an attempt: from reports to a verdict, then one conditional write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from codec_evolution import artifacts
from codec_evolution import record as records
from codec_evolution.candidate import source_key
from codec_evolution.clock import day_of
from codec_evolution.contracts import Concluded, ConcludeRequest, Item, Report, check_size
from codec_evolution.judging import adoption, archive
from codec_evolution.loop.pictures import keep_picture
from codec_evolution.loop.recording import build_record
from codec_evolution.loop.ruling import Ruling, measured, of_verdict
from codec_evolution.loop.windows import Windows, contest_of
from codec_evolution.ports import INCUMBENT_FAILED, Conflict, Control, LoopState, Objects, Record
from codec_evolution.record import Attempt, ProposalFacts

MAX_JUDGEMENTS = 5
"""How often a candidate is judged anew because another slot replaced the incumbent first."""


def _ignore(attempt: Attempt, measure: Report | None) -> None:
    """Do nothing with a recorded attempt."""


@dataclass(frozen=True)
class Concluder:
    """Concludes attempts. Every call may be repeated: for an attempt in the record, the answer comes from there.

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
    on_recorded: Callable[[Attempt, Report | None], None] = _ignore

    def conclude(self, request: ConcludeRequest) -> Concluded:
        """Judge one attempt and write it, or ask for its confirmation first."""
        item = request.item
        for report in (request.measure, request.confirm):
            if report is not None:
                check_size(report.to_payload(), "report")
        known = self._known(item)
        if known is not None:
            return known
        request = self._with_windows(request)
        proposal = artifacts.load_facts(self.objects, item.lineage, item.attempt_id)
        self._store_reports(request)
        if item.kind == "candidate":
            return self._conclude_candidate(request, proposal)
        return self._conclude_preparation(request, proposal)

    def _with_windows(self, request: ConcludeRequest) -> ConcludeRequest:
        """Return a request whose reports hold what was measured of the windows that they list.

        A fault may be that the windows do not belong together, and is concluded without them.
        """
        if request.fault is not None:
            return request
        windows = Windows(self.control, self.objects)
        gathered = {
            "measure": windows.gathered(request.item, "train", request.measure),
            "confirm": windows.gathered(request.item, "held_out", request.confirm),
        }
        return request.model_copy(update=gathered)

    def _known(self, item: Item) -> Concluded | None:
        """Return how an attempt that is in the record ended, or None.

        Another call wrote that record, so the journal may hold what this one was about to write.
        """
        record = self.record.get(item.lineage, item.attempt_id)
        if record is None:
            return None
        self.objects.put_json(artifacts.journal(item.lineage, item.attempt_id), record.to_item())
        return Concluded(next="done", status=record.status, version=record.adopted_version)

    def _conclude_candidate(self, request: ConcludeRequest, proposal: ProposalFacts) -> Concluded:
        train = measured(request, proposal)
        if isinstance(train, Ruling):
            return self._write(request, train, proposal)
        candidate = adoption.Contest(train=train, held_out=request.confirm)
        for _ in range(MAX_JUDGEMENTS):
            state = self.control.state(request.item.lineage)
            # A repeat of this call may have been first; an attempt is never judged against itself.
            if state.incumbent_attempt == request.item.attempt_id:
                return Concluded(next="done", status=records.ADOPTED, version=state.version)
            known = self._known(request.item)
            if known is not None:
                return known
            incumbent = contest_of(self.objects, state, request.item.seed)
            if incumbent is None or incumbent.train.clip_set != train.clip_set:
                return self._measure_incumbent_first(request, state, proposal, train.clip_set)
            verdict = adoption.judge(candidate, incumbent)
            self._store_held_out(request, verdict)
            if verdict.decision == "confirm":
                return self._ask_to_confirm(request, verdict, proposal)
            ruling = of_verdict(verdict, state)
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
        train = measured(request, proposal)
        if isinstance(train, Ruling):
            if item.kind == "baseline":
                return self._write(request, train, proposal)
            return self._incumbent_failed(item, train)
        if request.confirm is None:
            return Concluded(next="confirm", status="measured")
        state = self.control.state(item.lineage)
        version = state.version
        if item.kind == "baseline":
            contest = adoption.Contest(train=train, held_out=request.confirm)
            ruling = of_verdict(adoption.judge(contest, None), state)
            if ruling.status != records.ADOPTED:
                return self._write(request, ruling, proposal)
            self._adopt(request, ruling, proposal, state)
            version = 0
        self.control.set_prepared(item.lineage, version, train.clip_set)
        return Concluded(next="done", status=records.ADOPTED, version=version)

    def _incumbent_failed(self, item: Item, ruling: Ruling) -> Concluded:
        """Pause a lineage whose incumbent fails on its next contest's windows: a retry would fail as well."""
        if ruling.status == records.TEST_FAILED:
            reason = (
                f"{INCUMBENT_FAILED}: version {item.version} fails on the windows of its next contest "
                f"({ruling.reason})"
            )
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
            # A repeat of this call is the same evaluation; a crash before this line counts it twice at worst.
            self.objects.put_json(look, {"attempt_id": item.attempt_id})
            return Concluded(next="confirm", status="promising")
        ruling = Ruling(
            records.SKIPPED,
            f"held_out_looks_used: {self.looks_per_day} looks at the held-out windows are allowed a day",
            figures=verdict.figures(),
        )
        return self._write(request, ruling, proposal)

    def _adopt(
        self, request: ConcludeRequest, ruling: Ruling, proposal: ProposalFacts, state: LoopState
    ) -> Concluded:
        record = self._build(request, ruling, proposal)
        self.objects.put_json(
            artifacts.journal(request.item.lineage, request.item.attempt_id), record.to_item()
        )
        keep_picture(self.objects, request.item.lineage, request.item.attempt_id, request.confirm)
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
        """Put a measured codec into the archive if it is the best of its family.

        A codec that the held-out windows did not confirm stays out: it may be overfitted to the training windows.
        """
        unconfirmed = request.confirm is not None and record.status != records.ADOPTED
        if request.measure is None or unconfirmed:
            return
        source = self.objects.get_text(artifacts.source(record.source_sha256)) or ""
        found = archive.elite_of(record, source, request.measure)
        if found is not None:
            self.control.keep_elite(request.item.lineage, *found)

    def _build(self, request: ConcludeRequest, ruling: Ruling, proposal: ProposalFacts) -> Attempt:
        facts = proposal
        if facts.normalised_sha256 and request.measure is not None:
            clip_set, rule = request.measure.clip_set, adoption.RULE.version
            key = source_key(facts.normalised_sha256, facts.policy_sha256, clip_set, rule)
            facts = facts.model_copy(update={"source_key": key})
        item = request.item
        return build_record(
            request,
            ruling,
            facts,
            finished_at=self.now(),
            prefix=artifacts.attempt(item.lineage, item.attempt_id),
        )

    def _measure_incumbent_first(
        self, request: ConcludeRequest, state: LoopState, proposal: ProposalFacts, clip_set: str
    ) -> Concluded:
        """Skip a contest whose incumbent has no curves on these clips; the next cycle prepares them."""
        self.control.set_prepared(request.item.lineage, -1, clip_set)
        reason = f"incumbent_not_measured: version {state.version} has no curves on clip set {clip_set[:12]}"
        return self._write(request, Ruling(records.SKIPPED, reason), proposal)

    def _store_reports(self, request: ConcludeRequest) -> None:
        item = request.item
        for report, key, curve in (
            (request.measure, artifacts.report, artifacts.training_curve),
            (request.confirm, artifacts.held_out_report, artifacts.held_out_curve),
        ):
            if report is None:
                continue
            self.objects.put_json(key(item.lineage, item.attempt_id), report.to_payload())
            if report.outcome == "passed" and not (report.windows or report.unmeasured):
                # By what the sandbox measured, not by what Plan proposed: its code must not name the incumbent's curve.
                self.objects.put_json(curve(report.source_sha256, item.seed), report.to_payload())

    def _store_held_out(self, request: ConcludeRequest, verdict: adoption.Verdict) -> None:
        """Store the verdict with its held-out figures below the operators' prefix."""
        if request.confirm is not None:
            key = artifacts.held_out_verdict(request.item.lineage, request.item.attempt_id)
            self.objects.put_json(key, verdict.as_dict())


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
