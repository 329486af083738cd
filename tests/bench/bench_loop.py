"""How long the loop takes: from the command to the first verdicts, by stage."""

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from typing import Any

TIMEOUT_S = 1800


def measure(cycles: int = 2) -> dict[str, Any]:
    """Run cycles from nothing and return seconds by step of starting and by stage of each cycle.

    ``first_verdict_s`` is the time from the start of the command to the moment that stands in the first record as
    its end (version 0), and ``first_contest_s`` to that of the first attempt after it.
    """
    with tempfile.TemporaryDirectory() as state_dir:
        command = [sys.executable, "-m", "infra.cli", "run", "--json", "--cycles", str(cycles)]
        began = datetime.now(UTC)
        done = subprocess.run(
            [*command, "--state-dir", state_dir],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
        total = datetime.now(UTC) - began
    result = json.loads(done.stdout)
    attempts = [attempt for cycle in result["cycles"] for attempt in cycle["attempts"]]
    ends = sorted(datetime.fromisoformat(attempt["finished_at"]) for attempt in attempts)
    return {
        "total_s": round(total.total_seconds(), 2),
        "start_s": result["start_s"],
        "cycles": [cycle["stages_s"] for cycle in result["cycles"]],
        "statuses": [attempt["status"] for attempt in attempts],
        "first_verdict_s": round((ends[0] - began).total_seconds(), 2),
        "first_contest_s": round((ends[1] - began).total_seconds(), 2) if len(ends) > 1 else None,
        "version": result["version"],
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
