"""Where the memory of freed arrays goes."""

from __future__ import annotations

import subprocess
import sys

from codec_sandbox import allocation

PROGRAM = """
import resource, sys
import numpy as np
from codec_sandbox import allocation
if sys.argv[1] == "kept":
    assert allocation.keep_freed_memory()
def work():
    for _ in range(20):
        arrays = [np.ones(3 << 19, np.uint8) for _ in range(8)]
        arrays.clear()
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 20 * 8 * (3 << 19) // 4096
"""That the arrays of the second half fill."""


def faults(how: str) -> int:
    """Return the page faults of making and dropping arrays after the first ones, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_arrays_reuse_the_memory_of_freed_ones_without_a_page_fault():
    assert faults("kept") < PAGES / 10 < faults("given back")


def test_a_c_library_without_the_setting_changes_nothing(monkeypatch):
    monkeypatch.setattr(allocation.ctypes, "CDLL", lambda name: object())
    assert allocation.keep_freed_memory() is False
