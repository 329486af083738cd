"""Training: a candidate's constants from windows of the training clips, by a trainer that a planner wrote.

A trainer is source that is appended to the candidate's, so it runs in the codec's own namespace, under the same policy
and behind the same walls; it may call the codec's functions, or replace one to watch it. Its process ends with the
stage: only the arrays that ``train(videos, config)`` returns remain.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from codec_sandbox.clips import SEALED_WINDOW, ClipSet, Window
from codec_sandbox.disclosure import disclosed
from codec_sandbox.faults import CandidateFault
from codec_sandbox.limits import Limits
from codec_sandbox.measurement import StageFailed
from codec_sandbox.ports import Sandbox
from codec_sandbox.request import Request
from codec_sandbox.runs import MAX_EDGES, CpuMeter, Fault
from codec_sandbox.source import joined, unreadable
from codec_sandbox.trained_arrays import TrainedArray, summary, unpack
from codec_sandbox.trained_source import Edit, with_edits

STAGE = "train"

MAX_TRAINING_WINDOWS = 8
"""Windows that a trainer is given: in turn one of each training clip, none of the contest's, none that is sealed."""

TRAINING_FRAMES = 12
"""Frames of each of them, from its first on."""

WALL_FACTOR = 3.0
"""Seconds of wall clock for each CPU second that a trainer may use, as the machine may be shared."""


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Attributes
    ----------
    source : bytes
        The candidate with the constants in place.
    edits : sequence of Edit
        Which lead from the candidate to it.
    arrays : dict
        Name of the constant -> what it holds.
    windows : list of Window
        That the trainer was given.
    seed : int
        That the trainer was given.
    cpu_s : float
        CPU seconds of the training.
    """

    source: bytes
    edits: Sequence[Edit]
    arrays: dict[str, TrainedArray]
    windows: list[Window]
    seed: int
    cpu_s: float

    def report(self) -> dict[str, Any]:
        """Return it as a report has it."""
        return {
            "source_sha256": hashlib.sha256(self.source).hexdigest(),
            "edits": [list(each) for each in self.edits],
            "arrays": summary(self.arrays),
            "windows": [window.key for window in self.windows],
            "frames": TRAINING_FRAMES,
            "seed": self.seed,
            "cpu_s": round(self.cpu_s, 3),
        }


def training_windows(clips: ClipSet, seed: str) -> list[Window]:
    """Return the windows for a training beside the contest of this seed, the same for the same seed.

    The contest's own windows are left out, so that what is measured is not what was trained on.
    """
    contest = set(clips.choose("train", seed))
    drawn = [
        sorted(
            (window for window in clip.windows if window.index != SEALED_WINDOW and window not in contest),
            key=lambda window: _draw(seed, window.key),
        )
        for clip in clips.clips
        if clip.role == "train"
    ]
    turns = itertools.zip_longest(*drawn)
    found = [window for turn in turns for window in turn if window is not None]
    return found[:MAX_TRAINING_WINDOWS]


def train(sandbox: Sandbox, clips: ClipSet, request: Request, meter: CpuMeter) -> Trained:
    """Run the trainer of a request.

    Raises
    ------
    StageFailed
        The trainer failed, used up its time, or returned what is no constant of the candidate. The message says what
        to do; a line is the trainer's own where it says so.
    ClipError
        A window is missing or damaged.
    """
    windows = training_windows(clips, request.seed)
    seed = int.from_bytes(_draw(request.seed, STAGE)[:4], "big")
    arrays = _arrays(sandbox, clips, request, meter, windows, seed)
    try:
        edits = sandbox.inscribe(
            request.source,
            {name: array.text for name, array in arrays.items()},
            _note(windows, seed, request.trainer),
        )
        source = with_edits(request.source, edits)
        if (unfit := unreadable(source)) is not None:
            message = (
                f"with the trained constants, {unfit.message}: return fewer numbers, or coarser ones (int8)"
            )
            raise CandidateFault("output_size", message)
    except CandidateFault as fault:
        raise _failed(fault, request) from fault
    return Trained(source, edits, arrays, windows, seed, meter.used_s)


def _arrays(
    sandbox: Sandbox, clips: ClipSet, request: Request, meter: CpuMeter, windows: list[Window], seed: int
) -> dict[str, TrainedArray]:
    config = {"seed": seed, "max_edges": MAX_EDGES, "windows": [window.key for window in windows]}
    try:
        worker = sandbox.trainer(request.source, request.trainer, request.policy, _limits(request, meter))
    except CandidateFault as fault:  # it has seen no frame yet
        raise _failed(fault, request, seen=False) from fault
    with worker:
        try:
            meter.charge(worker.load_cpu_s)
            for window in windows:
                worker.show(clips.load(window)[:TRAINING_FRAMES], window.fps)
            answer = worker.train(config)
            meter.charge(answer.cpu_s)
            return unpack(answer.data)
        except CandidateFault as fault:
            raise _failed(fault, request) from fault


def _limits(request: Request, meter: CpuMeter) -> Limits:
    """Return the worker's limits: one call takes the whole training."""
    wall_s = max(request.limits.call_s, WALL_FACTOR * request.total_cpu_s)
    if meter.deadline is not None:
        wall_s = min(wall_s, max(1.0, meter.deadline.ends - time.monotonic()))
    return replace(request.limits, call_s=wall_s, cpu_s=request.total_cpu_s)


def _note(windows: Sequence[Window], seed: int, trainer: bytes) -> str:
    by_clip: dict[str, list[str]] = {}
    for window in sorted(windows, key=lambda window: window.index):
        by_clip.setdefault(window.clip, []).append(str(window.index))
    named = " ".join(f"{clip}/{','.join(by_clip[clip])}" for clip in sorted(by_clip))
    by = hashlib.sha256(trainer).hexdigest()[:12]
    return f"{named} ({TRAINING_FRAMES} frames each), seed {seed}, by the trainer {by}."


def _draw(seed: str, what: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{STAGE}\n{what}".encode()).digest()


# -- a fault of the trainer


def _failed(fault: CandidateFault, request: Request, *, seen: bool = True) -> StageFailed:
    """Return a fault as it may be told: its lines are counted from the trainer's first line where they are its own."""
    code = joined(request.source, request.trainer)
    before = code[: len(code) - len(request.trainer)].count(b"\n")
    told = Fault(fault.kind, _advised(fault, before), line=fault.line, traceback=fault.traceback)
    lines = [_placed(line, before) for line in told.traceback.splitlines()]
    told = replace(told, traceback="\n".join(lines))
    if seen:
        told = disclosed(told, code)
    own = told.line is not None and told.line > before
    return StageFailed(STAGE, replace(told, line=told.line - before if own and told.line else told.line))


def _advised(fault: CandidateFault, before: int) -> str:
    message = fault.message
    if fault.violations:
        message = "; ".join(
            f"in the trainer, {replace(each, line=each.line - before)}" if each.line > before else str(each)
            for each in fault.violations
        )
    elif fault.line is not None and fault.line > before:
        message = f"in line {fault.line - before} of the trainer: {message}"
    if fault.kind in ("timeout", "budget"):
        message += "; train on fewer frames or in fewer steps"
    return message


def _placed(line: str, before: int) -> str:
    """Return a line of a traceback with the number that it has in the trainer."""
    head, colon, rest = line.removeprefix("line ").partition(",")
    if not line.startswith("line ") or not head.isdecimal() or int(head) <= before:
        return line
    return f"trainer line {int(head) - before}{colon}{rest}"
