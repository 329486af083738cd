"""Runs in Shinka's environment: hands candidates to its JobScheduler, as its runner does, and prints the scores.

Usage: ``python shinka_driver.py FOLDER EVALUATOR WORKERS TIMEOUT_S``; ``FOLDER`` has ``0.py``, ``1.py``, ...
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

from shinka.launch import JobScheduler, LocalJobConfig  # pyright: ignore[reportMissingImports]

POLL_S = 0.05


def main():
    """Evaluate every candidate of the folder."""
    folder, evaluator, workers, timeout_s = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    limit = f"{timeout_s // 3600:02d}:{timeout_s // 60 % 60:02d}:{timeout_s % 60:02d}"
    config = LocalJobConfig(eval_program_path=evaluator, time=limit, python_executable=sys.executable)
    scheduler = JobScheduler(job_type="local", config=config, max_workers=workers)

    def score(path):
        try:
            results_dir = str(folder / f"results-{path.stem}")
            job = SimpleNamespace(generation=0, start_time=time.time())
            job.job_id = scheduler.submit_async(str(path), results_dir)
            while scheduler.check_job_status(job):  # which alone enforces the time limit
                time.sleep(POLL_S)
            results = scheduler.get_job_results(job.job_id, results_dir) or {}
        except Exception as error:
            return path.stem, f"{type(error).__name__}: {error}"[:200]
        correct = (results.get("correct") or {}).get("correct")
        return path.stem, (results.get("metrics") or {}).get("combined_score") if correct else None

    with ThreadPoolExecutor(workers) as pool:
        found = dict(pool.map(score, sorted(folder.glob("*.py"), key=lambda path: int(path.stem))))
    print("SCORES " + json.dumps(found), flush=True)


main()
