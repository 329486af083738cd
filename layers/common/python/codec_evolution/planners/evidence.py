"""What the planner is shown of the evolution: a bounded read, then pure functions that build the context.

Training windows only: nothing here reads the operators' prefix, and only the outcome of a confirmation is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codec_evolution import artifacts
from codec_evolution.clock import day_of
from codec_evolution.contracts import Item, Report
from codec_evolution.framework.modifications import Modification
from codec_evolution.framework.ports import Modifications
from codec_evolution.framework.tool_statistics import healed, usage
from codec_evolution.judging import archive, comparison
from codec_evolution.judging.rate_distortion import rate_at
from codec_evolution.planners.bandit import STALLED, improvement
from codec_evolution.planners.failures import (
    GovernanceReport,
    Stagnation,
    find_stagnation,
    message_of,
    pattern_of,
)
from codec_evolution.planners.memory import Notes
from codec_evolution.planners.parents import (
    Inspiration,
    NearMiss,
    draw_inspirations,
    near_miss,
    near_miss_row,
    nearest_miss,
    outline,
    version_row,
)
from codec_evolution.planners.prompts import Limits
from codec_evolution.planners.roles import IMPROVE, draw_roles, open_roles, role_of
from codec_evolution.planners.units import shortened
from codec_evolution.ports import Control, DayCounters, Objects, Record
from codec_evolution.record import ADOPTED, SKIPPED, TEST_FAILED, Attempt, Elite

RECENT = 60
VERSIONS = 12
MODIFICATIONS = 60
"""Attempts, adopted versions and calls of framework tools that are read for one prompt."""
SHOWN_HYPOTHESES = 25
SHOWN_FAILURES = 6
SHOWN_WINDOWS = 8
SHOWN_POINTS = 40
SHOWN_MODIFICATIONS = 10
SHOWN_HEALED = 5
SHOWN_HEALED_FAILURES = 3
SHOWN_FAMILIES = 6
BEST_ELITES, DIFFERENT_ELITES = 6, 4
"""Most rows of each table in the prompt."""
MESSAGE_CHARS = 600
"""Characters of a failure's message."""
EXCERPT_LINES = 2
"""Lines of source before and after the failing one."""
RATE_POINTS = (0.1, 0.5, 0.9)
"""Where in a window's range of quality (0 to 1) the rates of two codecs are compared, besides the reference."""


@dataclass(frozen=True)
class Reading:
    """Everything that was read for one prompt.

    Attributes
    ----------
    incumbent
        The attempt that was adopted as the incumbent; None if it is not in the record.
    source
        Source of the incumbent.
    report
        The incumbent's report on the training windows of this contest; None before it was measured.
    recent, adopted
        Attempts and adopted versions, newest first.
    modifications
        Calls of the framework tools, newest first.
    sources
        Sources of the newest failures by attempt id, for excerpts.
    day
        What the lineage has used today.
    near_miss
        The best rejected attempt against this incumbent.
    inspirations
        Codecs of other families.
    role, roles
        What the attempt is to do, and how the roles of its cycle were drawn.
    notes
        What earlier attempts have taught; None before the first notes.
    """

    item: Item
    incumbent: Attempt | None
    source: str
    report: Report | None
    recent: Sequence[Attempt] = ()
    adopted: Sequence[Attempt] = ()
    elites: Sequence[Elite] = ()
    modifications: Sequence[Modification] = ()
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    day: DayCounters = field(default_factory=lambda: DayCounters(""))
    daily_budget_usd: float = 0.0
    near_miss: NearMiss | None = None
    inspirations: Sequence[Inspiration] = ()
    role: str = IMPROVE
    roles: str = ""
    notes: Notes | None = None


@dataclass(frozen=True)
class EvidenceReader:
    """Reads what a prompt shows.

    However long the history is, it reads at most `RECENT` + 2 `VERSIONS` + `MODIFICATIONS` + `archive.MAX_NICHES` + 3
    items.
    """

    record: Record
    control: Control
    objects: Objects
    modifications: Modifications
    daily_budget_usd: float
    seed: int = 0

    def read(self, item: Item, incumbent_source: str) -> Reading:
        """Return what one prompt needs."""
        state = self.control.state(item.lineage)
        recent = self.record.latest(item.lineage, RECENT)
        curve = artifacts.training_curve(state.incumbent, item.seed)
        report = artifacts.load_report(self.objects, curve)
        elites = self.control.elites(item.lineage, archive.MAX_NICHES)
        near = self._near_miss(recent, item, incumbent_source, report)
        known = [state.incumbent_attempt, *([near.attempt.attempt_id] if near else [])]
        inspirations = draw_inspirations(elites, known, f"{self.seed}/{item.attempt_id}")
        roles = open_roles(recent, item.version, len(inspirations) + bool(near))
        drawn = draw_roles(roles, recent, cycle_id=item.cycle_id, seed=self.seed)
        return Reading(
            item=item,
            incumbent=self.record.get(item.lineage, state.incumbent_attempt),
            source=incumbent_source,
            report=report,
            recent=recent,
            adopted=self._adopted(item.lineage),
            elites=elites,
            near_miss=near,
            inspirations=[
                Inspiration(each, outline(self._source(each.source_sha256))) for each in inspirations
            ],
            role=role_of(drawn, item.slot),
            roles=str(drawn),
            modifications=self.modifications.latest(MODIFICATIONS),
            sources=self._sources(recent),
            day=self.control.day(item.lineage, day_of(item.cycle_id)),
            daily_budget_usd=self.daily_budget_usd,
        )

    def _near_miss(
        self, recent: Sequence[Attempt], item: Item, incumbent_source: str, incumbent: Report | None
    ) -> NearMiss | None:
        found = nearest_miss(recent, item.version)
        if found is None:
            return None
        key = artifacts.report(item.lineage, found.attempt_id)
        report = artifacts.load_report(self.objects, key)
        return near_miss(found, self._source(found.source_sha256), report, incumbent_source, incumbent)

    def _source(self, source_sha256: str) -> str:
        return self.objects.get_text(artifacts.source(source_sha256)) or "" if source_sha256 else ""

    def _adopted(self, lineage: str) -> list[Attempt]:
        """Return the newest adopted versions whole: their listing has figures that a planner may not see."""
        listed = self.record.latest(lineage, VERSIONS, ADOPTED)
        whole = (self.record.get(lineage, each.attempt_id) for each in listed)
        return [each for each in whole if each is not None]

    def _sources(self, recent: Sequence[Attempt]) -> dict[str, str]:
        return {
            failure.attempt_id: self.objects.get_text(artifacts.source(failure.source_sha256)) or ""
            for failure in _failures(recent)
            if failure.failure_line and failure.source_sha256
        }


def cycle_context(
    reading: Reading, governance: GovernanceReport, *, rounds: int, limits: Limits
) -> dict[str, Any]:
    """Return what the cycle's prompt is rendered with."""
    stagnation = find_stagnation(reading.recent)
    return {
        "item": reading.item,
        "rounds": rounds,
        "governance": governance,
        "incumbent": version_row(reading.incumbent) if reading.incumbent else {},
        "source": shortened(reading.source),
        "clips": clip_rows(reading.report),
        "points": curve_rows(reading.report),
        "sizes": size_rows(reading.report),
        "times": time_row(reading.report, limits),
        "versions": [version_row(each) for each in reading.adopted],
        "elites": [each.to_item() for each in archive.choose(reading.elites, BEST_ELITES, DIFFERENT_ELITES)],
        "failures": [failure_row(each, reading.sources) for each in _failures(reading.recent)],
        "failure_counts": failure_counts(reading.recent),
        "tried": tried_rows(reading.recent),
        "modifications": [each.to_item() for each in reading.modifications[:SHOWN_MODIFICATIONS]],
        "tool_usage": [row for row in usage(reading.modifications) if row["calls"]],
        "healed": healed_rows(reading.modifications, reading.recent),
        "counts": list(Counter(attempt.status for attempt in reading.recent).items()),
        "read": len(reading.recent),
        "attempts_today": reading.day.attempts,
        "left_today_usd": max(0.0, reading.daily_budget_usd - reading.day.spent_usd),
        "daily_budget_usd": reading.daily_budget_usd,
        "stagnation": stagnation,
        "strategy": strategy(stagnation, improvement(reading.recent), reading.elites),
        "near_miss": near_miss_row(reading.near_miss),
        "inspirations": [{**each.elite.to_item(), "outline": each.outline} for each in reading.inspirations],
        "role": reading.role,
        "notes": notes_row(reading.notes),
    }


def notes_row(notes: Notes | None) -> dict[str, Any] | None:
    """Return what the template is given of the notes; None if there are none."""
    if notes is None:
        return None
    return {**notes.model_dump(include={"version", "through", "by"}), "text": notes.text}


def clip_rows(report: Report | None) -> list[dict[str, Any]]:
    """Return the rates of incumbent and x265 at equal PSNR, one row per window."""
    if report is None:
        return []
    ours, anchors = comparison.curves(report, "train"), comparison.anchor_curves(report)
    rows: list[dict[str, Any]] = []
    for key in sorted(ours)[:SHOWN_WINDOWS]:
        anchor, within = anchors.get(key, []), comparison.range_on(report, key)
        span = within.high_db - within.low_db
        levels = sorted([within.reference_db, *(within.low_db + span * each for each in RATE_POINTS)])
        rates = [
            {"psnr_db": level, "ours": rate_at(ours[key], level), "hevc": rate_at(anchor, level)}
            for level in levels
        ]
        versus, _ = comparison.figures_of(ours[key], anchor, within)
        rows.append({"clip": key[0], "window": key[1], "rates": rates, "bd_rate_vs_hevc": versus})
    return rows


def curve_rows(report: Report | None) -> list[dict[str, Any]]:
    """Return the points of one window of each clip, with CPU seconds per frame."""
    rows: list[dict[str, Any]] = []
    shown: dict[str, int] = {}
    points = report.points if report else []
    for point in sorted(points, key=lambda p: (p.clip, p.window, p.quality, p.bitrate_mbps)):
        if shown.setdefault(point.clip, point.window) != point.window or len(rows) >= SHOWN_POINTS:
            continue
        frames = max(1, point.frames)
        rows.append(
            {
                **point.model_dump(include={"clip", "quality", "bitrate_mbps", "psnr_db", "ms_ssim"}),
                "encode_s": (point.encode_cpu_s or 0.0) / frames,
                "decode_s": (point.decode_cpu_s or 0.0) / frames,
            }
        )
    return rows


def size_rows(report: Report | None) -> list[dict[str, Any]]:
    """Return what is measured of each clip: frames per window, their size, frames per second."""
    found: dict[str, dict[str, Any]] = {}
    for point in report.points if report else []:
        found.setdefault(point.clip, point.model_dump(include={"clip", "frames", "width", "height", "fps"}))
    return [found[clip] for clip in sorted(found)][:SHOWN_WINDOWS]


def time_row(report: Report | None, limits: Limits) -> dict[str, Any] | None:
    """Return the incumbent's CPU seconds beside the limits; None if it was not measured."""
    if report is None or not report.points:
        return None
    return {
        "cpu_s": report.cpu_s,
        "total_cpu_s": limits.total_cpu_s,
        "encode_s": archive.seconds_1080p(report, "encode"),
        "decode_s": archive.seconds_1080p(report, "decode"),
        "call_s": limits.call_s,
    }


def failure_counts(recent: Sequence[Attempt]) -> list[tuple[str, int]]:
    """Return the patterns of all failures that were read with their counts, most frequent first."""
    failed = [each for each in recent if each.status == TEST_FAILED]
    return Counter(pattern_of(each).name for each in failed).most_common()


def failure_row(failure: Attempt, sources: Mapping[str, str]) -> dict[str, Any]:
    """Return one failure with its pattern and the source around the failing line."""
    line = failure.failure_line
    source = sources.get(failure.attempt_id, "")
    return {
        "attempt_id": failure.attempt_id,
        "pattern": pattern_of(failure).name,
        "stage": failure.failure_stage,
        "kind": failure.failure_kind,
        "line": line,
        "message": message_of(failure)[:MESSAGE_CHARS],
        "excerpt": _excerpt(source, line) if line and source else "",
    }


def tried_rows(recent: Sequence[Attempt]) -> list[dict[str, Any]]:
    """Return the newest hypotheses with the results of their tests."""
    tried = [each for each in recent if each.hypothesis and each.status != SKIPPED]
    return [
        {
            "attempt_id": attempt.attempt_id,
            "status": attempt.status,
            "hypothesis": attempt.hypothesis,
            "bd_rate_vs_incumbent": attempt.training_figure("bd_rate_vs_incumbent"),
            "parent_version": attempt.parent_version,
            "role": attempt.role,
            "reason": attempt.reason,
        }
        for attempt in tried[:SHOWN_HYPOTHESES]
    ]


def healed_rows(modifications: Sequence[Modification], recent: Sequence[Attempt]) -> list[dict[str, Any]]:
    """Return the newest releases after which failures stopped, with the changes in them."""
    found = healed(modifications, recent)
    return [row | {"healed": row["healed"][:SHOWN_HEALED_FAILURES]} for row in found[:SHOWN_HEALED]]


def strategy(stagnation: Stagnation, signal: float | None, elites: Sequence[Elite]) -> dict[str, Any]:
    """Return how to change the approach: a crossover of two elites, families that no codec belongs to.

    Parameters
    ----------
    signal
        How much the newest attempts have improved, as `bandit.improvement` returns it.

    Returns
    -------
    ``change`` (false while something improves), ``stalled`` (whether hardly anything has improved lately), ``parents``
    (two elites or none), ``unexplored`` (families).
    """
    stalled = signal is not None and signal < STALLED
    if not stalled and not stagnation.identical:
        return {"change": False, "stalled": False, "parents": [], "unexplored": []}
    ranked = archive.ranked(elites)
    parents: list[Mapping[str, Any]] = []
    if len(ranked) > 1:
        best = ranked[0]
        other = max(
            ranked[1:],
            key=lambda elite: (elite.prediction != best.prediction) + (elite.transform != best.transform),
        )
        parents = [best.to_item(), other.to_item()]
    seen = {(elite.prediction, elite.transform) for elite in elites}
    unexplored = [
        f"{prediction} prediction, {transform} transform"
        for prediction, _ in archive.PREDICTIONS
        for transform, _ in archive.TRANSFORMS
        if (prediction, transform) not in seen
    ]
    return {"change": True, "stalled": stalled, "parents": parents, "unexplored": unexplored[:SHOWN_FAMILIES]}


def _failures(recent: Sequence[Attempt]) -> list[Attempt]:
    return [each for each in recent if each.status == TEST_FAILED][:SHOWN_FAILURES]


def _excerpt(source: str, line: int) -> str:
    lines = source.splitlines()
    first, last = max(1, line - EXCERPT_LINES), min(len(lines), line + EXCERPT_LINES)
    return "\n".join(f"{number:5d}  {lines[number - 1][:160]}" for number in range(first, last + 1))
