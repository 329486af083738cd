"""The stages of the benchmark: validate, smoke, screen, measure. Raw points out; the rule is not known here.

A candidate's fault ends its stage and is the answer; a fault of the sandbox or of the clip set is an exception.
"""

import hashlib
import itertools
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codec_sandbox.clips import ClipSet, Window
from codec_sandbox.faults import printable
from codec_sandbox.quality import Quality, sequence_quality
from codec_sandbox.references import References
from codec_sandbox.request import Request
from codec_sandbox.runs import Coded, CpuMeter, Deadline, Fault, RunFailed, Runner, Stopped, Workshop
from codec_sandbox.worker import FUNCTIONS

QUALITIES = (10, 30, 50, 70, 90)
LOWEST, HIGHEST = 0, 100
SMOKE_QUALITY = 50
WINDOW_DB = (32.0, 41.0)
WIDE_GAP_DB = 6.5
MOST_EXTRA = 2
SMOKE_SIZE = (1080, 1920, 3)
SMOKE_FPS = 30.0
SCREEN_FRAMES = 4
FALL_TOLERANCE_DB = 0.5
SCREEN_LEAST_DB = 28.0
SCREEN_LEAST_SPAN_DB = 0.5
SCREEN_BUDGET_MARGIN = 1.5
RUN_WALL_S = 840.0
"""Seconds for a whole run: the benchmark function has 900, and one call of 30 may still be under way."""

Progress = Callable[[dict[str, Any]], None]
Observer = Callable[[Window, int, np.ndarray, list[np.ndarray]], None]
"""Told of every measured window: the window, the quality, its frames, the decoded frames."""


@dataclass(frozen=True)
class Measurement:
    """One window at one quality."""

    window: Window
    quality: int
    coded: Coded
    distortion: Quality


class StageFailed(Exception):
    """The candidate failed in a stage."""

    def __init__(self, stage: str, fault: Fault, clip: str | None = None, quality: int | None = None) -> None:
        super().__init__(fault.message)
        self.stage, self.fault, self.clip, self.quality = stage, fault, clip, quality


@dataclass
class Outcome:
    """What the stages have found so far. Kept when a later stage fails."""

    failure: StageFailed | None = None
    windows: list[Window] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    cpu_s: float = 0.0
    timings_s: dict[str, float] = field(default_factory=dict)


class Benchmark:
    """Runs the stages that a request asks for.

    Parameters
    ----------
    workshop : Workshop
        A supervisor; it stays warm between requests.
    clips : ClipSet
    references : References
    cores : int
        How many pairs of workers run at a time; the machine's number if 0.
    observe : callable or None
        Is shown what was decoded, for pictures and further metrics; called from several threads.
    """

    def __init__(
        self,
        workshop: Workshop,
        clips: ClipSet,
        references: References,
        cores: int = 0,
        observe: Observer | None = None,
    ) -> None:
        self.workshop, self.clips, self.references = workshop, clips, references
        self.observe = observe
        self.cores = cores or len(os.sched_getaffinity(0))
        self._stages = {
            "validate": self._validate,
            "smoke": self._smoke,
            "screen": self._screen,
            "measure": self._measure,
        }

    def run(
        self, request: Request, progress: Progress = lambda event: None, wall_s: float = RUN_WALL_S
    ) -> Outcome:
        """Run the stages in order; the first that fails ends the run, and so does a call after `wall_s` seconds.

        Raises
        ------
        SandboxUnavailable, ClipError
            Faults of ours.
        """
        outcome = Outcome()
        runner = Runner(self.workshop, request.source, request.policy, request.limits)
        deadline = Deadline.after(wall_s)
        for stage in request.stages:
            started = time.perf_counter()
            meter = CpuMeter(request.total_cpu_s, deadline)
            progress({"stage": stage, "event": "started"})
            try:
                self._stages[stage](request, runner, meter, outcome, progress)
            except StageFailed as failure:
                outcome.failure = failure
            except RunFailed as failure:
                outcome.failure = StageFailed(stage, failure.fault)
            outcome.cpu_s += meter.used_s
            outcome.timings_s[stage] = time.perf_counter() - started
            if outcome.failure:
                break
        return outcome

    def _validate(self, request, runner, meter, outcome, progress) -> None:
        if request.policy is not None:
            violations = self.workshop.validate(request.source, request.policy)
            if violations:
                raise StageFailed("validate", _violation_fault(violations))
        runner.load("encoder", meter)
        runner.load("decoder", meter)

    def _smoke(self, request, runner, meter, outcome, progress) -> None:
        runner.code(smoke_frames(), SMOKE_FPS, SMOKE_QUALITY, meter)

    def _screen(self, request, runner, meter, outcome, progress) -> None:
        window = self.clips.choose("train", request.seed)[0]
        frames = self.clips.load(window)[:SCREEN_FRAMES]
        results = {}
        for quality in (QUALITIES[0], QUALITIES[-1]):
            try:
                coded = runner.code(frames, window.fps, quality, meter)
            except RunFailed as failure:
                raise StageFailed("screen", failure.fault, window.clip, quality) from failure
            results[quality] = (coded, sequence_quality(frames, coded.frames))
        windows = self._windows(request)
        pixels = len(QUALITIES) * sum(w.frames * w.width * w.height for w in windows)
        load_s = sum(coded.load_cpu_s for coded, _ in results.values()) / len(results)
        per_pixel = (meter.used_s - load_s * len(results)) / (len(results) * frames[..., 0].size)
        expected_s = per_pixel * pixels + load_s * len(QUALITIES) * len(windows)
        fault = _hopeless(results, frames.nbytes, expected_s, request.total_cpu_s)
        if fault:
            raise StageFailed("screen", fault, window.clip)

    def _windows(self, request: Request) -> list[Window]:
        """The contest's windows; a held-out contest also repeats one training window, to be compared."""
        windows = self.clips.choose(request.split, request.seed)
        return [*windows, self.clips.control()] if request.split == "held_out" else windows

    def _measure(self, request, runner, meter, outcome, progress) -> None:
        outcome.windows = self._windows(request)
        jobs = [(window, quality) for quality in QUALITIES for window in outcome.windows]
        measured = _Parallel(self, runner, meter, progress)
        outcome.measurements = measured.run(jobs, repeated_job(jobs, request.seed))
        outcome.measurements += measured.run(_extra_jobs(outcome.windows, outcome.measurements))
        _check_rising(outcome.windows, outcome.measurements)


class _Parallel:
    """Measures windows at qualities, several at a time; the first fault stops the others."""

    def __init__(self, benchmark: Benchmark, runner: Runner, meter: CpuMeter, progress: Progress) -> None:
        self._benchmark, self._runner, self._meter, self._progress = benchmark, runner, meter, progress
        self._lock, self._done, self._total = threading.Lock(), 0, 0

    def run(
        self, jobs: list[tuple[Window, int]], repeat: tuple[Window, int] | None = None
    ) -> list[Measurement]:
        """Measurements in the order of `jobs`. The job `repeat` is run twice and must give the same twice."""
        self._total += len(jobs)
        todo = [*jobs, repeat] if repeat else jobs
        with ThreadPoolExecutor(max_workers=self._benchmark.cores) as pool:
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
            _check_repeated(results[jobs.index(repeat)], results.pop())
        return results

    def _one(self, job: tuple[Window, int], again: bool) -> Measurement:
        window, quality = job
        frames = self._benchmark.clips.load(window)
        try:
            coded = self._runner.code(frames, window.fps, quality, self._meter)
        except RunFailed as failure:
            self._meter.stopped = True
            raise StageFailed("measure", failure.fault, window.clip, quality) from failure
        measurement = Measurement(
            window, quality, _without_frames(coded), sequence_quality(frames, coded.frames)
        )
        if not again:
            if self._benchmark.observe is not None:
                self._benchmark.observe(window, quality, frames, coded.frames)
            self._report(measurement)
        return measurement

    def _report(self, measurement: Measurement) -> None:
        with self._lock:
            self._done += 1
            self._progress(
                {
                    "stage": "measure",
                    "event": "measured",
                    "done": self._done,
                    "total": self._total,
                    "measurement": measurement,
                }
            )


def repeated_job(jobs: list[tuple[Window, int]], seed: str) -> tuple[Window, int]:
    """The job that is run twice. No candidate is told the seed, so none knows where it has to agree with itself."""
    draws = {job: hashlib.sha256(f"{seed}\nrepeat\n{job[0].key}\n{job[1]}".encode()).digest() for job in jobs}
    return min(jobs, key=draws.__getitem__)


def _without_frames(coded: Coded) -> Coded:
    fields = {name: getattr(coded, name) for name in Coded.__dataclass_fields__}
    return Coded(**{**fields, "frames": []})


def _first_failure(futures) -> Exception:
    """A fault of ours if there is one, else the fault of the earliest job."""
    errors = [f.exception() for f in futures if f.done() and not f.cancelled() and f.exception() is not None]
    ours = [error for error in errors if not isinstance(error, StageFailed | Stopped)]
    theirs = [error for error in errors if isinstance(error, StageFailed)]
    return (ours or theirs)[0]


def _check_repeated(first: Measurement, second: Measurement) -> None:
    for what, name in (("packets", "packets_sha256"), ("decoded frames", "frames_sha256")):
        if getattr(first.coded, name) != getattr(second.coded, name):
            message = (
                f"two runs of {first.window.key} at quality {first.quality} gave different {what}; "
                "seed every random generator, and let nothing depend on time or on addresses"
            )
            raise StageFailed("measure", Fault("nondeterministic", message), first.window.clip, first.quality)


def _check_rising(windows: list[Window], measured: list[Measurement]) -> None:
    """Higher `quality` must not give worse frames; otherwise `quality` is not a quality."""
    for window in windows:
        rows = sorted((m for m in measured if m.window == window), key=lambda m: m.quality)
        for lower, higher in itertools.pairwise(rows):
            if higher.distortion.psnr_db < lower.distortion.psnr_db - FALL_TOLERANCE_DB:
                message = (
                    f"quality {higher.quality} gives {higher.distortion.psnr_db:.2f} dB and quality {lower.quality} "
                    f"{lower.distortion.psnr_db:.2f} dB on {window.key}: higher quality must not give worse frames"
                )
                raise StageFailed("measure", Fault("quality", message), window.clip, higher.quality)


def _extra_jobs(windows: list[Window], measured: list[Measurement]) -> list[tuple[Window, int]]:
    """At most two more qualities for each window whose curve does not cover 32 to 41 dB well."""
    return [
        (window, quality)
        for window in windows
        for quality in extra_qualities(
            {m.quality: m.distortion.psnr_db for m in measured if m.window == window}
        )
    ]


def extra_qualities(levels: dict[int, float]) -> list[int]:
    """Which more to measure: where an end of 32 to 41 dB is not reached, then in the middle of the widest gaps.

    Parameters
    ----------
    levels : dict
        PSNR-YUV in dB by quality.
    """
    extra = [LOWEST] if min(levels.values()) > WINDOW_DB[0] else []
    extra += [HIGHEST] if max(levels.values()) < WINDOW_DB[1] else []
    gaps = [
        (levels[low] - levels[high], (low + high) // 2)
        for low, high in itertools.pairwise(sorted(levels))
        if levels[high] - levels[low] > WIDE_GAP_DB
        and levels[low] < WINDOW_DB[1]
        and levels[high] > WINDOW_DB[0]
    ]
    return [*extra, *(middle for _, middle in sorted(gaps))][:MOST_EXTRA]


def smoke_frames() -> np.ndarray:
    """Random, black and gray: (3, 1080, 1920, 3) uint8. They gate; they are never measured."""
    frames = np.zeros((3, *SMOKE_SIZE), dtype=np.uint8)
    frames[0] = np.random.default_rng(0).integers(0, 256, SMOKE_SIZE, dtype=np.uint8)
    frames[2] = 128
    return frames


def _violation_fault(violations: list) -> Fault:
    constructs = {violation.construct.removeprefix("def ") for violation in violations}
    if constructs & {"syntax", "source"}:
        kind = "syntax"
    else:
        kind = "signature" if constructs <= set(FUNCTIONS.values()) else "policy"
    shown = "\n".join(str(violation) for violation in violations[:12])
    more = f"\nand {len(violations) - 12} more" if len(violations) > 12 else ""
    return Fault(kind, printable(shown + more, 2000), line=violations[0].line or None)


def _hopeless(results: dict, raw_bytes: int, cpu_s: float, allowed_s: float) -> Fault | None:
    """Why a candidate need not be measured, from a few frames at the lowest and the highest quality."""
    (low, low_quality), (_, high_quality) = (results[q] for q in (QUALITIES[0], QUALITIES[-1]))
    span = high_quality.psnr_db - low_quality.psnr_db
    if high_quality.psnr_db < SCREEN_LEAST_DB:
        message = (
            f"at quality {QUALITIES[-1]} the decoded frames reach only {high_quality.psnr_db:.1f} dB PSNR-YUV; "
            f"{SCREEN_LEAST_DB:g} dB is the least that is measured"
        )
        return Fault("quality", message)
    if low.size_bytes >= raw_bytes:
        message = (
            f"at quality {QUALITIES[0]} the packets are no smaller than the raw frames: nothing is compressed"
        )
        return Fault("quality", message)
    if span < SCREEN_LEAST_SPAN_DB:
        message = (
            f"`quality` has no effect: {low_quality.psnr_db:.1f} dB at {QUALITIES[0]} and "
            f"{high_quality.psnr_db:.1f} dB at {QUALITIES[-1]}; higher quality must give better frames"
        )
        return Fault("quality", message)
    if cpu_s > SCREEN_BUDGET_MARGIN * allowed_s:
        message = (
            f"measuring would take about {cpu_s:.0f} CPU seconds and {allowed_s:g} are allowed: "
            "encode and decode faster"
        )
        return Fault("budget", message)
    return None


def sequence_sha256(measurements: list[Measurement], window: Window, name: str) -> str:
    """One hash over a window's base qualities, in order: `name` is ``packets_sha256`` or ``frames_sha256``."""
    digest = hashlib.sha256()
    for measurement in sorted(measurements, key=lambda m: m.quality):
        if measurement.window == window and measurement.quality in QUALITIES:
            digest.update(bytes.fromhex(getattr(measurement.coded, name)))
    return digest.hexdigest()
