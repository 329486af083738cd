"""One round of planning: from an item to a candidate's envelope, stored before it is returned."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codec_evolution import artifacts, release
from codec_evolution.adoption import RULE
from codec_evolution.candidate import SourceError, check_source, normalised_sha256, sha256_hex, source_key
from codec_evolution.contracts import Envelope, Item, Planned, PlanRequest
from codec_evolution.planners.base import Briefing, Nothing, PastAttempt, Planner, Proposal
from codec_evolution.ports import Control, Objects, Record

HISTORY_LIMIT = 200
"""Attempts that a planner sees; bounds the items read per call whatever the history's length."""


class SourceMissing(Exception):
    """A source that the state names is not in the bucket."""


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
    planner: Planner | Nothing
    baseline: str
    search_seed: int
    now: Callable[[], str]

    def plan(self, request: PlanRequest) -> Planned:
        """Plan one round; a repeated call returns what the first one stored."""
        began, started_at, item = time.monotonic(), self.now(), request.item
        stored = self.objects.get_json(artifacts.proposal(item.lineage, item.attempt_id))
        if stored is not None:
            source = self._source(stored["source_sha256"])
            return self._candidate(item, source, stored.get("cost_usd", 0.0), began)
        proposal = self._propose(item)
        if isinstance(proposal, Nothing):
            return Planned(next="nothing", reason=proposal.reason, elapsed_s=time.monotonic() - began)
        policy = release.load_policy(self.objects, item.release)
        facts = describe(proposal, sha256_hex(policy), started_at)
        refusal = self._refusal(item, proposal.source, facts)
        if refusal:
            return Planned(next="nothing", reason=refusal, elapsed_s=time.monotonic() - began)
        self.objects.put_text(artifacts.source(facts["source_sha256"]), proposal.source)
        self.objects.put_json(artifacts.proposal(item.lineage, item.attempt_id), facts)
        return self._candidate(item, proposal.source, 0.0, began)

    def _propose(self, item: Item) -> Proposal | Nothing:
        if item.kind == "baseline":
            return Proposal(
                source=self.baseline,
                hypothesis="A plain block transform codec is the yardstick.",
                summary="Version 0, shipped with the system.",
                planner="baseline",
            )
        state = self.control.state(item.lineage)
        incumbent = self._source(state.incumbent)
        if item.kind == "incumbent":
            return Proposal(
                source=incumbent, hypothesis="", summary="The incumbent, measured again.", planner="baseline"
            )
        if isinstance(self.planner, Nothing):
            return self.planner
        return self.planner.propose(self._briefing(item, incumbent))

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

    def _refusal(self, item: Item, source: str, facts: dict[str, Any]) -> str:
        """Refuse a source before a benchmark is paid for."""
        try:
            check_source(source)
        except SourceError as error:
            return f"bad_source: {error}"
        clip_set = self.control.state(item.lineage).clip_set
        if item.kind != "candidate" or not clip_set:
            return ""
        key = source_key(facts["normalised_sha256"], facts["policy_sha256"], clip_set, RULE.version)
        known = self.record.tested(key)
        return f"already_tested: by attempt {known['attempt_id']}" if known else ""

    def _candidate(self, item: Item, source: str, cost_usd: float, began: float) -> Planned:
        policy = release.load_policy(self.objects, item.release)
        return Planned(
            next="candidate",
            envelope=Envelope.seal(source, policy),
            cost_usd=cost_usd,
            elapsed_s=time.monotonic() - began,
        )

    def _source(self, source_sha256: str) -> str:
        text = self.objects.get_text(artifacts.source(source_sha256))
        if text is None:
            raise SourceMissing(f"the bucket has no {artifacts.source(source_sha256)}")
        return text


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
