"""One round of planning: from an item to a candidate's envelope, stored before it is returned."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from codec_evolution import artifacts
from codec_evolution.candidate import SourceError, check_source, normalised_sha256, sha256_hex, source_key
from codec_evolution.contracts import Envelope, Item, Planned, PlanRequest
from codec_evolution.framework import release
from codec_evolution.judging.adoption import RULE
from codec_evolution.planners.base import (
    Again,
    Briefing,
    Desk,
    Draft,
    Nothing,
    OneRound,
    PastAttempt,
    Planner,
    Proposal,
    RoundPlanner,
    Step,
    ToolRequest,
)
from codec_evolution.ports import Control, Objects, Record
from codec_evolution.record import SKIPPED

HISTORY_LIMIT = 200
"""Attempts that a planner sees; bounds the items read per call whatever the history's length."""


@dataclass(frozen=True)
class PlanningRoom:
    """Everything one planning round needs.

    Attributes
    ----------
    planner
        The planner, or the reason why there is none (for example ``no_credential``).
    baseline
        Source of version 0.
    """

    record: Record
    control: Control
    objects: Objects
    planner: RoundPlanner | Planner | Nothing
    baseline: str
    search_seed: int
    now: Callable[[], str]

    def plan(self, request: PlanRequest) -> Planned:
        """Plan one round; a repeated call returns what the first one stored."""
        began, started_at, item = time.monotonic(), self.now(), request.item
        stored = self.objects.get_json(artifacts.proposal(item.lineage, item.attempt_id))
        if stored is not None:
            source = self._source(stored["source_sha256"])
            return self._sealed(item, "candidate", source, stored.get("cost_usd", 0.0), began)
        step = self._step(request)
        outcome, cost_usd = step.outcome, step.cost_usd
        if isinstance(outcome, Proposal):
            return self._handed_in(item, outcome, cost_usd, began, started_at)
        if isinstance(outcome, Draft):
            return self._sealed(item, "draft", outcome.source, cost_usd, began)
        answer = {"cost_usd": cost_usd, "elapsed_s": time.monotonic() - began}
        if isinstance(outcome, ToolRequest):
            return Planned(next="tool", request=dict(outcome.request), **answer)
        if isinstance(outcome, Again):
            return Planned(next="again", **answer)
        return Planned(next="nothing", reason=outcome.reason, **answer)

    def _step(self, request: PlanRequest) -> Step:
        item = request.item
        if item.kind == "baseline":
            proposal = Proposal(
                source=self.baseline,
                hypothesis="A plain block transform codec is the yardstick.",
                summary="Version 0, shipped with the system.",
                planner="baseline",
            )
            return Step(proposal)
        incumbent = self._source(self.control.state(item.lineage).incumbent)
        if item.kind == "incumbent":
            again = Proposal(
                source=incumbent, hypothesis="", summary="The incumbent, measured again.", planner="baseline"
            )
            return Step(again)
        if isinstance(self.planner, Nothing):
            usage = artifacts.model_usage(item.lineage, item.attempt_id)
            # A key may be gone in a later round, when dollars stand there already.
            if not self.objects.exists(usage):
                self.objects.put_json(usage, {"planner": self.planner.planner})
            return Step(self.planner)
        planner = self.planner if isinstance(self.planner, RoundPlanner) else OneRound(self.planner)
        policy = release.load_policy(self.objects, item.release)
        desk = Desk(
            item=item,
            round=request.round,
            answer=request.answer,
            incumbent_source=incumbent,
            policy_toml=policy,
            briefing=lambda: self._briefing(item, incumbent),
            refusal=lambda source: self._refusal(item, source, policy),
        )
        return planner.step(desk)

    def _handed_in(
        self, item: Item, proposal: Proposal, cost_usd: float, began: float, started_at: str
    ) -> Planned:
        policy = release.load_policy(self.objects, item.release)
        refusal = self._refusal(item, proposal.source, policy)
        if refusal:
            return Planned(
                next="nothing", reason=refusal, cost_usd=cost_usd, elapsed_s=time.monotonic() - began
            )
        facts = describe(proposal, sha256_hex(policy), started_at)
        self.objects.put_text(artifacts.source(facts["source_sha256"]), proposal.source)
        stored = {**facts, "cost_usd": cost_usd}
        self.objects.put_json(artifacts.proposal(item.lineage, item.attempt_id), stored)
        return self._sealed(item, "candidate", proposal.source, cost_usd, began)

    def _briefing(self, item: Item, incumbent: str) -> Briefing:
        past = self.record.latest(item.lineage, HISTORY_LIMIT)
        return Briefing(
            attempt_id=item.attempt_id,
            lineage=item.lineage,
            version=item.version,
            incumbent_source=incumbent,
            seed=self.search_seed,
            tried=frozenset(str(r["normalised_sha256"]) for r in past if "normalised_sha256" in r),
            outcomes=tuple(_past(r) for r in past),
        )

    def _refusal(self, item: Item, source: str, policy: str) -> str:
        """Refuse a source before a benchmark is paid for."""
        try:
            check_source(source)
        except SourceError as error:
            return f"bad_source: {error}"
        state = self.control.state(item.lineage)
        if item.kind != "candidate" or not state.clip_set:
            return ""
        normalised = normalised_sha256(source)
        if normalised == normalised_sha256(self._source(state.incumbent)):
            return f"unchanged: the source means the same as that of version {state.version}"
        key = source_key(normalised, sha256_hex(policy), state.clip_set, RULE.version)
        known = self.record.tested(key)
        # What the framework spoilt was not tested.
        if known is None or known["status"] == SKIPPED:
            return ""
        return f"already_tested: by attempt {known['attempt_id']}"

    def _sealed(
        self, item: Item, following: Literal["candidate", "draft"], source: str, cost_usd: float, began: float
    ) -> Planned:
        policy = release.load_policy(self.objects, item.release)
        envelope = Envelope.seal(source, policy)
        draft = {"envelope": envelope.model_dump(mode="json")} if following == "draft" else None
        return Planned(
            next=following,
            envelope=envelope if following == "candidate" else None,
            request=draft,
            cost_usd=cost_usd,
            elapsed_s=time.monotonic() - began,
        )

    def _source(self, source_sha256: str) -> str:
        return artifacts.load_source(self.objects, source_sha256)


def describe(proposal: Proposal, policy_sha256: str, started_at: str) -> dict[str, Any]:
    """Return what Conclude will need to know of a proposal."""
    return {
        "source_sha256": sha256_hex(proposal.source),
        "normalised_sha256": normalised_sha256(proposal.source),
        "policy_sha256": policy_sha256,
        "hypothesis": proposal.hypothesis,
        "proposal_summary": proposal.summary,
        "planner": proposal.planner,
        "model": proposal.model,
        "started_at": started_at,
    }


def _past(record: dict[str, Any]) -> PastAttempt:
    return PastAttempt(
        attempt_id=record["attempt_id"],
        status=record["status"],
        reason=record.get("reason", ""),
        hypothesis=record.get("hypothesis", ""),
        bitrate_mbps=record.get("bitrate_mbps"),
        bd_rate_vs_incumbent=record.get("bd_rate_vs_incumbent"),
        planner=record.get("planner", ""),
    )
