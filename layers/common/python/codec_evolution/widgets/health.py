"""Verdicts, failure reasons and stage durations of the latest attempts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from codec_evolution import record as records
from codec_evolution.loop.metrics import STAGES, is_identical, reason_word
from codec_evolution.record import Attempt
from codec_evolution.widgets.html import render
from codec_evolution.widgets.request import WidgetContext, WidgetRequest

ATTEMPTS = 100
MOST_REASONS = 6


def health(context: WidgetContext, request: WidgetRequest) -> str:
    """Return verdicts, the most frequent failure reasons, and stage durations."""
    attempts = context.record.latest(request.lineage, ATTEMPTS)
    verdicts = Counter(each.status for each in attempts)
    return render(
        "health.html.j2",
        context,
        request,
        total=len(attempts),
        verdicts=[(status, verdicts[status]) for status in records.STATUSES],
        reasons=Counter(map(_reason, filter(_went_wrong, attempts))).most_common(MOST_REASONS),
        identical=sum(map(is_identical, attempts)),
        stages=[(stage, *_durations(attempts, stage)) for stage in STAGES],
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank percentile (``share`` is 0 to 1), or None if there are no values."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _durations(attempts: Sequence[Attempt], stage: str) -> tuple[float | None, float | None, int]:
    values = [seconds for each in attempts if (seconds := each.stage_seconds(stage))]
    return percentile(values, 0.5), percentile(values, 0.95), len(values)


def _went_wrong(attempt: Attempt) -> bool:
    return attempt.status in (records.TEST_FAILED, records.SKIPPED)


def _reason(attempt: Attempt) -> tuple[str, str]:
    if attempt.status == records.TEST_FAILED:
        return "test_failed", attempt.failure_kind or "unknown"
    return "skipped", reason_word(attempt)
