"""What is committed to the git repository, with which message, and in which order."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any, Protocol

from codec_evolution.candidate import sha256_hex
from codec_evolution.clock import format_time, parse_time
from codec_evolution.planner_specs import BASELINE, PLANNERS, author_label

CODEC_FILE = "codec/evolved_codec.py"
METRICS_FILE = "codec/metrics.json"
MAIN_LINEAGE = "main"
FRAMEWORK_BRANCH = "self-improved-framework"
FRAMEWORK_AGENT = "AI Video Codec Autonomous Framework Modifier"

ATTEMPT = "Attempt"
MODIFICATION = "Modification"
"""Names of the trailers by which a repeated commit is recognised."""

TEXT_LIMIT = 500
SUBJECT_LIMIT = 100

PUBLIC_FIGURES = (
    "bitrate_mbps",
    "compression_ratio",
    "psnr_db",
    "ms_ssim",
    "bd_rate_vs_incumbent",
    "bd_rate_vs_hevc",
)
PUBLIC_TEXTS = (
    "achievement",
    "attempt_id",
    "clip_set",
    "finished_at",
    "hypothesis",
    "improvement",
    "lineage",
    "model",
    "planner",
    "prompt_sha256",
    "rule_version",
    "source_sha256",
    "started_at",
    "summary",
)
"""What of a record may be public: figures of the training windows and how they came about. Everything else
(held-out figures, transcripts, costs, ARNs, keys of the bucket) stays out because it is not named here."""


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


def version_commit(record: Mapping[str, Any], source: str, previous: Mapping[str, Any] | None) -> CommitPlan:
    """Return the commit of one adopted version.

    Parameters
    ----------
    record
        The adopted attempt, attributes as in the evolution record.
    source
        The source that was tested; it must have the hash that the record names.
    previous
        The record of the parent version, for the comparison in the message, or None.

    Raises
    ------
    ValueError
        The source is not the tested one, or an attribute is missing or malformed; the message names it.
    """
    if sha256_hex(source) != record.get("source_sha256"):
        raise ValueError("source_sha256: the source is not the one that was tested and adopted")
    lineage = _identifier(record, "lineage")
    return CommitPlan(
        files={CODEC_FILE: source, METRICS_FILE: _metrics(record)},
        message=_version_message(record, previous),
        branch=None if lineage == MAIN_LINEAGE else f"lineage-{lineage}",
        trailer=ATTEMPT,
        author=EVOLUTION,
    )


def framework_commit(modification: Mapping[str, Any]) -> CommitPlan:
    """Return the commit of one applied framework modification.

    Parameters
    ----------
    modification
        ``modification_id``, ``reason``, ``applied_at`` (ISO 8601), ``changed`` (a list of ``path``, ``content``
        and ``sha256``; content None for a deleted file), and optionally ``attempt_id``, ``planner`` and, when it
        undoes another modification, ``rolls_back``.

    Raises
    ------
    ValueError
        An attribute is missing or malformed, a content does not have its hash, or a path is not one that a
        framework modification may have.
    """
    files = {_framework_path(change): _checked_content(change) for change in modification.get("changed", ())}
    if not files:
        raise ValueError("changed: the modification changed no file")
    return CommitPlan(
        files=files,
        message=_framework_message(modification, sorted(files)),
        branch=FRAMEWORK_BRANCH,
        trailer=MODIFICATION,
        author=FRAMEWORK_MODIFIER,
    )


def reconcile(
    versions_due: Iterable[Mapping[str, Any]],
    load_source: Callable[[Mapping[str, Any]], str],
    repository: Repository,
    *,
    on_away: Callable[[GithubAway], None],
    previous: Mapping[str, Any] | None = None,
) -> Iterator[Committed]:
    """Commit every due version in order of version; running it again commits nothing twice.

    Parameters
    ----------
    versions_due
        Records of adopted attempts of one lineage.
    load_source
        Returns the tested source of a record.
    on_away
        Called once if GitHub is away; the iteration then ends, and what was not yielded is still due.
    previous
        Record of the version before the first due one, for the comparison in its message.

    Raises
    ------
    GithubRefused, ValueError
        As `Repository.commit_files` and `version_commit`; what was yielded before stands.
    """
    for record in sorted(versions_due, key=lambda due: _version(due, "adopted_version")):
        plan = version_commit(record, load_source(record), previous)
        try:
            sha = push(plan, repository)
        except GithubAway as away:
            on_away(away)
            return
        yield Committed(record["lineage"], record["attempt_id"], _version(record, "adopted_version"), sha)
        previous = record


def push(plan: CommitPlan, repository: Repository) -> str:
    """Make a planned commit and return its hash."""
    return repository.commit_files(
        plan.branch, plan.files, plan.message, author=plan.author, trailer=plan.trailer
    )


def trailer_of(message: str, name: str) -> str | None:
    """Return the value of a trailer; only the last paragraph of a message, never its subject, holds trailers."""
    paragraphs = message.replace("\r\n", "\n").strip().split("\n\n")
    if len(paragraphs) < 2:
        return None
    lines = paragraphs[-1].split("\n")
    return next((line[len(name) + 2 :].strip() for line in lines if line.startswith(f"{name}: ")), None)


def one_line(text: object, limit: int = TEXT_LIMIT) -> str:
    """Return a text that a model wrote as one harmless line.

    Control, format and emoji characters go, white space is folded, and what GitHub would act on in a commit
    message or pull request (mentions, issue references, links, ``[skip ci]``) is broken up.

    Parameters
    ----------
    limit
        Largest number of characters, with the ellipsis of a cut.
    """
    kept = "".join(_harmless(character) for character in str(text))
    for pattern, replacement in _ACTIVE:
        kept = pattern.sub(replacement, kept)
    folded = " ".join(kept.split())
    return folded if len(folded) <= limit else folded[: limit - 3].rstrip() + "..."


_ACTIVE = (
    (re.compile(r"#(?=\d)"), "# "),
    (re.compile(r"@(?=\w)"), "@ "),
    (re.compile(r"\bGH-(?=\d)", re.IGNORECASE), "GH "),
    (re.compile(r"://"), ": //"),
    (re.compile(r"\["), "("),
    (re.compile(r"\]"), ")"),
    (re.compile(r"<"), "("),
    (re.compile(r">(?=\S)"), "> "),
)


def _harmless(character: str) -> str:
    category = unicodedata.category(character)
    if category.startswith("C") or category in ("Zl", "Zp"):
        return " "
    is_emoji = category == "So" and ord(character) >= 0x2600
    return "" if is_emoji else character


def _version_message(record: Mapping[str, Any], previous: Mapping[str, Any] | None) -> str:
    version = _version(record, "adopted_version")
    bitrate, ratio = _figure(record, "bitrate_mbps"), _figure(record, "compression_ratio")
    planner = str(record.get("planner", ""))
    who = author_label(planner)
    deed = "Baseline codec" if planner == BASELINE else f"{who} evolved codec to"
    paragraphs = [
        f"Autonomous Code Evolution - v{version}",
        f"{deed} v{version} - {bitrate:.2f} Mbps, {ratio:.2f}x compression",
        "Performance Metrics:\n"
        f"  • Bitrate: {bitrate:.2f} Mbps{_at_quality(record)}{_against(record, previous)}\n"
        f"  • Compression: {ratio:.2f}x\n"
        f"  • Improvement: {_improvement(record)}",
        _paragraph("Hypothesis", record.get("hypothesis")),
        f"Timestamp: {_time(record, 'finished_at')}\nEvolved by: {_evolved_by(record)}",
        f"{ATTEMPT}: {_identifier(record, 'attempt_id')}\nSource-Sha256: {_identifier(record, 'source_sha256')}",
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _framework_message(modification: Mapping[str, Any], paths: list[str]) -> str:
    who = author_label(str(modification.get("planner", "")))
    reason = one_line(modification.get("reason", ""))
    if not reason:
        raise ValueError("reason: a framework modification needs one")
    subject = one_line(f"{who}: {reason}", SUBJECT_LIMIT)
    trailers = [f"{MODIFICATION}: {_identifier(modification, 'modification_id')}"]
    if "rolls_back" in modification:
        trailers.append(f"Rolls-Back: {_identifier(modification, 'rolls_back')}")
    if "attempt_id" in modification:
        trailers.append(f"{ATTEMPT}: {_identifier(modification, 'attempt_id')}")
    paragraphs = [
        subject,
        _paragraph("Reason", reason) if subject.endswith("...") else "",
        "\n".join(f"File: {path}" for path in paths)
        + f"\nTimestamp: {_time(modification, 'applied_at')}\nAgent: {FRAMEWORK_AGENT}",
        "\n".join(trailers),
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _metrics(record: Mapping[str, Any]) -> str:
    metrics: dict[str, Any] = {"version": _version(record, "adopted_version")}
    if record.get("parent_version") is not None:
        metrics["parent_version"] = _version(record, "parent_version")
    if record.get("confirmed") is not None:
        metrics["confirmed"] = bool(record["confirmed"])
    metrics |= {name: _figure(record, name) for name in PUBLIC_FIGURES if record.get(name) is not None}
    metrics |= {name: one_line(record[name]) for name in PUBLIC_TEXTS if record.get(name)}
    return json.dumps(metrics, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _improvement(record: Mapping[str, Any]) -> str:
    text = one_line(record.get("improvement", ""), SUBJECT_LIMIT)
    if not text or record.get("parent_version") is None:
        return "none to compare with"
    parent = _version(record, "parent_version")
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*% ?(.*)", text)
    if parts is None:
        return f"{text}, against v{parent}"
    return f"{float(parts[1]):.1f}% better than v{parent}" + (f" ({parts[2]})" if parts[2] else "")


def _at_quality(record: Mapping[str, Any]) -> str:
    return f" at {_figure(record, 'psnr_db'):.2f} dB" if record.get("psnr_db") is not None else ""


def _against(record: Mapping[str, Any], previous: Mapping[str, Any] | None) -> str:
    """Name the parent's rate, but only where both were measured on the same clips."""
    if previous is None or record.get("clip_set") != previous.get("clip_set"):
        return ""
    parent = _version(previous, "adopted_version")
    if record.get("parent_version") != parent:
        return ""
    return f" (v{parent}: {_figure(previous, 'bitrate_mbps'):.2f} Mbps)"


def _evolved_by(record: Mapping[str, Any]) -> str:
    planner = str(record.get("planner", ""))
    if planner == BASELINE:
        return "nobody, this is the baseline that ships"
    if planner in PLANNERS and not PLANNERS[planner].language_model:
        return f"{planner} planner, without a language model"
    model = one_line(record.get("model", ""), SUBJECT_LIMIT)
    return "LLM Autonomous System" + (f" ({model})" if model else "")


def _paragraph(name: str, text: object) -> str:
    """Return a wrapped paragraph whose later lines are indented, so that none of them looks like a trailer."""
    line = one_line(text) if text else ""
    return textwrap.fill(f"{name}: {line}", 100, subsequent_indent="  ") if line else ""


def _figure(record: Mapping[str, Any], name: str) -> float:
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not isfinite(value):
        raise ValueError(f"{name}: not a finite number")
    return float(value)


def _version(record: Mapping[str, Any], name: str) -> int:
    value = _figure(record, name)
    if value != int(value) or value < 0:
        raise ValueError(f"{name}: not a whole number of 0 or more")
    return int(value)


def _time(record: Mapping[str, Any], name: str) -> str:
    try:
        return format_time(parse_time(str(record.get(name, ""))))
    except ValueError:
        raise ValueError(f"{name}: not an ISO 8601 time") from None


def _identifier(record: Mapping[str, Any], name: str) -> str:
    """Return an identifier as it stands: changing it would make two of one, and a commit would be lost."""
    value = str(record.get(name, ""))
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9:.#_+-]{0,199}", value):
        raise ValueError(f"{name}: not an identifier of at most 200 letters, digits and :.#_+-")
    return value


def _framework_path(change: Mapping[str, Any]) -> str:
    """Return a path that may be committed.

    The host judges the tiers; this keeps a host that was taken over from pushing what GitHub itself would act
    on (workflows, git's own files): no part of a path begins with a dot.
    """
    path = str(change.get("path", ""))
    if not re.fullmatch(r"[\w+ ./-]{1,300}", path, re.ASCII) or path != path.strip():
        raise ValueError("path: not a plain relative path of at most 300 letters, digits and _+-./")
    if any(part == "" or part.startswith(".") for part in path.split("/")):
        raise ValueError("path: absolute paths and names that begin with a dot are not committed")
    return path


def _checked_content(change: Mapping[str, Any]) -> str | bytes | None:
    content = change.get("content")
    if content is None:
        return None
    data = content if isinstance(content, bytes) else str(content).encode("utf-8")
    if hashlib.sha256(data).hexdigest() != change.get("sha256"):
        raise ValueError(f"sha256: the content of {change['path']} is not the one that the host wrote")
    return content
