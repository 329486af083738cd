"""How long the loop takes: from the command to the first verdicts, by stage."""

import json
import subprocess
import sys
import tempfile
import time
from typing import Any

TIMEOUT_S = 1800


def measure(cycles: int = 2) -> dict[str, Any]:
    """Run cycles from nothing and return seconds by step of starting and by stage of each cycle.

    ``first_verdict_s`` is the time from the command to the first concluded attempt (version 0), and
    ``first_contest_s`` to the end of the cycle that judged the first candidate.
    """
    with tempfile.TemporaryDirectory() as state_dir:
        command = [sys.executable, "-m", "infra.cli", "run", "--json", "--cycles", str(cycles)]
        began = time.monotonic()
        done = subprocess.run(
            [*command, "--state-dir", state_dir],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
        total = time.monotonic() - began
    result = json.loads(done.stdout)
    starting = sum(result["start_s"].values())
    baseline = result["cycles"][0]["attempts"][0]
    return {
        "total_s": round(total, 2),
        "start_s": result["start_s"],
        "cycles": [cycle["stages_s"] for cycle in result["cycles"]],
        "first_verdict_s": round(
            starting + baseline["plan_s"] + baseline["measure_s"] + baseline["confirm_s"], 2
        ),
        "first_contest_s": round(starting + result["cycles"][0]["stages_s"]["total"], 2),
        "version": result["version"],
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
