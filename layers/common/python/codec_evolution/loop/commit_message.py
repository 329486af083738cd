"""The messages of commits: what they say, and what keeps a model's text from acting in them."""

from __future__ import annotations

import hashlib
import re
import textwrap
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from codec_evolution.clock import format_time, parse_time
from codec_evolution.framework.visible_text import is_hidden
from codec_evolution.planner_specs import BASELINE, PLANNERS, author_label
from codec_evolution.record import Attempt, Attributes, Identifier, Time

FRAMEWORK_AGENT = "AI Video Codec Autonomous Framework Modifier"

ATTEMPT = "Attempt"
MODIFICATION = "Modification"
"""Names of the trailers by which a repeated commit is recognised."""

TEXT_LIMIT = 500
SUBJECT_LIMIT = 100


class VersionFacts(Attributes, frozen=True):
    """What the commit of an adopted version must say."""

    adopted_version: int = Field(ge=0)
    bitrate_mbps: float
    compression_ratio: float
    source_sha256: Identifier
    finished_at: Time


def _plain_path(path: str) -> str:
    """Check a path that may be committed.

    The host judges the tiers; this keeps a compromised host from pushing what GitHub itself would act on (workflows,
    git's own files): no part of a path begins with a dot.
    """
    if any(part == "" or part.startswith(".") for part in path.split("/")):
        raise ValueError("absolute paths and names that begin with a dot are not committed")
    if path != path.strip():
        raise ValueError("not a plain relative path: it begins or ends with white space")
    return path


class ChangedFile(Attributes, frozen=True):
    """A file as the host left it; ``content`` is None for one that it deleted."""

    path: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9_+ ./-]{1,300}$"), AfterValidator(_plain_path)
    ]
    content: str | bytes | None = None
    sha256: str | None = None

    def is_intact(self) -> bool:
        """Tell whether the content is the one that the host wrote."""
        if self.content is None:
            return True
        data = self.content if isinstance(self.content, bytes) else self.content.encode("utf-8")
        return hashlib.sha256(data).hexdigest() == self.sha256


class AppliedModification(Attributes, frozen=True):
    """A framework modification, with everything that its commit must say."""

    modification_id: Identifier
    reason: str
    applied_at: Time
    changed: list[ChangedFile] = Field(min_length=1)
    attempt_id: Identifier | None = None
    planner: str = ""
    rolls_back: Identifier | None = None
    """The modification that this one undoes."""


def version_message(version: Attempt, facts: VersionFacts, previous: Attempt | None) -> str:
    """Return the message of an adopted version; ``previous`` is its parent's record, for the comparison."""
    number, bitrate, ratio = facts.adopted_version, facts.bitrate_mbps, facts.compression_ratio
    who = author_label(version.planner)
    deed = "Baseline codec" if version.planner == BASELINE else f"{who} evolved codec to"
    paragraphs = [
        f"Autonomous Code Evolution - v{number}",
        f"{deed} v{number} - {bitrate:.2f} Mbps, {ratio:.2f}x compression",
        "Performance Metrics:\n"
        f"  • Bitrate: {bitrate:.2f} Mbps{_at_quality(version)}{_against(version, previous)}\n"
        f"  • Compression: {ratio:.2f}x\n"
        f"  • Improvement: {_improvement(version)}",
        _paragraph("Hypothesis", version.hypothesis),
        f"Timestamp: {_timestamp(facts.finished_at)}\nEvolved by: {_evolved_by(version)}",
        f"{ATTEMPT}: {version.attempt_id}\nSource-Sha256: {facts.source_sha256}",
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def framework_message(modification: AppliedModification) -> str:
    """Return the message of a framework modification; raises `ValueError` when no readable reason is left."""
    who = author_label(modification.planner)
    reason = one_line(modification.reason)
    if not reason:
        raise ValueError("reason: a framework modification needs one")
    subject = one_line(f"{who}: {reason}", SUBJECT_LIMIT)
    trailers = {
        MODIFICATION: modification.modification_id,
        "Rolls-Back": modification.rolls_back,
        ATTEMPT: modification.attempt_id,
    }
    paragraphs = [
        subject,
        _paragraph("Reason", reason) if subject.endswith("...") else "",
        "\n".join(f"File: {path}" for path in sorted(file.path for file in modification.changed))
        + f"\nTimestamp: {_timestamp(modification.applied_at)}\nAgent: {FRAMEWORK_AGENT}",
        "\n".join(f"{name}: {value}" for name, value in trailers.items() if value is not None),
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _improvement(version: Attempt) -> str:
    text, parent = one_line(version.improvement, SUBJECT_LIMIT), version.parent_version
    if not text or parent is None:
        return "none to compare with"
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*% ?(.*)", text)
    if parts is None:
        return f"{text}, against v{parent}"
    return f"{float(parts[1]):.1f}% better than v{parent}" + (f" ({parts[2]})" if parts[2] else "")


def _at_quality(version: Attempt) -> str:
    return "" if version.psnr_db is None else f" at {version.psnr_db:.2f} dB"


def _against(version: Attempt, previous: Attempt | None) -> str:
    """Name the parent's rate, but only where both were measured on the same clips."""
    if previous is None or previous.bitrate_mbps is None or version.clip_set != previous.clip_set:
        return ""
    if version.parent_version is None or version.parent_version != previous.adopted_version:
        return ""
    return f" (v{previous.adopted_version}: {previous.bitrate_mbps:.2f} Mbps)"


def _evolved_by(version: Attempt) -> str:
    if version.planner == BASELINE:
        return "nobody, this is the baseline that ships"
    if version.planner in PLANNERS and not PLANNERS[version.planner].language_model:
        return f"{version.planner} planner, without a language model"
    model = one_line(version.model, SUBJECT_LIMIT)
    return "LLM Autonomous System" + (f" ({model})" if model else "")


def _paragraph(name: str, text: str) -> str:
    """Return a wrapped paragraph whose later lines are indented, so that none of them looks like a trailer."""
    line = one_line(text)
    return textwrap.fill(f"{name}: {line}", 100, subsequent_indent="  ") if line else ""


def _timestamp(text: str) -> str:
    return format_time(parse_time(text))


def trailer_of(message: str, name: str) -> str | None:
    """Return the value of a trailer; only the last paragraph of a message, never its subject, holds trailers."""
    paragraphs = message.replace("\r\n", "\n").strip().split("\n\n")
    if len(paragraphs) < 2:
        return None
    lines = paragraphs[-1].split("\n")
    return next((line[len(name) + 2 :].strip() for line in lines if line.startswith(f"{name}: ")), None)


def one_line(text: object, limit: int = TEXT_LIMIT) -> str:
    """Return a text that a model wrote as one harmless line.

    Hidden and emoji characters go, white space is folded, and what GitHub would act on in a commit
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
    if is_hidden(character):
        return " "
    is_emoji = unicodedata.category(character) == "So" and ord(character) >= 0x2600
    return "" if is_emoji else character
