"""Judges one codec against another by the adoption rule, on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codec_evolution.contracts import Report
from codec_evolution.judging import adoption
from codec_sandbox.stages import Benchmark

from infra.progress import Progress, silent
from infra.workbench.benchmark import QUICK_STAGES, local_benchmark, measure_source, summary
from infra.workbench.named_codecs import NamedCodec
from infra.workbench.plots import check_folders, draw_rate_distortion


def compare_codecs(
    candidate: NamedCodec,
    incumbent: NamedCodec,
    progress: Progress = silent,
    *,
    plot: Path | None = None,
    held_out: bool = False,
) -> dict[str, Any]:
    """Judge one codec against another by the adoption rule, on the same windows.

    Parameters
    ----------
    plot
        File for both curves, as in `infra.workbench.benchmark.benchmark_file`.
    held_out
        Also measure both on held-out windows, for a final verdict.

    Returns
    -------
    dict
        ``candidate`` and ``incumbent`` as `benchmark_file` returns them, and ``verdict`` with its figures. Where a
        codec fails, the verdict's ``failure_kind`` is set and its ``reason`` names the side.

    Raises
    ------
    UserError
        The folder of the drawing does not exist, or this machine cannot measure.
    """
    check_folders(plot)
    sides = {"incumbent": incumbent, "candidate": candidate}
    with local_benchmark(progress=progress) as benchmark:
        contests = {side: _contest(benchmark, side, sides[side], held_out, progress) for side in sides}
    verdict = _failed(sides, contests) or adoption.judge(contests["candidate"], contests["incumbent"])
    summaries = {side: summary(contest.train, {}) for side, contest in contests.items()}
    if plot and verdict.failure_kind == "":
        curves = [(sides[side].name, summaries[side]["clips"]) for side in ("candidate", "incumbent")]
        draw_rate_distortion(plot, curves, benchmark.clips, benchmark.references)
    return {**summaries, "verdict": verdict.as_dict()}


def _contest(
    benchmark: Benchmark, side: str, codec: NamedCodec, held_out: bool, progress: Progress
) -> adoption.Contest:
    """Measure one side on the training windows and, if asked, on the held-out ones."""
    progress(f"{side} {codec.name}, training windows")
    train = Report.model_validate(
        measure_source(benchmark, codec.source, stages=QUICK_STAGES, progress=progress)
    )
    if not held_out:
        return adoption.Contest(train)
    progress(f"{side} {codec.name}, held-out windows")
    later = measure_source(benchmark, codec.source, split="held_out", progress=progress)
    return adoption.Contest(train, Report.model_validate(later))


def _failed(
    sides: Mapping[str, NamedCodec], contests: Mapping[str, adoption.Contest]
) -> adoption.Verdict | None:
    """Return the verdict when a side fails, or None; it names the side, because here both are under test."""
    for side, contest in contests.items():
        for report in (contest.train, contest.held_out):
            if report is not None and (failure := report.failure):
                place = f" on clip {failure.clip}" if failure.clip else ""
                return adoption.Verdict(
                    decision="reject" if side == "candidate" else "undecidable",
                    reason=f"the {side} {sides[side].name} fails in {failure.stage}{place}: {failure.message}",
                    rule_version=adoption.RULE.version,
                    failure_kind=failure.kind,
                )
    return None
