"""The keys of the artifact bucket."""

from __future__ import annotations

from typing import Any

from codec_evolution.candidate import sha256_hex
from codec_evolution.contracts import Report
from codec_evolution.ports import Objects
from codec_evolution.record import ProposalFacts

HELD_OUT = "operators/held_out"
"""The operators' prefix: the planner's role may not read below it, and commits take nothing from it."""

MODIFICATIONS = "modifications"


def source(source_sha256: str) -> str:
    """Return the key of a candidate's source, named by its content."""
    return f"sources/{source_sha256}.py"


class SourceMissing(Exception):
    """A source that the state or a record names is not in the bucket, or is another one."""


def load_source(objects: Objects, source_sha256: str) -> str:
    """Return a candidate's source; raises `SourceMissing`."""
    text = objects.get_text(source(source_sha256))
    if text is None:
        raise SourceMissing(f"the bucket has no {source(source_sha256)}")
    # Plan may write every source, so its code could replace one.
    if sha256_hex(text) != source_sha256:
        raise SourceMissing(f"{source(source_sha256)} holds another source than its name says")
    return text


def load_report(objects: Objects, key: str) -> Report | None:
    """Return a stored report; None when there is none."""
    stored = objects.get_json(key)
    return None if stored is None else Report.model_validate(stored)


def load_facts(objects: Objects, lineage: str, attempt_id: str) -> ProposalFacts:
    """Return what Plan has stored of an attempt: its proposal, and what the language model used for it."""
    usage: dict[str, Any] | None = objects.get_json(model_usage(lineage, attempt_id))
    proposed: dict[str, Any] | None = objects.get_json(proposal(lineage, attempt_id))
    return ProposalFacts.from_item({**(usage or {}), **(proposed or {})})


def attempt(lineage: str, attempt_id: str) -> str:
    """Return the prefix of an attempt's artifacts."""
    return f"attempts/{lineage}/{attempt_id.replace('#', '_')}"


def proposal(lineage: str, attempt_id: str) -> str:
    """Return the key of what Plan stored of an attempt's proposal."""
    return f"{attempt(lineage, attempt_id)}/proposal.json"


def transcript(lineage: str, attempt_id: str) -> str:
    """Return the key of the conversation with the planner's language model."""
    return f"{attempt(lineage, attempt_id)}/transcript.json"


def trials(lineage: str, attempt_id: str) -> str:
    """Return the key of the bundles that the offline search has probed in an attempt."""
    return f"{attempt(lineage, attempt_id)}/trials.json"


def model_usage(lineage: str, attempt_id: str) -> str:
    """Return the key of what the language model used for an attempt: tokens, dollars, prompt hashes."""
    return f"{attempt(lineage, attempt_id)}/model_usage.json"


def report(lineage: str, attempt_id: str) -> str:
    """Return the key of an attempt's report on the training windows."""
    return f"{attempt(lineage, attempt_id)}/report.json"


def journal(lineage: str, attempt_id: str) -> str:
    """Return the key of the record as written before its transaction, so that a lost write can be replayed."""
    return f"{attempt(lineage, attempt_id)}/record.json"


def notes(lineage: str, version: int) -> str:
    """Return the key of one version of a lineage's notes."""
    return f"memory/{lineage}/{version:06d}.json"


def latest_notes(lineage: str) -> str:
    """Return the key of a lineage's newest notes."""
    return f"memory/{lineage}/latest.json"


def training_curve(source_sha256: str, seed: str) -> str:
    """Return the key of a source's report on a contest's training windows."""
    return f"curves/{source_sha256}/{seed}.json"


def held_out_curve(source_sha256: str, seed: str) -> str:
    """Return the key of a source's report on a contest's held-out windows."""
    return f"{HELD_OUT}/curves/{source_sha256}/{seed}.json"


def _curves(source_sha256: str, split: str) -> str:
    """Return the prefix of a source's reports on one side of contests; the held-out side is for operators."""
    return f"{HELD_OUT}/curves/{source_sha256}" if split == "held_out" else f"curves/{source_sha256}"


def window_report(source_sha256: str, split: str, of_attempt: str, window: str) -> str:
    """Return the key of what one attempt, named by its prefix, measured on one window, passed or failed."""
    return f"{_curves(source_sha256, split)}/{of_attempt}/{window}.json"


def known_window(report: Report, split: str, window: str) -> str:
    """Return the key under which a window is found by its source, policy and clip set, whoever measured it."""
    measured_as = f"{report.policy_sha256[:16]}-{report.clip_set[:16]}"
    return f"{_curves(report.source_sha256, split)}/known/{measured_as}/{window}.json"


def look(lineage: str, attempt_id: str) -> str:
    """Return the key of the note that an attempt's held-out evaluation was counted."""
    return f"{attempt(lineage, attempt_id)}/look.json"


def held_out_report(lineage: str, attempt_id: str) -> str:
    """Return the key of an attempt's report on the held-out windows, passed or failed."""
    return f"{HELD_OUT}/{attempt(lineage, attempt_id)}/report.json"


def held_out_verdict(lineage: str, attempt_id: str) -> str:
    """Return the key of an attempt's verdict with its held-out figures."""
    return f"{HELD_OUT}/{attempt(lineage, attempt_id)}/verdict.json"


def release(release_sha256: str, name: str) -> str:
    """Return the key of one file of a release."""
    return f"releases/{release_sha256}/{name}"


def modification(modification_id: str, name: str) -> str:
    """Return the key of one file of a framework modification: ``request.json``, ``result.json``, a state."""
    return f"{MODIFICATIONS}/{modification_id.replace('#', '_')}/{name}"


def image_lock(lock_sha256: str) -> str:
    """Return the key of a lock file that a sandbox image is built from, named by its content."""
    return f"framework/images/{lock_sha256}/requirements.lock"


def framework_overlay(path: str) -> str:
    """Return the key of a changed framework file, by which a new host restores its checkout."""
    return f"framework/overlay/{path}"


def picture(lineage: str, attempt_id: str) -> str:
    """Return the key of how the version that an attempt became looks decoded."""
    return f"pictures/{lineage}/{attempt_id.replace('#', '_')}.json"


def audit(lineage: str, version: int, video_sha256: str) -> str:
    """Return the key of a version's full-size audit on one video."""
    return f"{audits(lineage, version)}{video_sha256[:12]}.json"


def audits(lineage: str, version: int) -> str:
    """Return the prefix of a version's full-size audits."""
    return f"audits/{lineage}/v{version}/"
