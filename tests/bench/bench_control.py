"""The control: does the search find better codecs than chance does, at equal evaluations and at equal compute?

Three strategies over the same grammar, each measured by the project's probe: the search, which learns from every
outcome; random draws; and best of n, single proposals that all start from version 0 and learn nothing. Curves tell the
best codec so far, as the mean change of rate against x265 zerolatency at equal PSNR (percent, lower is better).

For Claude, a recorded conversation takes the search's place: every source that it sent is measured in order.
``python -m tests.bench.bench_control --claude FOLDER`` reads the folder's ``*.py`` by name; without any it says so.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from codec_evolution.candidate import Candidate, sha256_hex
from codec_evolution.contracts import Report
from codec_evolution.judging.comparison import anchor_curves
from codec_evolution.judging.rate_distortion import Point, mean_bd_rate
from codec_evolution.planner_specs import SEARCH
from codec_evolution.planners.base import Briefing, PastAttempt, Proposal
from codec_evolution.planners.grammar.genome import GENES, Genome
from codec_evolution.planners.grammar.writer import write_codec
from codec_evolution.planners.search import SearchPlanner
from codec_sandbox.limits import Limits
from codec_sandbox.report import build
from codec_sandbox.request import Request

from infra.workbench.benchmark import local_benchmark

EVALUATIONS, SEEDS = 6, 3
"""Probes of each strategy and seed, and seeds: about a quarter of an hour on two cores, less with a cache."""
WINDOWS_SEED = "control"
"""Of the contest's windows: the same for all."""
CPU_S = 300.0
"""CPU seconds that one probe may take."""
SHARE = 0.6
"""Of the genes that a random codec draws anew."""
MARGIN = -10.0
"""Percent against the incumbent at which the search's codec is adopted, as by the adoption rule."""
VERSION_0 = Path(__file__).resolve().parents[2] / "sandbox_container" / "codecs" / "version_0.py"


@dataclass(frozen=True)
class Probe:
    """What one probe has measured.

    Attributes
    ----------
    rate_vs_hevc
        Mean change of rate against x265 in percent; None where the codec failed.
    cpu_s
        Of its encoder and decoder.
    """

    rate_vs_hevc: float | None
    cpu_s: float


@dataclass
class Laboratory:
    """Probes sources, each once: strategies share what they have in common.

    Attributes
    ----------
    cache
        Folder of the figures by the source's hash; None to keep them in memory alone.
    """

    cache: Path | None = None
    known: dict[str, Probe] = field(default_factory=dict[str, Probe])
    _open: ExitStack = field(default_factory=ExitStack)
    _benchmark: Any = None

    def __enter__(self) -> Laboratory:
        """Start; the sandbox starts with the first probe that is not known."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the sandbox."""
        self._open.close()

    def probe(self, source: str) -> Probe:
        """Return the figures of a source."""
        key = sha256_hex(source)
        file = self.cache / f"{key}.json" if self.cache else None
        if key not in self.known and file is not None and file.exists():
            self.known[key] = Probe(**json.loads(file.read_text("utf-8")))
        if key not in self.known:
            self.known[key] = self._measured(source)
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(asdict(self.known[key])), "utf-8")
        return self.known[key]

    def _measured(self, source: str) -> Probe:
        if self._benchmark is None:
            self._benchmark = self._open.enter_context(local_benchmark())
        request = Request(
            attempt_id="control",
            source=source.encode(),
            policy=None,
            stages=("probe",),
            split="train",
            seed=WINDOWS_SEED,
            limits=Limits(cpu_s=CPU_S),
            total_cpu_s=CPU_S,
        )
        report = Report.model_validate(build(self._benchmark, request, self._benchmark.run(request)))
        anchors = anchor_curves(report)
        changes = [change(p.bitrate_mbps, p.psnr_db, anchors[p.clip, p.window]) for p in report.points]
        used = sum((p.encode_cpu_s or 0.0) + (p.decode_cpu_s or 0.0) for p in report.points)
        passed = report.outcome == "passed" and bool(changes)
        return Probe(mean_bd_rate(changes) if passed else None, used or report.cpu_s or 0.0)


def change(mbps: float, psnr_db: float, anchor: Sequence[Point]) -> float:
    """Return the change of rate in percent against an anchor at equal PSNR.

    The logarithm of the anchor's rate is linear between its points, and goes on beyond them as between the last two:
    weak codecs leave the anchor's range, and must not be compared on fewer windows than others for that.
    """
    known = sorted((point.psnr_db, math.log(point.rate)) for point in anchor)
    after = next((n for n, (psnr, _) in enumerate(known) if psnr >= psnr_db), len(known) - 1)
    (low, before), (high, behind) = known[max(1, after) - 1], known[max(1, after)]
    expected = before + (behind - before) * (psnr_db - low) / (high - low)
    return (mbps / math.exp(expected) - 1) * 100


Strategy = Callable[[Laboratory, int], Iterator[Probe]]
"""Yields the probes of one seed, without an end."""


def searched(laboratory: Laboratory, seed: int) -> Iterator[Probe]:
    """Probe what the search proposes; it is told every outcome, and what passes the margin becomes the incumbent."""
    version, incumbent = 0, VERSION_0.read_text("utf-8")
    theirs = laboratory.probe(incumbent).rate_vs_hevc or 0.0
    tried, past = frozenset[str](), tuple[PastAttempt, ...]()
    while True:
        brief = Briefing("control#00", "control", version, Candidate(incumbent), seed, tried, past)
        proposal = SearchPlanner().propose(brief)
        if not isinstance(proposal, Proposal):
            return
        source = proposal.candidate.source
        found = laboratory.probe(source)
        yield found
        tried |= {proposal.candidate.normalised_sha256}
        rate = found.rate_vs_hevc
        change = None if rate is None else ((100 + rate) / (100 + theirs) - 1) * 100
        adopted = change is not None and change <= MARGIN
        status = "test_failed" if change is None else "adopted" if adopted else "rejected"
        named = f"control#{len(past):04d}"
        past = (PastAttempt(named, status, "", proposal.hypothesis, None, change, SEARCH, version), *past)
        if adopted and rate is not None:
            version, incumbent, theirs = version + 1, source, rate


def drawn(laboratory: Laboratory, seed: int) -> Iterator[Probe]:
    """Probe random codecs of the grammar."""
    draw, seen = random.Random(f"control/{seed}"), {Genome()}
    while True:
        genes = {gene: draw.choice(values) for gene, values in GENES.items() if draw.random() < SHARE}
        genome = Genome().with_genes(**genes)
        if genome not in seen:
            seen.add(genome)
            yield laboratory.probe(write_codec(genome))


def best_of_n(laboratory: Laboratory, seed: int) -> Iterator[Probe]:
    """Probe first proposals from version 0, each by another seed; none is told what the others gave."""
    incumbent, tried, number = Candidate(VERSION_0.read_text("utf-8")), set[str](), 0
    while True:
        brief = Briefing("control#00", "control", 0, incumbent, 1000 * seed + number)
        number += 1
        proposal = SearchPlanner().propose(brief)
        if isinstance(proposal, Proposal) and proposal.candidate.sha256 not in tried:
            tried.add(proposal.candidate.sha256)
            yield laboratory.probe(proposal.candidate.source)


STRATEGIES: dict[str, Strategy] = {"search": searched, "random": drawn, "best of n": best_of_n}
"""By the name in the table."""


def recorded(sources: Sequence[Path]) -> Strategy:
    """Return the strategy that probes recorded sources in order, the same for every seed."""

    def replayed(laboratory: Laboratory, seed: int) -> Iterator[Probe]:
        for path in sources:
            yield laboratory.probe(path.read_text("utf-8"))

    return replayed


def curve(probes: Sequence[Probe], start: Probe) -> list[dict[str, float | None]]:
    """Return the best figure and the CPU seconds after every probe, version 0's first."""
    best, spent, rows = start.rate_vs_hevc, 0.0, list[dict[str, float | None]]()
    for each in probes:
        spent += each.cpu_s
        if each.rate_vs_hevc is not None:
            best = each.rate_vs_hevc if best is None else min(best, each.rate_vs_hevc)
        rows.append({"best": None if best is None else round(best, 2), "cpu_s": round(spent, 1)})
    return rows


def best_within(rows: Sequence[dict[str, float | None]], cpu_s: float, start: Probe) -> float | None:
    """Return the best figure within some CPU seconds."""
    return next((row["best"] for row in reversed(rows) if (row["cpu_s"] or 0.0) <= cpu_s), start.rate_vs_hevc)


def summary(curves: dict[str, list[list[dict[str, float | None]]]], start: Probe) -> list[dict[str, Any]]:
    """Return one row for each strategy: the best of each seed at equal evaluations, and at equal compute.

    Equal compute is what the cheapest of all runs took.
    """
    least = min(rows[-1]["cpu_s"] or 0.0 for runs in curves.values() for rows in runs)
    return [
        {
            "strategy": name,
            "equal_evaluations": [rows[-1]["best"] for rows in runs],
            "equal_compute": [best_within(rows, least, start) for rows in runs],
            "cpu_s": [rows[-1]["cpu_s"] for rows in runs],
        }
        for name, runs in curves.items()
    ]


def table(found: dict[str, Any]) -> str:
    """Return the summary as a Markdown table."""
    rows = [
        "| strategy | best at equal evaluations, by seed | at equal compute | CPU seconds |",
        "|---|---|---|---|",
    ]
    for row in found["summary"]:
        columns = [
            ", ".join("-" if each is None else f"{each:.1f} %" for each in row[name])
            for name in ("equal_evaluations", "equal_compute")
        ]
        spent = ", ".join(f"{each:.0f}" for each in row["cpu_s"])
        rows.append(f"| {row['strategy']} | {columns[0]} | {columns[1]} | {spent} |")
    return "\n".join(rows)


def measure(
    evaluations: int = EVALUATIONS, seeds: int = SEEDS, cache: Path | None = None, claude: Path | None = None
) -> dict[str, Any]:
    """Run the strategies and return their curves by seed, and the summary."""
    sources = sorted(claude.glob("*.py")) if claude else []
    strategies = dict(STRATEGIES) | ({"claude": recorded(sources)} if sources else {})
    curves: dict[str, list[list[dict[str, float | None]]]] = {name: [] for name in strategies}
    with Laboratory(cache) as laboratory:
        start = laboratory.probe(VERSION_0.read_text("utf-8"))
        for seed in range(seeds):
            for name, strategy in strategies.items():
                probes = list(islice(strategy(laboratory, seed), evaluations))
                curves[name].append(curve(probes, start))
                print(f"{name}, seed {seed}: {json.dumps(curves[name][-1])}", file=sys.stderr, flush=True)
    return {
        "evaluations": evaluations,
        "version_0": asdict(start),
        "claude": f"{len(sources)} recorded sources" if sources else "no recorded conversation and no key",
        "curves": curves,
        "summary": summary(curves, start),
    }


def main() -> None:
    """Read the command line and print the figures as JSON, the table on standard error."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_control", description=__doc__)
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--cache", type=Path, help="folder that keeps the probes' figures between runs")
    parser.add_argument("--claude", type=Path, metavar="FOLDER", help="sources of a recorded conversation")
    given = parser.parse_args()
    found = measure(given.evaluations, given.seeds, given.cache, given.claude)
    print(json.dumps(found, indent=2))
    print(table(found), file=sys.stderr)


if __name__ == "__main__":
    main()
