"""The failure analyst: why recent attempts failed, and whether the framework may be the cause."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from codec_evolution.clock import format_time, parse_time
from codec_evolution.ports import Record
from codec_evolution.record import ADOPTED, IDENTICAL_REPORTS, REJECTED, TEST_FAILED, Attempt

THRESHOLD = 5
"""With more failures than this within the lookback, the report comes first in the prompt."""
READ_LIMIT = 50
"""Failures read for one report; bounds what is read, however long the history is."""
STAGNANT_AFTER = 20
"""Judged attempts without an adoption after which the strategy must change."""
EXAMPLE_CHARS = 300
"""Characters of the message that stands for a pattern."""


@dataclass(frozen=True)
class Pattern:
    """One way in which candidates fail.

    Attributes
    ----------
    kinds
        The sandbox's failure kinds that belong to it; empty for any.
    cause, advice
        The likely cause, and what to do about it in the code.
    text
        Regular expression that the message must also match; "" for any message.
    framework_advice
        What the framework tools can do about it; "" if the framework is not the cause.
    """

    name: str
    kinds: tuple[str, ...]
    cause: str
    advice: str
    text: str = ""
    framework_advice: str = ""

    @property
    def framework(self) -> bool:
        """Whether the framework may be the cause, so that a framework tool can fix it."""
        return bool(self.framework_advice)

    def fits(self, kind: str, message: str) -> bool:
        """Return whether a failure belongs to this pattern."""
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
        "Do without it: the allowed builtins are listed above.",
        r"builtin|name '\w+' is not defined",
        "If the name is harmless, add it to the language policy with modify_framework_file and make it live with "
        "restart_orchestrator.",
    ),
    Pattern(
        "ImportError: module not found",
        ("import",),
        "an import is outside the language policy, or the module is not in the sandbox image",
        "Use the modules that the policy lists, or implement what is missing yourself.",
        framework_advice="A module that the sandbox image has may be added to the language policy as data.",
    ),
    Pattern(
        "Syntax error",
        ("syntax",),
        "the source is not valid in the grammar of Python 3.11",
        "Check brackets, indentation and f-strings; send a whole source if your edits no longer match it.",
    ),
    Pattern(
        "Execution timeout",
        ("timeout", "budget"),
        "a call or the whole run exceeds its time limit",
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
        "the decoder does not return the frame's shape, or a packet is larger than its limit",
        "Store height and width in the packet or take them from config, and crop the padding.",
    ),
    Pattern(
        "Not deterministic",
        ("nondeterministic",),
        "two runs over the same frames gave different packets or different frames",
        "Seed every generator, reset all state at frame_index 0, do not depend on time, hash order or addresses.",
    ),
    Pattern(
        "Other hardware",
        ("other_hardware",),
        "the codec repeats itself on one processor, and gives other packets or frames on another",
        "Keep every state that prediction or entropy coding uses in integers: floats differ in their last bits.",
    ),
    Pattern(
        "Memory or crash",
        ("memory", "crash"),
        "the worker ran out of memory or died",
        "Keep only the reference frame, and avoid float64 copies of whole sequences.",
    ),
    Pattern(
        "Quality out of range",
        ("quality",),
        "the curve does not cover enough of the quality range, or the quality is far too low",
        "Let config['quality'] control the quantiser over the whole range from 0 to 100.",
    ),
    Pattern(
        "Runtime exception",
        (),
        "the code raised an exception on real frames",
        "Read the line in the traceback, and try the fix with evaluate_draft before you submit it.",
    ),
)
"""Tried in order; the last one fits everything. Five names are those of the first system's self-debugger."""


@dataclass(frozen=True)
class Finding:
    """How often and when a pattern was seen, with the newest message as an example."""

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
    """What the planner is told about failures before it writes a candidate.

    Attributes
    ----------
    leads
        Whether there are so many failures that the report comes first in the prompt.
    framework_advised
        Whether a framework tool may fix one of the two most frequent causes.
    """

    analysis: FailureAnalysis
    leads: bool
    framework_advised: bool


@dataclass(frozen=True)
class FailureAnalyst:
    """Reads a lineage's failures from the evolution record.

    Attributes
    ----------
    now
        UTC time in ISO 8601.
    """

    record: Record
    lineage: str
    now: Callable[[], str]

    def analyze_recent_failures(self, lookback_hours: float = 1) -> FailureAnalysis:
        """Return how many candidates failed within the lookback, by pattern."""
        since = format_time(parse_time(self.now()) - timedelta(hours=lookback_hours))
        read = self.record.latest(self.lineage, READ_LIMIT, TEST_FAILED)
        recent = [failure for failure in read if failure.attempt_id >= since]
        return FailureAnalysis(
            lookback_hours=lookback_hours,
            total_failures=len(recent),
            patterns=classify(recent),
            more=len(recent) == READ_LIMIT,
        )

    def create_self_governance_report(self, lookback_hours: float = 1) -> GovernanceReport:
        """Return the report that is made before every candidate."""
        analysis = self.analyze_recent_failures(lookback_hours)
        leads = analysis.total_failures > THRESHOLD
        framework = any(finding.pattern.framework_advice for finding in analysis.patterns[:2])
        return GovernanceReport(analysis, leads, leads and framework)


def classify(failures: Sequence[Attempt]) -> tuple[Finding, ...]:
    """Return the patterns of failures (newest first), the most frequent first."""
    groups: dict[str, list[Attempt]] = {}
    found = {pattern.name: pattern for pattern in PATTERNS}
    for failure in failures:
        groups.setdefault(pattern_of(failure).name, []).append(failure)
    findings = [
        Finding(
            pattern=found[name],
            count=len(group),
            first_seen=group[-1].attempt_id.partition("#")[0],
            last_seen=group[0].attempt_id.partition("#")[0],
            example=message_of(group[0])[:EXAMPLE_CHARS],
        )
        for name, group in groups.items()
    ]
    return tuple(sorted(findings, key=lambda finding: (-finding.count, finding.pattern.name)))


def pattern_of(failure: Attempt) -> Pattern:
    """Return the pattern that a failed attempt belongs to."""
    message = message_of(failure)
    return next(pattern for pattern in PATTERNS if pattern.fits(failure.failure_kind, message))


def message_of(failure: Attempt) -> str:
    """Return the sandbox's message; in a listing only the reason has it."""
    return failure.failure_message or failure.reason


@dataclass(frozen=True)
class Stagnation:
    """Signs that more of the same will not help.

    Attributes
    ----------
    judged
        Candidates judged since the last adoption, as far as they were read.
    stagnant
        Whether these are at least `STAGNANT_AFTER`.
    identical
        Whether the newest `record.IDENTICAL_REPORTS` reports are equal.
    """

    judged: int
    stagnant: bool
    identical: bool


def find_stagnation(recent: Sequence[Attempt]) -> Stagnation:
    """Return the signs of stagnation in a lineage's newest attempts (newest first)."""
    judged = 0
    for attempt in recent:
        if attempt.status == ADOPTED:
            break
        judged += attempt.status in (REJECTED, TEST_FAILED)
    reports = [_report(each) for each in recent if each.status in (REJECTED, TEST_FAILED)]
    newest = reports[:IDENTICAL_REPORTS]
    identical = len(newest) == IDENTICAL_REPORTS and len(set(newest)) == 1
    return Stagnation(judged, judged >= STAGNANT_AFTER, identical)


def _report(attempt: Attempt) -> tuple[object, ...]:
    return (
        attempt.status,
        attempt.training_figure("bitrate_mbps"),
        attempt.training_figure("bd_rate_vs_hevc"),
        attempt.training_figure("bd_rate_vs_incumbent"),
        attempt.failure_kind,
        attempt.failure_stage,
        message_of(attempt)[:EXAMPLE_CHARS],
    )
