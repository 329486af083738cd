"""Lambda entry point of the benchmark image: one request in, one report out. One supervisor stays warm."""

import json
import os
import time
from collections.abc import Mapping
from typing import Any, cast

from codec_sandbox import allocation, doctor
from codec_sandbox.clips import ClipSet
from codec_sandbox.faults import SandboxUnavailable
from codec_sandbox.references import References
from codec_sandbox.report import build
from codec_sandbox.request import Request, parse
from codec_sandbox.stages import RUN_WALL_S, Benchmark
from codec_sandbox.supervisor import Supervisor
from codec_sandbox.warm import PACKAGES_VARIABLE

TAMPERED_STATUS = 70
"""Exit status of a process that a worker has changed irrevocably."""

CORES_VARIABLE = "CODEC_SANDBOX_CORES"
"""Names how many workers run at a time; 0 means as many as this environment shows cores."""

WINDOW_CORES_VARIABLE = "CODEC_SANDBOX_WINDOW_CORES"
"""The same for a request that names one window, beside which others may run on this machine; 0 means no fewer."""

REPORTING_S = 20.0
"""Part of the function's time reserved for ending the workers and writing the report, in seconds."""

_warm: Benchmark | None = None


def benchmark() -> Benchmark:
    """Return the benchmark of this environment. Its zygote starts with the first invocation."""
    global _warm
    if _warm is None:
        allocation.keep_freed_memory()
        _warm = Benchmark(
            Supervisor(packages=_packages()),
            ClipSet(),
            References(),
            cores=int(os.environ.get(CORES_VARIABLE, "0")),
            window_cores=int(os.environ.get(WINDOW_CORES_VARIABLE, "0")),
        )
    return _warm


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Measure a candidate.

    Parameters
    ----------
    event : dict
        ``execution``, ``attempt_id``, ``envelope``, ``stages``, ``split``, ``seed``, ``limits``, and for `train` a
        ``trainer`` (``source_zb64``); for `probe`
        perhaps ``configs`` (settings of the candidate's own, with each of which it is measured); ``windows_of``, stages
        whose windows the report lists, and ``window``, the only one to measure; or ``control: true`` with ``stages``,
        which measures version 0 of this image and so tells a broken sandbox from a candidate that breaks it; or
        ``doctor: true``, which only reports what this environment's kernel allows the sandbox.
    context
        Of the invocation; None outside Lambda.

    Returns
    -------
    dict
        The report. A candidate's fault is a report with ``outcome: failed``. For the doctor, the result of
        `codec_sandbox.doctor.report`.

    Raises
    ------
    RequestError, PolicyError
        The request is wrong.
    SandboxUnavailable, ClipError
        This environment cannot measure.
    """
    started = time.perf_counter()
    if isinstance(event, Mapping) and cast(Mapping[str, Any], event).get("doctor") is True:
        return doctor.report(_packages())
    request = parse(event)
    try:
        runner = benchmark()
        report = build(runner, request, runner.run(request, wall_s=wall_s(request, context)))
    except SandboxUnavailable:
        _retire()
        raise
    _log(request, report, time.perf_counter() - started)
    return report


def _packages() -> str:
    return os.environ.get(PACKAGES_VARIABLE, "")


def _log(request: Request, report: dict[str, Any], seconds: float) -> None:
    """Log one line of JSON. A failure on held-out clips is not logged."""
    line = {
        "level": "INFO",
        "message": "measured",
        "correlation_id": request.execution,
        "attempt_id": request.attempt_id,
        "stages": request.stages,
        "split": request.split,
        "window": request.window,
        "outcome": report["outcome"],
        "failure": None if request.split == "held_out" else report["failure"],
        "source_sha256": report["source_sha256"],
        "cpu_s": report["cpu_s"],
        "timings_s": report["timings_s"],
        "layers": report["layers"],
        "seconds": round(seconds, 3),
    }
    print(json.dumps(line), flush=True)


def wall_s(request: Request, context: Any) -> float:
    """Return the seconds that the run may take, so that the report is out before the function's time is over."""
    if context is None:
        return RUN_WALL_S
    left = context.get_remaining_time_in_millis() / 1000
    return min(RUN_WALL_S, left - request.limits.call_s - REPORTING_S)


def _retire() -> None:
    """Drop the supervisor; the next invocation starts another.

    If a worker has changed this process irrevocably (its limits, processors or priority), a new supervisor would take
    the change for the normal state. The process then ends, and Lambda starts a clean one.
    """
    global _warm
    retired, _warm = _warm, None
    if retired is None:
        return
    tampered = retired.sandbox.tampered
    retired.sandbox.close()
    if tampered:
        print(json.dumps({"level": "ERROR", "message": "tampered", "changed": tampered}), flush=True)
        os._exit(TAMPERED_STATUS)
