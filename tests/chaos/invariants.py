"""What must hold after any fault and one clean cycle, read from stored data alone: tables, bucket, git repository."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from codec_evolution import artifacts
from codec_evolution.loop.commit import CODEC_FILE, METRICS_FILE
from codec_evolution.loop.cycle import PREPARATION
from codec_evolution.loop.islands import MAIN_LINEAGE
from codec_evolution.planners.claude.transcript import Transcript
from codec_evolution.ports import LoopState
from codec_evolution.record import DEPLOYED, STATUSES

from infra.local.session import Session

CENT = 1e-4
"""Dollars are stored with six digits, rounded up call by call."""
VERDICT = (
    "status",
    "reason",
    "adopted_version",
    "source_sha256",
    "version",
    "parent_version",
    "llm_cost_usd",
)
"""Attributes that never change once they are written."""


@dataclass(frozen=True)
class Bill:
    """What a lineage owes.

    Attributes
    ----------
    paid_usd
        Dollars of the answers that the provider gave.
    stranded
        Reservations that may have been left booked, because a process died or an answer was lost.
    """

    paid_usd: float
    stranded: int


@dataclass(frozen=True)
class Commit:
    """One commit of a lineage's branch."""

    sha: str
    attempt_id: str
    source_sha256: str
    metrics: Mapping[str, Any]


class Stored:
    """Everything that is stored of one lineage."""

    def __init__(self, session: Session, lineage: str) -> None:
        self._session = session
        self.lineage = lineage

    @cached_property
    def records(self) -> dict[str, dict[str, Any]]:
        """Records by attempt id."""
        return {each.attempt_id: each.to_item() for each in self._session.record.every(self.lineage)}

    @cached_property
    def state(self) -> LoopState:
        """The loop's state."""
        return self._session.control.state(self.lineage)

    @cached_property
    def keys(self) -> list[str]:
        """Keys of the artifacts of all attempts."""
        return list(self._session.bucket.keys(f"attempts/{self.lineage}/"))

    @cached_property
    def journals(self) -> dict[str, dict[str, Any]]:
        """Journalled records by attempt id."""
        found = (self._session.bucket.get_json(key) for key in self.keys if key.endswith("/record.json"))
        return {each["attempt_id"]: each for each in found if each}

    @cached_property
    def spent_usd(self) -> float:
        """Dollars that the counters of all days hold."""
        return sum(day.spent_usd for day in self._session.control.days(self.lineage, 100))

    @cached_property
    def usage(self) -> list[dict[str, Any]]:
        """What the model used for each attempt."""
        found = (self._session.bucket.get_json(key) for key in self.keys if key.endswith("/model_usage.json"))
        return [each for each in found if each]

    @cached_property
    def worst_usd(self) -> float:
        """The dearest reservation of one call."""
        stored = (self._session.bucket.get_json(key) for key in self.keys if key.endswith("/transcript.json"))
        talks = [Transcript.from_json(each) for each in stored if each]
        reserved = [call.reserved_usd for talk in talks for call in talk.calls]
        return max([*reserved, *(each.get("llm_cost_usd", 0.0) for each in self.usage)], default=0.0)

    @cached_property
    def commits(self) -> list[Commit]:
        """Commits of the lineage's branch that carry an attempt, oldest first."""
        git_dir = self._session.git_dir
        branch = "main" if self.lineage == MAIN_LINEAGE else f"lineage-{self.lineage}"
        trailer = "%(trailers:key=Attempt,valueonly,separator=)"
        log = _git(git_dir, "log", "--reverse", f"--format=%H %x00{trailer}%x01", branch, "--", check=False)
        pairs = [entry.strip().split(" \0") for entry in log.decode().split("\1") if entry.strip()]
        return [self._commit(git_dir, sha, attempt) for sha, attempt in pairs if attempt.strip()]

    def source(self, source_sha256: str) -> str | None:
        """Return an artifact's source."""
        return self._session.bucket.get_text(artifacts.source(source_sha256))

    @staticmethod
    def _commit(git_dir: Path, sha: str, attempt: str) -> Commit:
        source = _git(git_dir, "show", f"{sha}:{CODEC_FILE}")
        metrics = json.loads(_git(git_dir, "show", f"{sha}:{METRICS_FILE}"))
        return Commit(sha, attempt.strip(), hashlib.sha256(source).hexdigest(), metrics)


def violations(stored: Stored, bill: Bill) -> list[str]:
    """Return every broken invariant as a sentence; none is the right answer."""
    return [
        *_attempts(stored),
        *_versions(stored),
        *_commits(stored),
        *_lease(stored),
        *_dollars(stored, bill),
    ]


def _attempts(stored: Stored) -> Iterator[str]:
    """Every attempt has ended, once, as its journal says."""
    begun = {key.split("/")[2] for key in stored.keys}
    ended = {each.replace("#", "_") for each in stored.records}
    for folder in sorted(begun - ended):
        if not folder.endswith(f"_{PREPARATION}"):
            yield f"attempt {folder} has begun and has no record"
    for attempt_id, record in stored.records.items():
        if record.get("status") not in STATUSES:
            yield f"attempt {attempt_id} has the status {record.get('status')!r}"
        journalled = stored.journals.get(attempt_id)
        if journalled is None:
            yield f"attempt {attempt_id} has a record and no journal"
            continue
        changed = [name for name in VERDICT if journalled.get(name) != record.get(name)]
        if changed:
            yield f"attempt {attempt_id} has another {', '.join(changed)} in its journal than in its record"
    for attempt_id in set(stored.journals) - set(stored.records):
        yield f"attempt {attempt_id} has a journal and no record"


def _versions(stored: Stored) -> Iterator[str]:
    """Versions are adopted once each and in order; the state names the last."""
    adopted = [each for each in stored.records.values() if "adopted_version" in each]
    counts = Counter(each["adopted_version"] for each in adopted)
    for version, count in counts.items():
        if count > 1:
            yield f"version {version} was adopted {count} times"
    if sorted(counts) != list(range(stored.state.version + 1)):
        yield f"the versions are {sorted(counts)} where the state has {stored.state.version}"
    for record in adopted:
        if record["status"] != "adopted":
            yield f"attempt {record['attempt_id']} has a version and is {record['status']}"
        source = stored.source(record["source_sha256"])
        if source is None or hashlib.sha256(source.encode()).hexdigest() != record["source_sha256"]:
            yield f"the artifact of version {record['adopted_version']} is not its source"
        if record["adopted_version"] == stored.state.version and (
            (record["source_sha256"], record["attempt_id"])
            != (stored.state.incumbent, stored.state.incumbent_attempt)
        ):
            yield f"version {stored.state.version} is not the incumbent that the state names"


def _commits(stored: Stored) -> Iterator[str]:
    """Every version is committed, once, in order, byte for byte."""
    adopted = {each["adopted_version"]: each for each in stored.records.values() if "adopted_version" in each}
    wanted = [adopted[version]["attempt_id"] for version in sorted(adopted)]
    if [each.attempt_id for each in stored.commits] != wanted:
        yield f"the commits are of {[each.attempt_id for each in stored.commits]}, the versions of {wanted}"
    if stored.state.committed_version != stored.state.version:
        yield f"version {stored.state.committed_version} is noted as committed, {stored.state.version} is adopted"
    for commit in stored.commits:
        record = stored.records.get(commit.attempt_id, {})
        hashes = {commit.source_sha256, commit.metrics["source_sha256"], record.get("source_sha256")}
        if len(hashes) != 1:
            yield f"commit {commit.sha[:12]} holds another source than attempt {commit.attempt_id}"
        if (record.get("github_commit_hash"), record.get("deployment_status")) != (commit.sha, DEPLOYED):
            yield f"attempt {commit.attempt_id} does not name its commit {commit.sha[:12]}"


def _lease(stored: Stored) -> Iterator[str]:
    """Nobody holds the lease, and nothing that was handed out is open."""
    if stored.state.execution:
        yield f"the lease is held by {stored.state.execution}"
    for attempt_id in stored.state.due:
        if attempt_id not in stored.records:
            yield f"attempt {attempt_id} is due and has no record"


def _dollars(stored: Stored, bill: Bill) -> Iterator[str]:
    """Every answer is paid for once: by the day's counter, the conversation and the record."""
    used = sum(each.get("llm_cost_usd", 0.0) for each in stored.usage)
    probes = sum(each.get("probe_cost_usd", 0.0) for each in stored.usage)
    recorded = sum(each.get("llm_cost_usd", 0.0) for each in stored.records.values())
    slack = bill.stranded * stored.worst_usd + CENT
    if abs(recorded - used) > CENT:
        yield f"{recorded:.6f} USD are on the records, {used:.6f} were used by attempts"
    if min(used, stored.spent_usd - probes) < bill.paid_usd - CENT:
        yield f"{stored.spent_usd:.6f} USD are booked for the day, {used:.6f} used, {bill.paid_usd:.6f} were paid"
    if max(used, stored.spent_usd - probes) > bill.paid_usd + slack:
        yield (
            f"{stored.spent_usd:.6f} USD are booked for the day, {used:.6f} used, {bill.paid_usd:.6f} were paid, and "
            f"{bill.stranded} calls were cut short that cost at most {stored.worst_usd:.6f} each"
        )


def _git(git_dir: Path, *arguments: str, check: bool = True) -> bytes:
    command = ["git", "--git-dir", str(git_dir), *arguments]
    return subprocess.run(command, capture_output=True, check=check, timeout=30).stdout
