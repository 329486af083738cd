"""Measures windows at qualities, several at a time."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import Any, TypeAlias

from codec_sandbox.clips import ClipSet, Window
from codec_sandbox.frames import Frame, Frames
from codec_sandbox.measurement import Measurement, StageFailed
from codec_sandbox.quality import sequence_quality
from codec_sandbox.runs import CpuMeter, Fault, RunFailed, Runner, Stopped
from codec_sandbox.segments import Segments

Progress: TypeAlias = Callable[[dict[str, Any]], None]
"""Receives an event at the start of every stage and for every measured window."""

Observer: TypeAlias = Callable[[Window, int, Frames, list[Frame]], None]
"""Receives every measurement: the window, the quality, its frames, the decoded frames."""


class Parallel:
    """Measures windows at qualities, several at a time; the first fault stops the others.

    Parameters
    ----------
    clips : ClipSet or Segments
        Holds the frames.
    stage : str
        On whose behalf; faults and progress name it.
    runner : Runner
    meter : CpuMeter
    progress : callable
    cores : int
        Runs at a time.
    observe : callable or None
        Receives what was decoded. Called from several threads.
    """

    def __init__(
        self,
        clips: ClipSet | Segments,
        stage: str,
        runner: Runner,
        meter: CpuMeter,
        progress: Progress,
        cores: int,
        observe: Observer | None = None,
    ) -> None:
        self._clips, self._observe, self._stage, self._cores = clips, observe, stage, cores
        self._runner, self._meter, self._progress = runner, meter, progress
        self._lock, self._done, self._total = threading.Lock(), 0, 0

    def run(
        self, jobs: list[tuple[Window, int]], repeat: tuple[Window, int] | None = None
    ) -> list[Measurement]:
        """Measure `jobs`, and `repeat` a second time with the same result; returns measurements in their order."""
        self._total += len(jobs)
        todo = [*jobs, repeat] if repeat else jobs
        with ThreadPoolExecutor(max_workers=self._cores) as pool:
            futures = [pool.submit(self._one, job, index >= len(jobs)) for index, job in enumerate(todo)]
            try:
                for future in as_completed(futures):
                    future.result()
            except Exception:
                self._meter.stopped = True
                pool.shutdown(wait=True, cancel_futures=True)
                raise _first_failure(futures) from None
        results = [future.result() for future in futures]
        if repeat:
            _check_repeated(self._stage, results[jobs.index(repeat)], results.pop())
        return results

    def _one(self, job: tuple[Window, int], again: bool) -> Measurement:
        window, quality = job
        frames = self._clips.load(window)
        try:
            coded = self._runner.code(frames, window.fps, quality, self._meter)
        except RunFailed as failure:
            self._meter.stopped = True
            raise StageFailed(self._stage, failure.fault, window.clip, quality) from failure
        measurement = Measurement(
            window, quality, replace(coded, frames=[]), sequence_quality(frames, coded.frames)
        )
        if not again:
            if self._observe is not None:
                self._observe(window, quality, frames, coded.frames)
            self._report(measurement)
        return measurement

    def _report(self, measurement: Measurement) -> None:
        with self._lock:
            self._done += 1
            self._progress(
                {
                    "stage": self._stage,
                    "event": "measured",
                    "done": self._done,
                    "total": self._total,
                    "measurement": measurement,
                }
            )


def repeated_job(jobs: list[tuple[Window, int]], seed: str) -> tuple[Window, int]:
    """Choose the job that is run twice. Candidates do not learn the seed, so none knows which one must agree."""
    draws = {job: hashlib.sha256(f"{seed}\nrepeat\n{job[0].key}\n{job[1]}".encode()).digest() for job in jobs}
    return min(jobs, key=draws.__getitem__)


def _first_failure(futures: list[Future[Measurement]]) -> BaseException:
    """Return the sandbox's own fault if there is one, else the fault of the earliest job."""
    ended = [future.exception() for future in futures if future.done() and not future.cancelled()]
    errors = [error for error in ended if error is not None]
    ours = [error for error in errors if not isinstance(error, StageFailed | Stopped)]
    theirs = [error for error in errors if isinstance(error, StageFailed)]
    return (ours or theirs)[0]


def _check_repeated(stage: str, first: Measurement, second: Measurement) -> None:
    for what, name in (("packets", "packets_sha256"), ("decoded frames", "frames_sha256")):
        if getattr(first.coded, name) != getattr(second.coded, name):
            message = (
                f"two runs of {first.window.key} at quality {first.quality} gave different {what}; "
                "seed every random generator, and let nothing depend on time or on addresses"
            )
            raise StageFailed(stage, Fault("nondeterministic", message), first.window.clip, first.quality)
