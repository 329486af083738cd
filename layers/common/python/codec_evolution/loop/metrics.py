"""The metrics of the loop: name, unit, dimensions, and when each is emitted.

One namespace. Names never change their unit; CloudWatch has no unit for dollars or decibels, so those have ``None``
and say it in their meaning. The dashboard and the alarms may name only what is listed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codec_evolution import record as records
from codec_evolution.contracts import CycleOpened, Report
from codec_evolution.ports import LoopState
from codec_evolution.record import Attempt

NAMESPACE = "CodecEvolution"
LINEAGE = "Lineage"
MAX_DIMENSION = 200
OTHER = "other"
"""Replaces a value that is not in a list: each new value of a dimension is a new metric, and costs money."""
FAILURE_KINDS = (
    "syntax",
    "policy",
    "import",
    "signature",
    "return_type",
    "runtime",
    "timeout",
    "memory",
    "crash",
    "output_size",
    "frame_shape",
    "nondeterministic",
    "quality",
    "budget",
    "other_hardware",
)
"""The kinds of failure, as the sandbox and, the last one, the adoption rule name them."""
IDENTICAL_PERCENT = 0.001
"""A BD-rate nearer to zero than this means that the candidate's curve is the incumbent's."""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes
    ----------
    unit
        A unit of CloudWatch.
    dimensions
        Names of its dimensions, in order; a metric has one set of dimensions.
    meaning
        What a value is, for the documentation.
    """

    name: str
    unit: str
    dimensions: tuple[str, ...]
    meaning: str


@dataclass(frozen=True)
class Sample:
    """One value of a metric, with the values of its dimensions in the metric's order."""

    metric: Metric
    value: float
    at: tuple[str, ...]

    @property
    def dimensions(self) -> dict[str, str]:
        """The dimensions by name."""
        return dict(zip(self.metric.dimensions, self.at, strict=True))


_MACHINE_WORD = re.compile(r"[a-z][a-z_]{0,39}")
_VERDICT = (LINEAGE, "Status")

TICKS = Metric("Ticks", "Count", (LINEAGE, "Outcome"), "starts of a cycle: opened, or refused by this reason")
VERSION = Metric("Version", "Count", (LINEAGE,), "version of the incumbent at a tick")
COMMITS_WAITING = Metric("CommitsWaiting", "Count", (LINEAGE,), "adopted versions that are not in git yet")
BUDGET_USED = Metric(
    "BudgetUsed",
    "Percent",
    (LINEAGE,),
    "share of today's dollars that is spent; 100 once the rest pays for no call",
)
BUDGET_LEFT = Metric("BudgetLeft", "None", (LINEAGE,), "dollars of today's budget that are left")
ATTEMPTS = Metric("Attempts", "Count", _VERDICT, "concluded attempts by verdict")
FAILURES = Metric("Failures", "Count", (LINEAGE, "FailureKind"), "candidates that failed, by kind")
SKIPS = Metric("Skips", "Count", (LINEAGE, "Reason"), "skipped attempts by the first word of the reason")
IDENTICAL = Metric(
    "IdenticalResults",
    "Count",
    (LINEAGE,),
    "candidates that measured exactly as the incumbent or as each other",
)
STAGE = Metric("StageDuration", "Seconds", (LINEAGE, "Stage"), "seconds of one stage of one attempt")
TOOL_CALLS = Metric("FrameworkToolCalls", "Count", ("Tool", "Outcome"), "framework tool calls by their state")
HOST_AWAY = Metric("HostAway", "Count", (LINEAGE,), "framework tool calls that the host did not answer")
PAUSED_ITSELF = Metric(
    "PausedItself", "Count", (LINEAGE,), "a tick of a loop that paused because its incumbent fails"
)
LAYERS = Metric("SandboxLayers", "Count", (LINEAGE,), "kernel layers in force round the candidate")

OF_ATTEMPT = {
    name: Metric(each.name, each.unit, _VERDICT if each.by_status else (LINEAGE,), each.meaning)
    for name, each in records.METRICS.items()
}
"""The metrics that are attributes of a concluded attempt, by the attribute's name."""
BITRATE = OF_ATTEMPT["bitrate_mbps"]
BD_HEVC = OF_ATTEMPT["bd_rate_vs_hevc"]
BD_INCUMBENT = OF_ATTEMPT["bd_rate_vs_incumbent"]
TOKENS_IN = OF_ATTEMPT["tokens_in"]
TOKENS_CACHE_READ = OF_ATTEMPT["tokens_cache_read"]
TOKENS_CACHE_WRITE = OF_ATTEMPT["tokens_cache_write"]
TOKENS_OUT = OF_ATTEMPT["tokens_out"]
LLM_COST = OF_ATTEMPT["llm_cost_usd"]
COMPUTE_COST = OF_ATTEMPT["compute_cost_usd"]

METRICS: tuple[Metric, ...] = (
    TICKS,
    VERSION,
    COMMITS_WAITING,
    BUDGET_USED,
    BUDGET_LEFT,
    ATTEMPTS,
    FAILURES,
    SKIPS,
    IDENTICAL,
    STAGE,
    *OF_ATTEMPT.values(),
    TOOL_CALLS,
    HOST_AWAY,
    PAUSED_ITSELF,
    LAYERS,
)

STAGES = ("plan", "measure", "confirm")


def attempt_samples(attempt: Attempt, measure: Report | None) -> list[Sample]:
    """Return the samples of a concluded attempt; a figure that it lacks has none.

    Parameters
    ----------
    attempt
        As it is in the evolution record.
    measure
        The sandbox's report on the training windows, or None.
    """
    lineage, status = attempt.lineage, attempt.status
    verdict, item = (lineage, status), attempt.to_item()
    samples = [Sample(ATTEMPTS, 1, verdict)]
    samples += [
        Sample(metric, item[name], verdict if metric.dimensions == _VERDICT else (lineage,))
        for name, metric in OF_ATTEMPT.items()
        if name in item
    ]
    seconds = {stage: attempt.stage_seconds(stage) for stage in STAGES}
    samples += [Sample(STAGE, each, (lineage, stage)) for stage, each in seconds.items() if each is not None]
    if status == records.TEST_FAILED:
        kind = attempt.failure_kind
        samples.append(Sample(FAILURES, 1, (lineage, kind if kind in FAILURE_KINDS else OTHER)))
    if status == records.SKIPPED:
        samples.append(Sample(SKIPS, 1, (lineage, reason_word(attempt))))
    if is_identical(attempt):
        samples.append(Sample(IDENTICAL, 1, (lineage,)))
    if measure is not None and measure.layers:
        in_force = sum(state == "ok" for state in measure.layers.values())
        samples.append(Sample(LAYERS, in_force, (lineage,)))
    return samples


def of_tick(opened: CycleOpened, state: LoopState, spent_usd: float, budget_usd: float) -> list[Sample]:
    """Return the samples of a start of a cycle, whether it may run or not.

    Parameters
    ----------
    state
        The lineage's state after opening.
    spent_usd, budget_usd
        Dollars of today; a budget of 0 counts as spent.
    """
    lineage = (opened.lineage,)
    outcome = "opened" if opened.go else _word(opened.reason)
    said = [Sample(TICKS, 1, (opened.lineage, outcome)), Sample(VERSION, state.version, lineage)]
    if state.paused:
        # A person stopped money and commits on purpose: no alarm.
        return [*said, Sample(PAUSED_ITSELF, 1, lineage)] if state.paused_itself else said
    # A remainder too small for one call stops the loop like an empty budget.
    stopped = budget_usd <= 0 or outcome.startswith("daily_budget")
    used = 100.0 * spent_usd / budget_usd if budget_usd > 0 else 0.0
    return [
        *said,
        Sample(COMMITS_WAITING, state.version - state.committed_version, lineage),
        Sample(BUDGET_USED, max(100.0, round(used, 3)) if stopped else round(used, 3), lineage),
        Sample(BUDGET_LEFT, round(budget_usd - spent_usd, 6), lineage),
    ]


def of_signs(lineage: str, signs: Mapping[str, Any]) -> list[Sample]:
    """Return the samples of what a planner found in the history: the newest reports are all alike."""
    return (
        [Sample(IDENTICAL, records.IDENTICAL_REPORTS, (lineage,))] if signs.get("identical_reports") else []
    )


def of_tool_call(tool: str, outcome: str) -> list[Sample]:
    """Return the samples of one framework tool call; `outcome` is its state (``applied``, ``denied``, ...)."""
    return [Sample(TOOL_CALLS, 1, (_dimension(tool), _dimension(outcome)))]


def of_host_away(lineage: str) -> list[Sample]:
    """Return the samples of one framework tool call that the host did not answer."""
    return [Sample(HOST_AWAY, 1, (lineage,))]


def reason_word(attempt: Attempt) -> str:
    """Return the machine word that a reason begins with, or `OTHER`."""
    return _word(attempt.reason)


def is_identical(attempt: Attempt) -> bool:
    """Tell whether an attempt measured exactly like the incumbent: perhaps the wrong source was measured."""
    difference = attempt.bd_rate_vs_incumbent
    return difference is not None and abs(difference) < IDENTICAL_PERCENT


def _word(reason: str) -> str:
    word = reason.partition(":")[0].strip()
    return word if _MACHINE_WORD.fullmatch(word) else OTHER


def _dimension(value: str) -> str:
    """Return a text that is safe as the value of a dimension: CloudWatch refuses empty and non-ASCII ones."""
    printable = "".join(sign for sign in value if " " <= sign <= "~").strip()
    return printable[:MAX_DIMENSION] or "unknown"
