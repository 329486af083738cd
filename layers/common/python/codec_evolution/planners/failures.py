"""The failure analyst: what recent attempts failed of, what it means, and whether the framework is to blame."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from codec_evolution import record as records
from codec_evolution.clock import format_time, parse_time
from codec_evolution.ports import Record

THRESHOLD = 5
"""More failures than this within the lookback and the report leads the prompt."""
READ_LIMIT = 50
"""Failures read for one report; bounds the items read whatever the history's length."""
STAGNANT_AFTER = 20
"""Judged attempts without an adoption after which the strategy must change."""
EXAMPLE_CHARS = 300


@dataclass(frozen=True)
class Pattern:
    """One way in which candidates fail.

    Attributes
    ----------
    kinds
        Failure kinds of the sandbox that belong to it.
    text
        What the message must match besides, or "".
    framework_advice
        What the framework tools can do about it; "" where the framework is not the cause.
    """

    name: str
    kinds: tuple[str, ...]
    cause: str
    advice: str
    text: str = ""
    framework_advice: str = ""

    @property
    def framework(self) -> bool:
        """Whether the framework may be the cause, so that a framework tool can mend it."""
        return bool(self.framework_advice)

    def fits(self, kind: str, message: str) -> bool:
        """Tell whether a failure belongs to this pattern."""
        if self.kinds and kind not in self.kinds:
            return False
        return bool(re.search(self.text, message)) if self.text else True


PATTERNS = (
    Pattern(
        "TypeError: unexpected keyword argument",
        ("signature", "runtime"),
        "the functions do not have the parameters that the benchmark passes",
        "Declare exactly (frame, frame_index, config) and (data, frame_index, config); take settings from config.",
        r"unexpected keyword argument|positional argument",
    ),
    Pattern(
        "NameError: missing builtin",
        ("policy", "runtime"),
        "the language policy does not list a name that ordinary code uses",
        "Do without it: the builtins that may be used are listed above.",
        r"builtin|name '\w+' is not defined",
        "If the name is harmless, add it to the language policy with modify_framework_file and make it live with "
        "restart_orchestrator.",
    ),
    Pattern(
        "ImportError: module not found",
        ("import",),
        "an import is outside the language policy, or the module is not in the sandbox image",
        "Use the modules that the policy lists, or write what is missing yourself.",
        framework_advice="A module that the sandbox image has may be added to the language policy as data.",
    ),
    Pattern(
        "Syntax error",
        ("syntax",),
        "the source is not valid in the grammar of Python 3.11",
        "Check brackets, indentation and f-strings; send a whole source when edits have got out of step.",
    ),
    Pattern(
        "Execution timeout",
        ("timeout", "budget"),
        "a call or the whole run takes more time than it may",
        "Vectorise over blocks, cut the search range, avoid Python loops over pixels.",
    ),
    Pattern(
        "Invalid return type",
        ("return_type",),
        "the encoder must return bytes, the decoder a uint8 array of the frame's shape",
        "Convert at the end: bytes(out) in the encoder, astype(np.uint8) with the full shape in the decoder.",
    ),
    Pattern(
        "Language policy violation",
        ("policy",),
        "the source uses a construct, a module's name or an attribute that the policy refuses",
        "Use evaluate_draft: it names every violation at once, with line and column.",
        framework_advice="A name that is harmless may be added to the language policy as data.",
    ),
    Pattern(
        "Wrong frame",
        ("frame_shape", "output_size"),
        "the decoder returns another shape than the frame's, or a packet is larger than it may be",
        "Carry height and width in the packet or take them from config, and crop the padding away.",
    ),
    Pattern(
        "Not deterministic",
        ("nondeterministic",),
        "two runs over the same frames gave other packets or other frames",
        "Seed every generator, reset all state at frame_index 0, do not depend on time, hash order or addresses.",
    ),
    Pattern(
        "Memory or crash",
        ("memory", "crash"),
        "the worker ran out of memory or died",
        "Keep no more than the reference frame, avoid float64 copies of whole sequences.",
    ),
    Pattern(
        "Quality out of range",
        ("quality",),
        "the curve does not cover enough quality, or the picture is hopeless",
        "Let config['quality'] steer the quantiser over the whole range from 0 to 100.",
    ),
    Pattern(
        "Runtime exception",
        (),
        "the code raised an exception on real frames",
        "Read the line in the traceback; try it with evaluate_draft before handing it in.",
    ),
)
"""Tried in order, the last fits everything; the five of the first system's self-debugger are among them by name."""


@dataclass(frozen=True)
class Finding:
    """One pattern as it was seen."""

    pattern: Pattern
    count: int
    first_seen: str
    last_seen: str
    example: str


@dataclass(frozen=True)
class FailureAnalysis:
    """Failures within the lookback, most frequent pattern first.

    Attributes
    ----------
    more
        Whether there may be more failures than were read.
    """

    lookback_hours: float
    total_failures: int
    patterns: tuple[Finding, ...]
    more: bool = False


@dataclass(frozen=True)
class GovernanceReport:
    """What the planner is told before it generates.

    Attributes
    ----------
    leads
        Whether there are so many failures that the report stands at the head of the prompt.
    framework_advised
        Whether a framework tool may mend the most frequent cause.
    """

    analysis: FailureAnalysis
    leads: bool
    framework_advised: bool


@dataclass(frozen=True)
class FailureAnalyst:
    """Reads a lineage's failures from the evolution record."""

    record: Record
    lineage: str
    now: Callable[[], str]

    def analyze_recent_failures(self, lookback_hours: float = 1) -> FailureAnalysis:
        """Return how many candidates failed of late, and in what ways."""
        since = format_time(parse_time(self.now()) - timedelta(hours=lookback_hours))
        failed = self.record.latest(self.lineage, READ_LIMIT, records.TEST_FAILED)
        read = [each.to_item() for each in failed]
        recent = [failure for failure in read if failure["attempt_id"] >= since]
        return FailureAnalysis(
            lookback_hours=lookback_hours,
            total_failures=len(recent),
            patterns=classify(recent),
            more=len(recent) == READ_LIMIT,
        )

    def create_self_governance_report(self, lookback_hours: float = 1) -> GovernanceReport:
        """Return the report that stands before every generation."""
        analysis = self.analyze_recent_failures(lookback_hours)
        leads = analysis.total_failures > THRESHOLD
        framework = any(finding.pattern.framework_advice for finding in analysis.patterns[:2])
        return GovernanceReport(analysis, leads, leads and framework)


def classify(failures: Sequence[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """Return the patterns of some failures (newest first), the most frequent first."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    found = {pattern.name: pattern for pattern in PATTERNS}
    for failure in failures:
        groups.setdefault(pattern_of(failure).name, []).append(failure)
    findings = [
        Finding(
            pattern=found[name],
            count=len(group),
            first_seen=group[-1]["attempt_id"].partition("#")[0],
            last_seen=group[0]["attempt_id"].partition("#")[0],
            example=message_of(group[0])[:EXAMPLE_CHARS],
        )
        for name, group in groups.items()
    ]
    return tuple(sorted(findings, key=lambda finding: (-finding.count, finding.pattern.name)))


def pattern_of(failure: Mapping[str, Any]) -> Pattern:
    """Return the pattern that a failed attempt belongs to."""
    kind, message = str(failure.get("failure_kind", "")), message_of(failure)
    return next(pattern for pattern in PATTERNS if pattern.fits(kind, message))


def message_of(failure: Mapping[str, Any]) -> str:
    """Return what the sandbox said; a listing has it as the reason only."""
    return str(failure.get("failure_message") or failure.get("reason", ""))


@dataclass(frozen=True)
class Stagnation:
    """Signs that more of the same will not help.

    Attributes
    ----------
    judged
        Attempts since the last adoption, as far as they were read.
    identical
        Whether the newest reports are all alike.
    """

    judged: int
    stagnant: bool
    identical: bool


def find_stagnation(recent: Sequence[Mapping[str, Any]]) -> Stagnation:
    """Look at the newest attempts (newest first) of a lineage."""
    judged = 0
    for attempt in recent:
        if attempt["status"] == records.ADOPTED:
            break
        judged += attempt["status"] in (records.REJECTED, records.TEST_FAILED)
    reports = [_report(a) for a in recent if a["status"] in (records.REJECTED, records.TEST_FAILED)]
    newest = reports[: records.IDENTICAL_REPORTS]
    identical = len(newest) == records.IDENTICAL_REPORTS and len(set(newest)) == 1
    return Stagnation(judged, judged >= STAGNANT_AFTER, identical)


def _report(attempt: Mapping[str, Any]) -> tuple[Any, ...]:
    names = ("status", "bitrate_mbps", "psnr_db", "bd_rate_vs_incumbent", "failure_kind", "failure_stage")
    return (*(attempt.get(name) for name in names), message_of(attempt)[:EXAMPLE_CHARS])
