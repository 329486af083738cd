"""What measuring costs: prints one JSON object. Run it on an idle machine: ``python -m tests.bench.bench_benchmark``.

Overhead is everything but the candidate's own CPU: workers starting and loading, frames going to and fro, metrics,
report. It is given as a share of the CPU seconds of a whole measure, which other programs on the machine do not
change, and as a share of the wall clock of all cores, which they do.
"""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from codec_evolution.rate_distortion import Point, bd_rate
from codec_sandbox.metrics import ms_ssim, psnr_yuv
from codec_sandbox.request import CONTROL_SOURCE

from infra.local.benchmark import local_benchmark, measure_source
from infra.local.references import rebuild_references
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
    """CPU seconds of this process, without its workers."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def whole_measure(benchmark: Any, source: str) -> dict[str, float]:
    """One run of all stages."""
    before = own_cpu_s()
    report = measure_source(benchmark, source.encode())
    assert report["outcome"] == "passed", report["failure"]
    own = own_cpu_s() - before
    points = report["points"]
    candidate = sum(point["encode_cpu_s"] + point["decode_cpu_s"] for point in points)
    measure_s = report["timings_s"]["measure"]
    return {
        **{f"{stage}_s": seconds for stage, seconds in report["timings_s"].items()},
        "frame_pairs": sum(point["frames"] for point in points),
        "candidate_cpu_s": round(candidate, 2),
        "supervisor_cpu_s": round(own, 2),
        "overhead_of_cpu": round(own / (own + report["cpu_s"]), 4),
        "overhead_of_wall": round(1 - candidate / (measure_s * benchmark.cores), 4),
    }


def main() -> None:
    """Print everything."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (192, 320, 3), dtype=np.uint8)
    other = np.clip(frame.astype(int) + rng.integers(-8, 9, frame.shape), 0, 255).astype(np.uint8)
    curve = [Point(10 ** (level / 12), level, 0.95) for level in (30, 33, 36, 39, 42)]
    result: dict[str, Any] = {
        "psnr_yuv_320x192_ms": median_ms(lambda: psnr_yuv(frame, other)),
        "ms_ssim_320x192_ms": median_ms(lambda: ms_ssim(frame, other)),
        "bd_rate_ms": median_ms(lambda: bd_rate(curve, curve)),
    }
    with local_benchmark() as benchmark:
        result["version_0"] = whole_measure(benchmark, CONTROL_SOURCE.read_text(encoding="utf-8"))
        moderate = honest("motion", benchmark.clips).replace(*WIDER_SEARCH)
        result["moderate_codec"] = whole_measure(benchmark, moderate)
    started = time.perf_counter()
    result["references_measured_again"] = rebuild_references()
    result["references_unchanged_s"] = round(time.perf_counter() - started, 3)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
