"""Runs a benchmark in a process whose libraries have one thread, as they have in the sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

TIMEOUT_S = 1800
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def figures_of(module: str, *arguments: str) -> Any:
    """Return the JSON that a module prints when it is run."""
    command = [sys.executable, "-m", module, *arguments]
    environment = os.environ | ONE_THREAD
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, timeout=TIMEOUT_S, check=True)
    return json.loads(done.stdout)
