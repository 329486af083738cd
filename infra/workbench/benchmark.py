"""Benchmarks of codec files on this machine."""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from codec_evolution.contracts import Report
from codec_evolution.framework.release import allow_library_codecs
from codec_evolution.judging import comparison, figures
from codec_evolution.judging.rate_distortion import coverage
from codec_sandbox.clips import CLIP_DIRECTORY, ClipError, ClipSet
from codec_sandbox.faults import SandboxUnavailable
from codec_sandbox.limits import Limits
from codec_sandbox.parallel import Observer
from codec_sandbox.policy import Policy, ceiling_text
from codec_sandbox.references import References
from codec_sandbox.report import build, point
from codec_sandbox.request import STAGES, Request
from codec_sandbox.stages import Benchmark
from codec_sandbox.supervisor import Supervisor

from infra.errors import UserError
from infra.progress import Progress, silent
from infra.workbench.clips_setup import ensure_clips
from infra.workbench.codec_file import read_codec_file
from infra.workbench.gallery import Gallery
from infra.workbench.plots import check_folders, draw_rate_distortion, draw_side_by_side
from infra.workbench.video import VideoError, vmaf

POLICY_PATH = (
    Path(__file__).resolve().parents[2] / "layers/common/python/codec_evolution/data/language_policy.toml"
)
"""The language policy that ships with the project, TOML."""
DEFAULT_SEED = "benchmark"
"""Seed that picks the windows; this one picks window 0 of each shipped training clip, which pictures show."""
QUICK_STAGES = tuple(stage for stage in STAGES if stage != "sealed")
"""All stages but the one that measures the sealed windows."""
ROLES = ("train", "held_out", "sealed")
"""The roles of windows, in the order in which they are shown."""
POINT_FIELDS = (
    "quality",
    "bytes",
    "frames",
    "bitrate_mbps",
    "psnr_db",
    "psnr_min_db",
    "ms_ssim",
    "encode_cpu_s",
    "decode_cpu_s",
)
"""What a report shows of each point; CPU seconds are over all its frames."""


@contextlib.contextmanager
def local_benchmark(
    directory: Path = CLIP_DIRECTORY, observe: Observer | None = None, progress: Progress = silent
) -> Iterator[Benchmark]:
    """Yield a benchmark with a supervisor of its own; downloads the default clips if they are not there.

    Parameters
    ----------
    directory
        The clip set.
    observe
        Is shown every decoded window.

    Raises
    ------
    UserError
        This machine cannot measure: the clips cannot be fetched, or a required layer of the sandbox is missing.
    """
    try:
        ensure_clips(directory, progress)
        supervisor = Supervisor()
    except (ClipError, VideoError, SandboxUnavailable) as error:
        raise UserError(str(error)) from error
    try:
        yield Benchmark(supervisor, ClipSet(directory), References(directory), observe=observe)
    except (ClipError, SandboxUnavailable) as error:
        raise UserError(str(error)) from error
    finally:
        supervisor.close()


def shipped_policy(*, library_codecs: bool = False) -> Policy:
    """Return the language policy that ships with the project, below the ceiling of the sandbox.

    Parameters
    ----------
    library_codecs : bool
        Allow ready-made image codecs, as the operator's setting does for a new lineage.
    """
    text = POLICY_PATH.read_text(encoding="utf-8")
    if library_codecs:
        text = allow_library_codecs(text)
    return Policy.from_toml(text, ceiling_text(), library_codecs=library_codecs)


def widest_policy(*, library_codecs: bool = False) -> Policy:
    """Return the ceiling of the sandbox as a policy: a version may have been adopted under any policy below it.

    Parameters
    ----------
    library_codecs : bool
        As of `shipped_policy`.
    """
    text = widest_policy_text(library_codecs=library_codecs)
    return Policy.from_toml(text, ceiling_text(), library_codecs=library_codecs)


def widest_policy_text(*, library_codecs: bool = False) -> str:
    """Return `widest_policy` as TOML."""
    ceiling = tomllib.loads(ceiling_text())
    names = "\n".join(f"{json.dumps(name)} = {json.dumps(each)}" for name, each in ceiling["modules"].items())
    switch = f"library_codecs = {json.dumps(library_codecs)}"
    return f"{switch}\nbuiltins = {json.dumps(ceiling['builtins'])}\n[modules]\n{names}\n"


def validate_file(path: Path, *, library_codecs: bool = False) -> dict[str, Any]:
    """Check a file against the shipped language policy.

    Returns
    -------
    dict
        ``status``, ``passed`` or ``failed``, and ``violations``: dicts of ``line``, ``column``, ``construct`` and
        ``message``.

    Raises
    ------
    UserError
        The file is no codec's source, or the sandbox does not run here.
    """
    source = read_codec_file(path)
    try:
        with Supervisor() as supervisor:
            found = supervisor.validate(source, shipped_policy(library_codecs=library_codecs))
    except SandboxUnavailable as error:
        raise UserError(str(error)) from error
    return {
        "status": "failed" if found else "passed",
        "violations": [asdict(violation) for violation in found],
    }


def measure_source(
    benchmark: Benchmark,
    source: bytes,
    *,
    stages: tuple[str, ...] = STAGES,
    split: str = "train",
    seed: str = DEFAULT_SEED,
    total_cpu_s: float = Limits.cpu_s,
    library_codecs: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Return the sandbox's own report on a source: all stages, under the shipped language policy.

    Parameters
    ----------
    stages
        By default all of them; those of `QUICK_STAGES` leave out the sealed windows, and with them half of the time.
    split, seed
        Which windows: of the training or of the held-out clips, and the seed that picks them.
    total_cpu_s
        CPU seconds that all processes of one stage may use together.
    """
    request = Request(
        attempt_id="local",
        source=source,
        policy=shipped_policy(library_codecs=library_codecs),
        stages=stages,
        split=split,
        seed=seed,
        limits=Limits(cpu_s=total_cpu_s),
        total_cpu_s=total_cpu_s,
    )
    return build(benchmark, request, benchmark.run(request, lambda event: progress(_line(event))))


def _line(event: Mapping[str, Any]) -> str:
    measurement = event.get("measurement")
    if measurement is None:
        return f"{event['stage']} ..."
    row = point(measurement)
    return (
        f"{event['stage']} {event['done']}/{event['total']}: {row['clip']} window {row['window']} "
        f"quality {row['quality']}: {row['bitrate_mbps']:.2f} Mbps, {row['psnr_db']:.2f} dB"
    )


def benchmark_file(
    path: Path,
    progress: Progress = silent,
    *,
    plot: Path | None = None,
    picture: Path | None = None,
    anchors: bool = False,
    with_vmaf: bool = False,
    library_codecs: bool = False,
    quick: bool = False,
) -> dict[str, Any]:
    """Benchmark a file and return the JSON of ``codec-evolution benchmark``, see `summary`.

    Parameters
    ----------
    plot, picture
        Files for the rate-distortion plot, and for frames with their error: ``.svg`` or ``.png``; else both are drawn.
    anchors, with_vmaf
        Add the reference curves of the windows; add ``vmaf`` (VMAF NEG v0.6.1, mean) to the points of one window of
        each clip.
    quick
        Measure the training windows alone: in half of the time, but without figures of record.

    Raises
    ------
    UserError
        The file is no codec's source, a folder does not exist, or this machine cannot measure.
    """
    check_folders(plot, picture)
    source = read_codec_file(path)
    gallery = Gallery()
    observe = gallery if with_vmaf or picture else None
    with local_benchmark(observe=observe, progress=progress) as benchmark:
        report = measure_source(
            benchmark,
            source,
            stages=QUICK_STAGES if quick else STAGES,
            library_codecs=library_codecs,
            progress=progress,
        )
    scores = _vmaf_scores(gallery, progress) if with_vmaf else {}
    result = summary(Report.model_validate(report), scores)
    rows, clips, references = result["clips"], benchmark.clips, benchmark.references
    if plot and result["status"] == "passed":
        draw_rate_distortion(plot, [(path.stem, rows)], clips, references)
    if picture and result["status"] == "passed":
        draw_side_by_side(picture, clips, references, gallery.decoded)
    return {**result, "anchors": reference_curves(rows, clips, references)} if anchors else result


def _vmaf_scores(gallery: Gallery, progress: Progress) -> dict[tuple[str, int, int], float]:
    progress("VMAF ...")
    try:
        return {
            (clip, w.index, quality): vmaf(frames, decoded, w.fps)
            for (clip, quality), (w, frames, decoded) in gallery.decoded.items()
        }
    except VideoError as error:
        raise UserError(
            f"{error}; measure again without --vmaf, or with an ffmpeg that has libvmaf"
        ) from error


def summary(report: Report, scores: Mapping[tuple[str, int, int], float]) -> dict[str, Any]:
    """Return the sandbox's report as people and scripts are shown it.

    The figures are those of record, means over the clips: of the sealed windows where they were measured, else of the
    contest's; ``figures_windows`` says which. Rates are at the reference quality, ``bd_rate_vs_hevc`` is against x265
    zero latency, in percent.

    Parameters
    ----------
    scores
        VMAF by name of the clip, index of the window and quality value.
    """
    training = figures.contest_figures(report, "train")
    record = figures.figures_of_record(training, report)
    measured = record.measured
    return {
        "status": report.outcome,
        "source_sha256": report.source_sha256,
        "failure": report.failure and report.failure.to_payload(),
        "clips": _clip_rows(report, scores),
        "figures_windows": record.windows,
        **measured.model_dump(exclude={"bd_rate_vs_incumbent"}),
        "training_bd_rate_vs_hevc": training.measured.bd_rate_vs_hevc,
        "achievement": figures.achievement(record),
        "clip_set": report.clip_set,
        "seed": report.seed,
        "sandbox": {"layers": report.layers, "minimum": report.minimum},
        "cpu_s": report.cpu_s,
        "timings_s": report.timings_s,
    }


def reference_curves(
    rows: list[dict[str, Any]], clips: ClipSet, references: References
) -> list[dict[str, Any]]:
    """Return all stored curves of the windows in `rows`, the ``clips`` of a `summary`."""
    windows = [clips.clip(row["name"]).windows[row["window"]] for row in rows]
    return [
        {
            "clip": window.clip,
            "window": window.index,
            "codec": codec,
            "points": references.curve(window, codec),
        }
        for window in windows
        for codec in references.codecs(window)
    ]


def _clip_rows(report: Report, scores: Mapping[tuple[str, int, int], float]) -> list[dict[str, Any]]:
    anchors = comparison.anchor_curves(report)
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for measured in report.points:
        key, values = (measured.clip, measured.window), measured.to_payload()
        empty = {"name": measured.clip, "role": measured.role, "window": measured.window, "points": []}
        shown = {name: values[name] for name in POINT_FIELDS}
        if (score := scores.get((*key, measured.quality))) is not None:
            shown["vmaf"] = score
        rows.setdefault(key, empty)["points"].append(shown)
    for key, row in rows.items():
        curve = comparison.curves(report, row["role"])[key]
        within = comparison.range_on(report, key)
        row["quality_range"] = within.model_dump()
        row["bd_rate_vs_hevc"], row["bitrate_mbps"] = comparison.figures_of(curve, anchors.get(key), within)
        row["coverage"] = coverage(curve, within)
        row["flaw"] = comparison.flaw(key, curve, within)
    return sorted(rows.values(), key=lambda row: ROLES.index(row["role"]))
