"""The control compares strategies fairly: equal evaluations, equal compute, every source measured once."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from codec_evolution.planners.grammar.genome import read_genome

from tests.bench import bench_control as control
from tests.bench.bench_control import Laboratory, Probe


class Paper(Laboratory):
    """A laboratory that takes its figures from the genome instead of a sandbox: motion saves, all else is even."""

    measured = 0

    def _measured(self, source: str) -> Probe:
        self.measured += 1
        genome = read_genome(source)
        if genome is None:
            return Probe(100.0, 1.0)
        return Probe(40.0 if genome.moves else 90.0, 4.0 if genome.moves else 2.0)


def taken(strategy: control.Strategy, laboratory: Laboratory, count: int, seed: int = 0) -> list[Probe]:
    return list(islice(strategy(laboratory, seed), count))


def test_the_search_adopts_what_passes_the_margin_and_goes_on_from_there():
    laboratory = Paper()
    probes = taken(control.searched, laboratory, 3)
    assert probes[0].rate_vs_hevc == 40.0, "its first bundle brings motion"
    assert len(laboratory.known) == 4, "version 0 and three different codecs"


def test_random_draws_and_best_of_n_are_other_codecs_by_every_seed():
    laboratory = Paper()
    for strategy in (control.drawn, control.best_of_n):
        before = laboratory.measured
        assert len(taken(strategy, laboratory, 2)) == len(taken(strategy, laboratory, 2, 1)) == 2
        assert laboratory.measured - before >= 3


def test_a_source_is_measured_once_also_by_another_run(tmp_path: Path):
    first, second = Paper(tmp_path), Paper(tmp_path)
    assert taken(control.drawn, first, 2) == taken(control.drawn, second, 2)
    assert (first.measured, second.measured) == (2, 0)


def test_equal_compute_takes_the_best_within_the_seconds_of_the_cheapest_run():
    start = Probe(100.0, 1.0)
    dear = control.curve([Probe(80.0, 10.0), Probe(None, 10.0), Probe(20.0, 10.0)], start)
    cheap = control.curve([Probe(120.0, 4.0), Probe(90.0, 4.0), Probe(95.0, 4.0)], start)
    assert [row["best"] for row in dear] == [80.0, 80.0, 20.0]
    rows = control.summary({"dear": [dear], "cheap": [cheap]}, start)
    assert [row["equal_evaluations"] for row in rows] == [[20.0], [90.0]]
    assert [row["equal_compute"] for row in rows] == [[80.0], [90.0]]
    assert control.table({"summary": rows}).splitlines()[2] == "| dear | 20.0 % | 80.0 % | 30 |"


@pytest.mark.parametrize("recorded", [True, False])
def test_a_recorded_conversation_is_measured_like_the_others(tmp_path, monkeypatch, recorded):
    monkeypatch.setattr(control, "Laboratory", Paper)
    if recorded:
        (tmp_path / "1.py").write_text("x = 1")
    found = control.measure(evaluations=1, seeds=1, claude=tmp_path)
    assert ("claude" in found["curves"]) is recorded
    assert found["claude"] == ("1 recorded sources" if recorded else "no recorded conversation and no key")
