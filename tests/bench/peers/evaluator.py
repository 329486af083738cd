"""The trivial evaluator of both peers: OpenEvolve imports it, Shinka runs it as a program."""

import argparse
import importlib.util
import json
from pathlib import Path


def clamped(value):
    """Return a score between 0 and 1, whatever the candidate says."""
    return min(1.0, max(0.0, float(value)))


def evaluate(program_path):
    """Return the metrics of a program."""
    spec = importlib.util.spec_from_file_location("candidate", program_path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    value = module.solve()
    return {"combined_score": clamped(value)}


def main():
    """Write the metrics where Shinka reads them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program_path")
    parser.add_argument("--results_dir")
    options = parser.parse_args()
    folder = Path(options.results_dir)
    folder.mkdir(parents=True, exist_ok=True)
    metrics = evaluate(options.program_path)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "correct.json").write_text(json.dumps({"correct": True, "error": None}))


if __name__ == "__main__":
    main()
