"""What measuring costs: prints one JSON object. Run it on an idle machine: ``python -m tests.bench benchmark``.

Overhead is everything but what is charged to the candidate. It is given as a share of the CPU seconds of a whole
run, which other programs on the machine change little, and as a share of the wall clock of all cores in the stage
`measure`, which they change much.
"""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from codec_evolution.judging.rate_distortion import Point, bd_rate
from codec_sandbox.clips import ClipSet
from codec_sandbox.quality import ms_ssim, psnr_yuv
from codec_sandbox.request import CONTROL_SOURCE
from codec_sandbox.supervisor import Supervisor

from infra.workbench.benchmark import local_benchmark, measure_source
from infra.workbench.references import rebuild_references
from tests.integration.codecs import honest

WIDER_SEARCH = ("REACH = 6", "REACH = 15")
"""Makes the motion codec a moderate one: about 0.1 CPU seconds for a frame, encoded and decoded."""


def median_ms(action: Callable[[], Any], repeats: int = 30) -> float:
    """Median of `repeats` runs in milliseconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append((time.perf_counter() - started) * 1000)
    return round(statistics.median(times), 4)


def own_cpu_s() -> float:
    """CPU seconds of this process alone."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def all_cpu_s() -> float:
    """CPU seconds of this process and of every process that it or its children have started and that has ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own_cpu_s() + ended.ru_utime + ended.ru_stime


def zygote_start() -> dict[str, float]:
    """What one supervisor costs that measures nothing: its zygote's imports and warming up, and the self-test."""
    before, began = all_cpu_s(), time.perf_counter()
    with Supervisor():
        wall = time.perf_counter() - began
    return {"wall_s": round(wall, 2), "cpu_s": round(all_cpu_s() - before, 2)}


def whole_measure(source: Callable[[ClipSet], str], start_cpu_s: float) -> dict[str, float]:
    """One run of all stages in an environment of its own, from its start to the end of every process in it.

    ``candidate_cpu_s`` is what was charged to the codec: its calls, its loading and the check of the language policy
    in each process. ``overhead_cpu_s`` is all the rest of `total_cpu_s`: forks, walls and ends of the workers,
    frames going to and fro, metrics, clips, report, and the start of the zygote, which a warm environment has paid
    already: ``overhead_of_cpu_warm`` leaves out `start_cpu_s` for it.
    """
    before, own_before = all_cpu_s(), own_cpu_s()
    with local_benchmark() as benchmark:
        report = measure_source(benchmark, source(benchmark.clips).encode())
        cores = benchmark.cores
    assert report["outcome"] == "passed", report["failure"]
    total, own = all_cpu_s() - before, own_cpu_s() - own_before
    points, candidate = report["points"], report["cpu_s"]
    warm = total - start_cpu_s
    measured = sum(point["encode_cpu_s"] + point["decode_cpu_s"] for point in points)
    return {
        **{f"{stage}_s": seconds for stage, seconds in report["timings_s"].items()},
        "frame_pairs": sum(point["frames"] for point in points),
        "total_cpu_s": round(total, 2),
        "candidate_cpu_s": round(candidate, 2),
        "overhead_cpu_s": round(total - candidate, 2),
        "supervisor_cpu_s": round(own, 2),
        "zygote_and_workers_cpu_s": round(total - own - candidate, 2),
        "overhead_of_cpu": round(1 - candidate / total, 4),
        "overhead_of_cpu_warm": round(1 - candidate / warm, 4),
        "overhead_of_measures_wall": round(1 - measured / (report["timings_s"]["measure"] * cores), 4),
    }


def measure() -> dict[str, Any]:
    """All figures."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (192, 320, 3), dtype=np.uint8)
    other = np.clip(frame.astype(int) + rng.integers(-8, 9, frame.shape), 0, 255).astype(np.uint8)
    curve = [Point(10 ** (level / 12), level, 0.95) for level in (30, 33, 36, 39, 42)]
    result: dict[str, Any] = {
        "psnr_yuv_320x192_ms": median_ms(lambda: psnr_yuv(frame, other)),
        "ms_ssim_320x192_ms": median_ms(lambda: ms_ssim(frame, other)),
        "bd_rate_ms": median_ms(lambda: bd_rate(curve, curve)),
    }
    result["zygote_start"] = zygote_start()
    start_cpu_s = result["zygote_start"]["cpu_s"]
    result["version_0"] = whole_measure(lambda clips: CONTROL_SOURCE.read_text("utf-8"), start_cpu_s)
    result["moderate_codec"] = whole_measure(
        lambda clips: honest("motion", clips).replace(*WIDER_SEARCH), start_cpu_s
    )
    started = time.perf_counter()
    result["references_measured_again"] = rebuild_references()
    result["references_unchanged_s"] = round(time.perf_counter() - started, 3)
    return result


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
