"""The stages of the benchmark, from validate to sealed. They return raw points and know no adoption rule.

A candidate's fault ends its stage and is the result; a fault of the sandbox or of the clip set is an exception.
"""

import os
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from codec_sandbox.clips import ClipSet, Window
from codec_sandbox.curve import QUALITIES, extra_qualities
from codec_sandbox.faults import Violation, printable
from codec_sandbox.measurement import Measurement, StageFailed, check_rising, told
from codec_sandbox.parallel import Observer, Parallel, Progress, repeated_job
from codec_sandbox.picture import take
from codec_sandbox.ports import Sandbox
from codec_sandbox.probing import probe_jobs
from codec_sandbox.quality import Quality, sequence_quality
from codec_sandbox.references import References
from codec_sandbox.request import Request, RequestError
from codec_sandbox.runs import Coded, CpuMeter, Deadline, Fault, RunFailed, Runner
from codec_sandbox.screening import hopeless
from codec_sandbox.segments import AUDIT, Segments
from codec_sandbox.smoke import SMOKE_FPS, SMOKE_QUALITY, smoke_frames
from codec_sandbox.training import Trained, train
from codec_sandbox.worker import FUNCTIONS

SCREEN_FRAMES = 4
"""Frames that the screen stage encodes at the lowest and at the highest of `QUALITIES`."""

MOST_REMEMBERED = 16
"""Sources of which it is known that they have passed the smoke stage here: drafts of an attempt, then a candidate."""

RUN_WALL_S = 840.0
"""Seconds for a whole run: the benchmark function has 900, and one call of 30 may still be running."""


@dataclass
class Outcome:
    """The results so far, kept when a later stage fails.

    Attributes
    ----------
    failure : StageFailed or None
    windows : list of Window
        Chosen to be measured.
    measurements : list of Measurement
        Complete only if there is no failure.
    cpu_s : float
        CPU seconds of all workers.
    timings_s : dict
        Stage -> wall clock in seconds.
    picture : Measurement or None
        Of the window that people are shown, with its frames.
    failed_variants : dict
        Index of the settings with which the candidate failed in the probe -> how.
    trained : Trained or None
        The constants that were trained, with which the probe measures.
    """

    failure: StageFailed | None = None
    windows: list[Window] = field(default_factory=list[Window])
    measurements: list[Measurement] = field(default_factory=list[Measurement])
    cpu_s: float = 0.0
    timings_s: dict[str, float] = field(default_factory=dict[str, float])
    picture: Measurement | None = None
    failed_variants: dict[int, StageFailed] = field(default_factory=dict[int, StageFailed])
    trained: Trained | None = None


def _ignore(event: dict[str, Any]) -> None:
    """Take no notice of progress."""


class Benchmark:
    """Runs the stages that a request asks for.

    Parameters
    ----------
    sandbox : Sandbox
        A supervisor; it stays warm between requests.
    clips : ClipSet
    references : References
    cores : int
        Runs at a time; 0 for the number of processors.
    window_cores : int
        Runs at a time where a request names one window; 0 for `cores`.
    observe : callable or None
        Receives what was decoded, for pictures and further measures. Called from several threads.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        clips: ClipSet,
        references: References,
        cores: int = 0,
        observe: Observer | None = None,
        window_cores: int = 0,
    ) -> None:
        self.sandbox, self.clips, self.references = sandbox, clips, references
        self.segments = Segments(clips.directory)
        self.observe = observe
        self.cores = cores or len(os.sched_getaffinity(0))
        self.window_cores = window_cores or self.cores
        self._smoke_passed: deque[tuple[object, ...]] = deque(maxlen=MOST_REMEMBERED)
        self._stages = {
            "validate": self._validate,
            "smoke": self._smoke,
            "screen": self._screen,
            "train": self._train,
            "probe": self._probe,
            "measure": self._measure,
            "sealed": self._sealed,
            AUDIT: self._audit,
        }

    def run(self, request: Request, progress: Progress = _ignore, wall_s: float = RUN_WALL_S) -> Outcome:
        """Run the stages in order until one fails or the time is over.

        Parameters
        ----------
        request : Request
        progress : callable
            Receives events.
        wall_s : float
            Seconds for the whole run.

        Raises
        ------
        SandboxUnavailable
            The sandbox failed.
        ClipError
            A window is missing or damaged.
        RequestError
            No stage of the request measures the window that it names.
        """
        outcome = Outcome()
        runner = Runner(self.sandbox, request.source, request.policy, request.limits)
        deadline = Deadline.after(wall_s)
        for stage in self._stages_of(request):
            started = time.perf_counter()
            meter = CpuMeter(request.total_cpu_s, deadline)
            progress({"stage": stage, "event": "started"})
            try:
                self._stages[stage](request, runner, meter, outcome, progress)
            except StageFailed as failure:
                outcome.failure = told(failure, request.source)
            except RunFailed as failure:
                outcome.failure = told(StageFailed(stage, failure.fault), request.source)
            outcome.cpu_s += meter.used_s
            outcome.timings_s[stage] = time.perf_counter() - started
            if outcome.failure:
                break
        return outcome

    def windows(self, request: Request, stage: str) -> list[Window]:
        """Return what a stage of `WINDOW_STAGES` measures in this contest, whatever `request.window` is."""
        if stage == AUDIT:
            return list(self.segments.windows)
        return self.clips.sealed() if stage == "sealed" else self._windows(request)

    def _stages_of(self, request: Request) -> list[str]:
        """Return the stages to run: where the request names a window, the one that measures it."""
        if not request.window:
            return list(request.stages)
        for stage in request.stages:
            if any(window.key == request.window for window in self.windows(request, stage)):
                return [stage]
        keys = [window.key for stage in request.stages for window in self.windows(request, stage)]
        raise RequestError(f"window must be one of the contest's ({', '.join(keys)})")

    def _validate(self, request: Request, runner: Runner, meter: CpuMeter, *_: object) -> None:
        if request.policy is not None:
            violations = self.sandbox.validate(request.source, request.policy)
            if violations:
                raise StageFailed("validate", _violation_fault(violations))
        runner.load("encoder", meter)
        runner.load("decoder", meter)

    def _smoke(self, request: Request, runner: Runner, meter: CpuMeter, *_: object) -> None:
        """Code the smoke frames; as a gate to later stages, not again where the same run has passed here before."""
        run = (request.source_sha256, request.policy_sha256, request.limits, request.total_cpu_s)
        if run in self._smoke_passed and request.policy is not None and request.stages[-1] != "smoke":
            return
        runner.code(smoke_frames(*self.clips.smoke_size), SMOKE_FPS, SMOKE_QUALITY, meter)
        self._smoke_passed.append(run)

    def _screen(self, request: Request, runner: Runner, meter: CpuMeter, *_: object) -> None:
        window = self.clips.choose("train", request.seed)[0]
        frames = self.clips.load(window)[:SCREEN_FRAMES]
        results: dict[int, tuple[Coded, Quality]] = {}
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
        low, high = results[QUALITIES[0]], results[QUALITIES[-1]]
        fault = hopeless(low, high, frames.nbytes, expected_s, request.total_cpu_s)
        if fault:
            raise StageFailed("screen", fault, window.clip)

    def _windows(self, request: Request) -> list[Window]:
        """Return the contest's windows. A held-out contest also repeats one training window, for comparison."""
        windows = self.clips.choose(request.split, request.seed)
        return [*windows, self.clips.control(request.seed)] if request.split == "held_out" else windows

    def _train(
        self, request: Request, runner: Runner, meter: CpuMeter, outcome: Outcome, progress: Progress
    ) -> None:
        outcome.trained = train(self.sandbox, self.clips, request, meter)

    def _probe(
        self, request: Request, runner: Runner, meter: CpuMeter, outcome: Outcome, progress: Progress
    ) -> None:
        jobs = probe_jobs(self._windows(request))
        source = outcome.trained.source if outcome.trained else request.source
        outcome.windows = list(dict.fromkeys(window for window, _ in jobs))
        for variant, config in enumerate(request.configs or ({},)):
            asks_bits = not request.configs
            tuned = Runner(self.sandbox, source, request.policy, request.limits, config, asks_bits)
            try:
                found = Parallel(self.clips, "probe", tuned, meter, progress, self.cores, self.observe).run(
                    jobs
                )
            except StageFailed as failure:
                if not request.configs:
                    raise
                outcome.failed_variants[variant] = told(failure, request.source)
                meter.stopped = False
            else:
                outcome.measurements += [replace(each, variant=variant) for each in found]

    def _measure(
        self, request: Request, runner: Runner, meter: CpuMeter, outcome: Outcome, progress: Progress
    ) -> None:
        self._measure_windows("measure", request, runner, meter, outcome, progress)

    def _sealed(
        self, request: Request, runner: Runner, meter: CpuMeter, outcome: Outcome, progress: Progress
    ) -> None:
        """Measure the sealed windows, for the figures of record."""
        self._measure_windows("sealed", request, runner, meter, outcome, progress)
        outcome.picture = take(self.clips, outcome.measurements, runner, meter)

    def _audit(
        self, request: Request, runner: Runner, meter: CpuMeter, outcome: Outcome, progress: Progress
    ) -> None:
        """Measure the segments of an audit, at the same qualities whatever their curves cover."""
        self._measure_windows(AUDIT, request, runner, meter, outcome, progress)

    def _measure_windows(
        self,
        stage: str,
        request: Request,
        runner: Runner,
        meter: CpuMeter,
        outcome: Outcome,
        progress: Progress,
    ) -> None:
        contest = self.windows(request, stage)
        windows = [window for window in contest if request.window in ("", window.key)]
        outcome.windows = [*outcome.windows, *windows]
        jobs = [(window, quality) for quality in QUALITIES for window in contest]
        # Drawn over the whole contest, so that the parts of one repeat what a single invocation would.
        repeat = repeated_job(jobs, request.seed)
        own = [job for job in jobs if job[0] in windows]
        cores = self.window_cores if request.window else self.cores
        clips = self.segments if stage == AUDIT else self.clips
        parallel = Parallel(clips, stage, runner, meter, progress, cores, self.observe)
        measured = parallel.run(own, repeat if repeat in own else None)
        if stage != AUDIT:
            measured += parallel.run(self._extra_jobs(windows, measured))
        outcome.measurements += measured
        check_rising(stage, windows, measured)

    def _extra_jobs(self, windows: list[Window], measured: list[Measurement]) -> list[tuple[Window, int]]:
        """Return further jobs for the windows whose curves do not cover their range of quality well."""
        return [
            (window, quality)
            for window in windows
            for quality in extra_qualities(
                {m.quality: m.distortion.psnr_db for m in measured if m.window == window},
                self.references.range_db(window),
            )
        ]


def _violation_fault(violations: list[Violation]) -> Fault:
    constructs = {violation.construct.removeprefix("def ") for violation in violations}
    if constructs & {"syntax", "source"}:
        kind = "syntax"
    else:
        kind = "signature" if constructs <= set(FUNCTIONS.values()) else "policy"
    shown = "\n".join(str(violation) for violation in violations[:12])
    more = f"\nand {len(violations) - 12} more" if len(violations) > 12 else ""
    return Fault(kind, printable(shown + more, 2000), line=violations[0].line or None)
