"""How well the probe ranks codecs: its figures beside the benchmark's, over random codecs of the grammar."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from codec_evolution.contracts import Report
from codec_evolution.judging import comparison
from codec_evolution.judging.probe import probe_figures
from codec_evolution.planners.grammar.genome import GENES, Genome
from codec_evolution.planners.grammar.writer import write_codec
from codec_sandbox.clips import ClipSet
from codec_sandbox.limits import Limits
from codec_sandbox.probing import probe_jobs
from codec_sandbox.report import build
from codec_sandbox.request import Request

from infra.workbench.benchmark import local_benchmark

CODECS = 32
SHARE = 0.6
"""Of the genes that a random codec draws anew."""
SEED = "rank"
"""Of the draw, and of the contest's windows."""
CPU_S = 300.0
"""CPU seconds of one codec's benchmark."""


def genomes(count: int) -> list[Genome]:
    """Return the plain codec, which stands for the incumbent, and random ones; the same ones every time."""
    draw, found = random.Random(SEED), [Genome()]
    while len(found) <= count:
        genes = {gene: draw.choice(values) for gene, values in GENES.items() if draw.random() < SHARE}
        genome = Genome().with_genes(**genes)
        if genome not in found:
            found.append(genome)
    return found


def reports(count: int) -> Iterator[Report]:
    """Measure the codecs on the training windows of one contest, one after the other."""
    with local_benchmark() as benchmark:
        for genome in genomes(count):
            request = Request(
                attempt_id="bench",
                source=write_codec(genome).encode(),
                policy=None,
                stages=("measure",),
                split="train",
                seed=SEED,
                limits=Limits(cpu_s=CPU_S),
                total_cpu_s=CPU_S,
            )
            yield Report.model_validate(build(benchmark, request, benchmark.run(request)))


def agreement(measured: Sequence[Report], jobs: set[tuple[str, int, int]]) -> dict[str, Any]:
    """Return how the probe's figures agree with the benchmark's; the first report is the incumbent's.

    Parameters
    ----------
    jobs
        Clip, window and quality of the points that a probe measures.
    """
    incumbent, *others = measured
    full: list[float] = []
    probed: list[float] = []
    seconds: list[float] = []
    for report in others:
        points = [p for p in report.points if (p.clip, p.window, p.quality) in jobs]
        figures = probe_figures(report.model_copy(update={"points": points}), incumbent)
        means = comparison.compare(report, incumbent, "train").means if report.outcome == "passed" else None
        if means is None or figures.rate_change is None:
            continue
        full.append(means.bd_rate)
        probed.append(figures.rate_change)
        seconds.append(sum((p.encode_cpu_s or 0.0) + (p.decode_cpu_s or 0.0) for p in points))
    return {
        "codecs": len(full),
        "without_figures": len(others) - len(full),
        "rank_correlation": round(statistics.correlation(_ranks(full), _ranks(probed)), 4),
        "mean_error_percent": round(
            statistics.fmean(abs(a - b) for a, b in zip(full, probed, strict=True)), 2
        ),
        "probe_cpu_s_median": round(statistics.median(seconds), 1),
    }


def _ranks(values: Sequence[float]) -> list[int]:
    order = sorted(values)
    return [order.index(value) for value in values]


def probed_points() -> set[tuple[str, int, int]]:
    """Return clip, window and quality of every point of a probe."""
    return {(w.clip, w.index, quality) for w, quality in probe_jobs(ClipSet().choose("train", SEED))}


def measure(count: int = CODECS) -> dict[str, Any]:
    """Return the agreement of the probe with the benchmark."""
    return agreement(list(reports(count)), probed_points())


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
