"""One round of planning: from an item to the candidate's envelope, stored before it is returned."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from codec_evolution import artifacts
from codec_evolution.candidate import Candidate, SourceError, pack_text, sha256_hex, source_key
from codec_evolution.contracts import Envelope, Item, Planned, PlanRequest
from codec_evolution.framework import release
from codec_evolution.judging.adoption import RULE
from codec_evolution.loop.islands import island_seed
from codec_evolution.planner_specs import MIGRATION
from codec_evolution.planners.base import (
    Briefing,
    ContinueRound,
    Draft,
    NoProposal,
    PastAttempt,
    Proposal,
    RoundContext,
    RoundPlanner,
    Step,
    ToolRequest,
)
from codec_evolution.planners.novelty import changes, changes_text
from codec_evolution.ports import Control, Objects, Record
from codec_evolution.record import SKIPPED

TRIED, TRAINED, PROBED = ("validate", "smoke"), ("train",), ("probe",)
"""The sandbox's stages for every draft, and for one that is trained and probed besides."""

HISTORY_LIMIT = 200
"""Attempts in a briefing; bounds what one call reads, however long the history is."""


@dataclass(frozen=True)
class PlanStage:
    """The Plan stage of a cycle.

    Attributes
    ----------
    planner
        The planner, or the reason why there is none (for example ``no_credential``).
    baseline
        Source of version 0.
    search_seed
        Seeds the random draws of planners.
    home
        The first island.
    now
        UTC time in ISO 8601.
    """

    record: Record
    control: Control
    objects: Objects
    planner: RoundPlanner | NoProposal
    baseline: str
    search_seed: int
    now: Callable[[], str]
    home: str = ""

    def plan(self, request: PlanRequest) -> Planned:
        """Plan one round; a repeated call returns what the first one stored."""
        began = time.monotonic()
        planned = self._plan(request, self.now())
        return planned.model_copy(update={"elapsed_s": time.monotonic() - began})

    def _plan(self, request: PlanRequest, started_at: str) -> Planned:
        item = request.item
        policy = release.load_policy(self.objects, item.release)
        stored = self.objects.get_json(artifacts.proposal(item.lineage, item.attempt_id))
        if stored is not None:
            candidate = self._candidate(stored["source_sha256"])
            return _proposed(candidate, policy, stored.get("cost_usd", 0.0))
        try:
            context = self._context(request, policy)
            step = self._step(context)
        except SourceError as error:
            return Planned(next="nothing", reason=f"bad_source: {error}")
        match step.outcome:
            case Proposal() as proposal:
                refusal = context.refusal(proposal.candidate)
                if refusal:
                    return Planned(next="nothing", reason=refusal, cost_usd=step.cost_usd)
                changed = changes_text(changes(context.incumbent.source, proposal.candidate.source))
                facts = describe(proposal, sha256_hex(policy), started_at)
                facts |= {"changes": changed, "cost_usd": step.cost_usd}
                self._store(item, proposal.candidate, facts)
                return _proposed(proposal.candidate, policy, step.cost_usd)
            case Draft() as draft:
                return Planned(next="draft", request=_trial(draft, policy), cost_usd=step.cost_usd)
            case ToolRequest(asked):
                return Planned(next="tool", request=dict(asked), cost_usd=step.cost_usd)
            case ContinueRound():
                return Planned(next="again", cost_usd=step.cost_usd)
            case NoProposal(reason):
                return Planned(next="nothing", reason=reason, cost_usd=step.cost_usd)

    def _context(self, request: PlanRequest, policy: str) -> RoundContext:
        item = request.item
        if item.kind == "baseline":
            incumbent = Candidate(self.baseline)
        else:
            incumbent = self._candidate(self.control.state(item.lineage).incumbent)

        @cache  # A planner may ask before it submits; the same candidate is not looked up twice.
        def refusal(candidate: Candidate) -> str:
            return self._refusal(item, candidate, incumbent, policy)

        return RoundContext(
            item=item,
            round=request.round,
            answer=request.answer,
            incumbent=incumbent,
            policy_toml=policy,
            briefing=lambda: self._briefing(item, incumbent),
            refusal=refusal,
        )

    def _step(self, context: RoundContext) -> Step:
        """Let the planner take its round; baseline and incumbent need none."""
        item = context.item
        if item.kind == "baseline":
            hypothesis = "A plain block transform codec is the yardstick."
            summary = "Version 0, shipped with the system."
            return Step(Proposal(context.incumbent, hypothesis, summary, planner="baseline"))
        if item.kind == "incumbent":
            summary = "The incumbent, measured again."
            return Step(Proposal(context.incumbent, "", summary, planner="baseline"))
        migrant = self._migrant(context) if item.origin and context.round == 0 else None
        if migrant is not None:
            return Step(migrant)
        if isinstance(self.planner, NoProposal):
            usage = artifacts.model_usage(item.lineage, item.attempt_id)
            # A key may be gone in a later round, when dollars are recorded there already.
            if not self.objects.exists(usage):
                self.objects.put_json(usage, {"planner": self.planner.planner})
            return Step(self.planner)
        return self.planner.step(context)

    def _migrant(self, context: RoundContext) -> Proposal | None:
        """Return another island's incumbent as a candidate; None if there is nothing to try, so that the planner may.

        Version 0 is the same on every island.
        """
        origin = self.control.state(str(context.item.origin))
        if origin.version < 1:
            return None
        candidate = self._candidate(origin.incumbent)
        if context.refusal(candidate):
            return None
        return Proposal(
            candidate,
            hypothesis=f"Version {origin.version} of lineage {origin.lineage} may win here as well.",
            summary=f"A migrant: version {origin.version} of lineage {origin.lineage}.",
            planner=MIGRATION,
            origin_lineage=origin.lineage,
            origin_version=origin.version,
        )

    def _store(self, item: Item, candidate: Candidate, facts: dict[str, Any]) -> None:
        self.objects.put_text(artifacts.source(candidate.sha256), candidate.source)
        self.objects.put_json(artifacts.proposal(item.lineage, item.attempt_id), facts)

    def _briefing(self, item: Item, incumbent: Candidate) -> Briefing:
        past = self.record.latest(item.lineage, HISTORY_LIMIT)
        return Briefing(
            attempt_id=item.attempt_id,
            lineage=item.lineage,
            version=item.version,
            incumbent=incumbent,
            seed=island_seed(self.search_seed, item.lineage, self.home),
            tried=frozenset(each.normalised_sha256 for each in past if each.normalised_sha256),
            outcomes=tuple(PastAttempt.of(each) for each in past),
        )

    def _refusal(self, item: Item, candidate: Candidate, shown: Candidate, policy: str) -> str:
        """Return why a candidate need not be tested, before a benchmark is paid for; "" if it should be."""
        state = self.control.state(item.lineage)
        if item.kind != "candidate" or not state.clip_set:
            return ""
        # Another slot may have moved the incumbent since it was shown.
        incumbent = shown if shown.sha256 == state.incumbent else self._candidate(state.incumbent)
        if candidate.normalised_sha256 == incumbent.normalised_sha256:
            return f"unchanged: the source means the same as that of version {state.version}"
        key = source_key(candidate.normalised_sha256, sha256_hex(policy), state.clip_set, RULE.version)
        known = self.record.tested(key, item.lineage)
        # An attempt that was skipped because of the framework tested nothing.
        if known is None or known.status == SKIPPED:
            return ""
        return f"already_tested: by attempt {known.attempt_id}"

    def _candidate(self, source_sha256: str) -> Candidate:
        return Candidate(artifacts.load_source(self.objects, source_sha256))


def describe(proposal: Proposal, policy_sha256: str, started_at: str) -> dict[str, Any]:
    """Return what Conclude needs to know of a proposal, as it is stored."""
    return {
        "source_sha256": proposal.candidate.sha256,
        "normalised_sha256": proposal.candidate.normalised_sha256,
        "policy_sha256": policy_sha256,
        "hypothesis": proposal.hypothesis,
        "proposal_summary": proposal.summary,
        "planner": proposal.planner,
        "model": proposal.model,
        "origin_lineage": proposal.origin_lineage,
        "origin_version": proposal.origin_version,
        "started_at": started_at,
    }


def _trial(draft: Draft, policy: str) -> dict[str, Any]:
    """Return what the sandbox is asked about a draft; without a probe, it is neither tuned nor trained."""
    trainer = draft.trainer if draft.probe else ""
    asked: dict[str, Any] = {
        "envelope": Envelope.seal(draft.candidate.source, policy).model_dump(mode="json"),
        "stages": [*TRIED, *(TRAINED if trainer else ()), *(PROBED if draft.probe else ())],
        "configs": [dict(each) for each in draft.configs] if draft.probe else [],
    }
    return asked | ({"trainer": {"source_zb64": pack_text(trainer)}} if trainer else {})


def _proposed(candidate: Candidate, policy: str, cost_usd: float) -> Planned:
    return Planned(next="candidate", envelope=Envelope.seal(candidate.source, policy), cost_usd=cost_usd)
