"""`make bench` has its parts; running them is not for tests."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.__main__ import PARTS

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_benchmarks_list_their_parts_as_one_json_object_and_run_none():
    done = bench("--list")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"parts": PARTS}
    assert {"loop", "sandbox", "benchmark"} <= PARTS.keys()
    assert done.stderr == ""


def test_a_part_that_does_not_exist_is_named():
    done = bench("kitchen")
    assert done.returncode == 2
    assert "kitchen" in done.stderr


@pytest.mark.parametrize("part", PARTS)
def test_every_part_can_be_measured_by_name(part):
    assert callable(importlib.import_module(f"tests.bench.bench_{part}").measure)


def test_make_bench_runs_them():
    assert "-m tests.bench\n" in (ROOT / "Makefile").read_text()
