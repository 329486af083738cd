"""What isolation costs: prints one JSON object. Run it on an idle machine: ``python -m tests.bench sandbox``."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from codec_sandbox.policy import Policy, ceiling_text
from codec_sandbox.supervisor import Limits, Supervisor

ROOT = Path(__file__).resolve().parents[2]
POLICY = ROOT / "layers/common/python/codec_evolution/data/language_policy.toml"
# What a trivial candidate does is nothing: all that is measured is ours.
TRIVIAL = b"""
import numpy as np


def compress_video_frame(frame, frame_index, config):
    return b"x"


def decompress_video_frame(data, frame_index, config):
    return np.zeros((config["height"], config["width"], 3), np.uint8)
"""


def median_ms(action: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Median and worst of `repeats` runs, in milliseconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append((time.perf_counter() - started) * 1000)
    return {"median_ms": round(statistics.median(times), 2), "worst_ms": round(max(times), 2)}


def cpu_s() -> float:
    """CPU seconds of this process and its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def clock_of(pid: int) -> float:
    """CPU seconds of another process."""
    return time.clock_gettime((~pid << 3) | 2)


def private_mb(pid: int) -> float:
    """Memory of a process that it shares with nobody, in MiB."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {row.split(":")[0]: int(row.split()[1]) for row in rows}
    return (sizes["Private_Clean"] + sizes["Private_Dirty"]) / 1024


def measure(repeats: int = 20) -> dict[str, Any]:
    """All figures."""
    policy = Policy.from_toml(POLICY.read_text(), ceiling_text())
    source, limits = (ROOT / "sandbox_container/codecs/version_0.py").read_bytes(), Limits()
    frame = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    config = {"quality": 50, "width": 1920, "height": 1080}
    started = time.perf_counter()
    with Supervisor() as supervisor:
        found: dict[str, Any] = {
            "zygote_start_s": round(time.perf_counter() - started, 2),
            "layers": supervisor.layers,
        }

        starts, kills = [], []
        for _ in range(repeats):
            began = time.perf_counter()
            worker = supervisor.worker("encoder", TRIVIAL, policy, limits)
            starts.append((time.perf_counter() - began) * 1000)
            began = time.perf_counter()
            worker.kill()
            kills.append((time.perf_counter() - began) * 1000)
        found["worker_start_ms"] = round(statistics.median(starts), 2)
        found["worker_kill_ms"] = round(statistics.median(kills), 2)
        found["validate_version_0"] = median_ms(lambda: supervisor.validate(source, policy), repeats)
        with supervisor.worker("encoder", TRIVIAL, policy, limits) as worker:
            found["frame_1080p_in"] = median_ms(lambda: worker.encode(frame, 0, config), repeats)
            found["encoder_private_mb"] = round(private_mb(worker.pid), 1)
        with supervisor.worker("decoder", TRIVIAL, policy, limits) as worker:
            found["frame_1080p_out"] = median_ms(lambda: worker.decode(b"x", 0, config, frame.shape), repeats)
            found["decoder_private_mb"] = round(private_mb(worker.pid), 1)
        found["frame_1080p_in_and_out_ms"] = round(
            found["frame_1080p_in"]["median_ms"] + found["frame_1080p_out"]["median_ms"], 2
        )
        small = np.zeros((64, 64, 3), np.uint8)
        ours, zygotes = cpu_s(), clock_of(supervisor.zygote_pid)
        workers = 0.0
        for _ in range(repeats):
            for role in ("encoder", "decoder"):
                with supervisor.worker(role, TRIVIAL, policy, limits) as worker:
                    if role == "encoder":
                        worker.encode(small, 0, {"height": 64, "width": 64})
                    else:
                        worker.decode(b"x", 0, {"height": 64, "width": 64}, small.shape)
                    workers += clock_of(worker.pid)
        total = cpu_s() - ours + clock_of(supervisor.zygote_pid) - zygotes + workers
        found["isolation_cpu_ms_per_candidate"] = round(total / repeats * 1000, 1)
    found["cold_import_s"] = cold_import_s()
    return found


def cold_import_s() -> float:
    """What every candidate would pay without the zygote."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import numpy, cv2, torch"], check=True)
    return round(time.perf_counter() - started, 2)


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    print(json.dumps(measure(parser.parse_args().repeats), indent=2))


if __name__ == "__main__":
    main()
