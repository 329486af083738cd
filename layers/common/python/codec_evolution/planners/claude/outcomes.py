"""How the outcome of a round is stored in the conversation, and read again when the round is repeated."""

from __future__ import annotations

from typing import Any

from codec_evolution import artifacts
from codec_evolution.candidate import Candidate
from codec_evolution.planner_specs import CLAUDE
from codec_evolution.planners.base import ContinueRound, Draft, NoProposal, Outcome, Proposal, ToolRequest
from codec_evolution.planners.claude.transcript import Transcript
from codec_evolution.ports import Objects


def stored_outcome(objects: Objects, outcome: Outcome, talk: Transcript) -> dict[str, Any]:
    """Return an outcome as JSON; its source goes to the bucket and becomes the conversation's draft."""
    if isinstance(outcome, NoProposal):
        return {"kind": "nothing", "reason": outcome.reason}
    if isinstance(outcome, ToolRequest):
        return {"kind": "tool", "request": dict(outcome.request)}
    if isinstance(outcome, ContinueRound):
        return {"kind": "again"}
    candidate = outcome.candidate
    objects.put_text(artifacts.source(candidate.sha256), candidate.source)
    talk.draft = candidate.sha256
    if isinstance(outcome, Draft):
        submission = dict(outcome.submission or {})
        kept = {"kind": "draft", "source_sha256": candidate.sha256, "submission": submission}
        configs = [dict(each) for each in outcome.configs]
        more = {"trainer": outcome.trainer} if outcome.trainer else {}
        return {**kept, "probe": outcome.probe, "no_probe": outcome.no_probe, "configs": configs, **more}
    return {
        "kind": "proposal",
        "source_sha256": candidate.sha256,
        "submission": {"hypothesis": outcome.hypothesis, "summary": outcome.summary},
        "model": outcome.model,
    }


def restored(objects: Objects, stored: dict[str, Any]) -> Outcome:
    """Return a stored outcome; raises `artifacts.SourceMissing`."""
    if stored["kind"] == "nothing":
        return NoProposal(stored["reason"])
    if stored["kind"] == "tool":
        return ToolRequest(stored["request"])
    if stored["kind"] == "again":
        return ContinueRound()
    if stored["kind"] == "draft":
        probe = {name: stored[name] for name in ("probe", "no_probe", "trainer") if name in stored}
        configs = tuple(stored.get("configs", ()))
        return Draft(candidate_of(objects, stored), stored["submission"], **probe, configs=configs)
    return proposal_of(objects, stored, stored["model"])


def proposal_of(objects: Objects, stored: dict[str, Any], model: str) -> Proposal:
    """Return the proposal that a stored submission has become."""
    return Proposal(candidate_of(objects, stored), **stored["submission"], planner=CLAUDE, model=model)


def candidate_of(objects: Objects, stored: dict[str, Any]) -> Candidate:
    """Return the candidate of a stored outcome."""
    return Candidate(artifacts.load_source(objects, stored["source_sha256"]))
