"""What is committed to the git repository, with which message, and in which order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from codec_evolution.candidate import sha256_hex
from codec_evolution.loop.commit_message import (
    ATTEMPT,
    MODIFICATION,
    AppliedModification,
    VersionFacts,
    framework_message,
    one_line,
    version_message,
)
from codec_evolution.loop.islands import branch_of
from codec_evolution.record import PUBLIC, Attempt

CODEC_FILE = "codec/evolved_codec.py"
METRICS_FILE = "codec/metrics.json"
FRAMEWORK_BRANCH = "self-improved-framework"


class GithubAway(Exception):
    """GitHub cannot be reached or asks to wait; the same commit is tried again in a later cycle."""


class GithubRefused(Exception):
    """GitHub refuses the credential, the repository or the change; the message says what a person must do."""


@dataclass(frozen=True)
class Author:
    """Who a commit says it is by."""

    name: str
    email: str


EVOLUTION = Author("Codec Evolution", "evolution@codec-evolution.invalid")
FRAMEWORK_MODIFIER = Author("Codec Evolution Framework Modifier", "framework@codec-evolution.invalid")


@dataclass(frozen=True)
class CommitPlan:
    """One atomic commit.

    Attributes
    ----------
    files
        Contents by repository path; None deletes the path.
    branch
        None for the branch that the operator's settings name for lineage ``main``.
    trailer
        Name of the trailer of ``message`` that identifies the commit when it is repeated.
    """

    files: Mapping[str, str | bytes | None]
    message: str
    branch: str | None
    trailer: str
    author: Author


@dataclass(frozen=True)
class Committed:
    """A version that is in the repository."""

    lineage: str
    attempt_id: str
    version: int
    sha: str


class Repository(Protocol):
    """A git repository to which whole commits can be pushed."""

    def commit_files(
        self,
        branch: str | None,
        files: Mapping[str, str | bytes | None],
        message: str,
        *,
        author: Author,
        trailer: str = ATTEMPT,
    ) -> str:
        """Return the hash of the commit that carries the message's trailer, made now or found."""
        ...


def version_commit(attempt: Attempt, source: str, previous: Attempt | None) -> CommitPlan:
    """Return the commit of one adopted version.

    Parameters
    ----------
    source
        The source that was tested; it must have the hash that the record names.
    previous
        The record of the parent version, for the comparison in the message, or None.

    Raises
    ------
    ValueError
        The source is not the tested one, or an attribute is missing; the message names it.
    """
    facts = VersionFacts.from_item(attempt.to_item())
    if sha256_hex(source) != facts.source_sha256:
        raise ValueError("source_sha256: the source is not the one that was tested and adopted")
    return CommitPlan(
        files={CODEC_FILE: source, METRICS_FILE: _metrics(attempt, facts)},
        message=version_message(attempt, facts, previous),
        branch=branch_of(attempt.lineage),
        trailer=ATTEMPT,
        author=EVOLUTION,
    )


def framework_commit(modification: Mapping[str, Any]) -> CommitPlan:
    """Return the commit of one applied framework modification.

    Parameters
    ----------
    modification
        The attributes of `AppliedModification`; others are ignored.

    Raises
    ------
    ValueError
        An attribute is missing or malformed, a content does not have its hash, or a path is not one that a
        framework modification may have.
    """
    applied = AppliedModification.from_item(modification)
    for file in applied.changed:
        if not file.is_intact():
            raise ValueError(f"sha256: the content of {file.path} is not the one that the host wrote")
    return CommitPlan(
        files={file.path: file.content for file in applied.changed},
        message=framework_message(applied),
        branch=FRAMEWORK_BRANCH,
        trailer=MODIFICATION,
        author=FRAMEWORK_MODIFIER,
    )


def reconcile(
    versions_due: Iterable[Attempt],
    load_source: Callable[[Attempt], str],
    repository: Repository,
    *,
    on_away: Callable[[GithubAway], None],
    previous: Attempt | None = None,
) -> Iterator[Committed]:
    """Commit every due version in order of version; running it again commits nothing twice.

    Parameters
    ----------
    versions_due
        Adopted attempts of one lineage.
    load_source
        Returns the tested source of an attempt.
    on_away
        Called once if GitHub is away; the iteration then ends, and what was not yielded is still due.
    previous
        Record of the version before the first due one, for the comparison in its message.

    Raises
    ------
    GithubRefused, ValueError
        As `Repository.commit_files` and `version_commit`, or a record lacks what its commit must say; what was
        yielded before stands.
    """
    for attempt in sorted(versions_due, key=lambda due: due.adopted_version or 0):
        version = VersionFacts.from_item(attempt.to_item()).adopted_version
        plan = version_commit(attempt, load_source(attempt), previous)
        try:
            sha = push(plan, repository)
        except GithubAway as away:
            on_away(away)
            return
        yield Committed(attempt.lineage, attempt.attempt_id, version, sha)
        previous = attempt


def push(plan: CommitPlan, repository: Repository) -> str:
    """Make a planned commit and return its hash."""
    return repository.commit_files(
        plan.branch, plan.files, plan.message, author=plan.author, trailer=plan.trailer
    )


def _metrics(attempt: Attempt, facts: VersionFacts) -> str:
    values = attempt.to_item()
    metrics: dict[str, Any] = {"version": facts.adopted_version}
    for name in ("parent_version", "confirmed", *PUBLIC):
        if name in values:
            value = values[name]
            metrics[name] = one_line(value) if isinstance(value, str) else value
    return json.dumps(metrics, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
