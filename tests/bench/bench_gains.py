"""What each coding tool of the grammar saves: the strongest codec with it, held against the one without it.

Each is measured by the project's probe. `planners.parts.MEASURED` keeps the figures for the prompt.
"""

from __future__ import annotations

import sys
from typing import Any

from codec_evolution.contracts import Report
from codec_evolution.judging.probe import probe_figures
from codec_evolution.planners.grammar.genome import Genome
from codec_evolution.planners.grammar.writer import write_codec
from codec_evolution.planners.parts import parts, strongest, without
from codec_sandbox.limits import Limits
from codec_sandbox.report import build
from codec_sandbox.request import Request
from codec_sandbox.stages import Benchmark

from infra.workbench.benchmark import local_benchmark

PACE = "quick"
SEED = "gains"
"""Of the contest's windows."""
CPU_S = 600.0


def measured(benchmark: Benchmark, genome: Genome, stage: str) -> Report:
    """Return the report of one stage on the training windows; raises `RuntimeError` where the codec fails."""
    source = write_codec(genome.with_genes(pace=PACE)).encode()
    request = Request("gains", source, None, (stage,), "train", SEED, Limits(cpu_s=CPU_S), CPU_S)
    report = Report.model_validate(build(benchmark, request, benchmark.run(request)))
    if report.failure is not None:
        raise RuntimeError(f"{report.failure.kind}: {report.failure.message}")
    return report


def measure() -> dict[str, Any]:
    """Return the percent of the rate at equal PSNR that each tool saves: over all rows, and by row."""
    found: dict[str, Any] = {}
    with local_benchmark() as benchmark:
        whole = measured(benchmark, strongest(), "measure")
        for part in parts():
            figures = probe_figures(measured(benchmark, without(part["name"]), "probe"), whole)
            rows = {f"{row.clip}/{row.window}, {row.quality}": row.rate_change for row in figures.rows}
            added = {"all": figures.rate_change, **rows}
            found[part["name"]] = {
                name: None if each is None else round(100 - 100 / (1 + each / 100), 1)
                for name, each in added.items()
            }
            print(f"{part['name']}: {found[part['name']]}", file=sys.stderr, flush=True)
    return found
