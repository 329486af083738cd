"""A long run of the harness is taken in pieces, each of which knows what the others have done."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import UserError
from tests.chaos import __main__ as chaos
from tests.chaos.faults import FAILS, LATE, Fault, Row, Site
from tests.chaos.results import Results

PLAN, COMMIT = Site("plan#01/1", "s3.GetObject/1"), Site("commit/1")
ROWS = [Row(0, 1, (Fault(PLAN, FAILS),)), Row(1, 1, (Fault(COMMIT, LATE),))]
KILL = {"number": 0, "what": "emulator", "after_s": 1.0, "starting": False, "violations": []}


def piece(path: Path, *rows: Row, broken: str = "") -> Path:
    results = Results(1, {"c0ffee"}, path, sites={1: [PLAN, COMMIT]})
    for row in rows:
        happened = [str(fault) for fault in row.faults]
        found = [broken] if broken else []
        results.add_row({**row.as_dict(), "happened": happened, "violations": found})
    results.add_kill(KILL)
    return path


def test_a_later_piece_runs_the_rows_that_the_earlier_ones_have_not(tmp_path):
    later = Results(1, {"c0ffee"})
    later.merge(piece(tmp_path / "first.json", ROWS[0]))
    assert later.sites == {1: [PLAN, COMMIT]}
    assert later.due(ROWS) == ROWS[1:]
    assert list(later.kills) == [(1, 0)]


def test_results_of_another_seed_count_and_leave_nothing_out(tmp_path):
    other = Results(2, {"c0ffee"})
    other.merge(piece(tmp_path / "first.json", ROWS[0]))
    assert (other.sites, other.due(ROWS)) == ({}, ROWS)
    assert "**2**" in other.table()


def test_results_of_other_faults_are_refused(tmp_path):
    path = piece(tmp_path / "first.json", ROWS[0])
    other = Results(1, set(), sites={1: [PLAN]})
    with pytest.raises(UserError, match="other sites"):
        other.merge(path)
    merged = Results(1, set())
    merged.merge(path)
    with pytest.raises(UserError, match="row 0 was merged with other faults"):
        merged.due([Row(0, 1, ROWS[1].faults)])


def test_the_table_of_merged_pieces_is_printed_without_a_stack(tmp_path, capsys):
    first = piece(tmp_path / "first.json", ROWS[0])
    second = piece(tmp_path / "second.json", ROWS[1], broken="a lease is left")
    status = chaos.main(["--seconds", "0", "--merge", str(first), "--merge", str(second)])
    printed = capsys.readouterr().out
    assert status == 1
    assert "| plan | fails | 1 | 0 |" in printed and "| commit | late | 1 | 1 |" in printed
    assert "| local stack | SIGKILL emulator | 1 | 0 |" in printed
    assert "| **all** | | **3** | **1** |" in printed
    assert "c0ffee" in printed and "2 rows, 1 kills" in printed


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path, capsys):
    assert chaos.main(["--seconds", "0", "--merge", str(tmp_path / "none.json")]) == 2
    assert "none.json cannot be read" in capsys.readouterr().err
