"""Benchmarks for people: one file, or two against each other, on this machine's cores."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from codec_evolution.framework.release import allow_library_codecs
from codec_evolution.judging import adoption, comparison
from codec_evolution.judging.rate_distortion import coverage
from codec_sandbox.clips import CLIP_DIRECTORY, ClipError, ClipSet, Window
from codec_sandbox.faults import SandboxUnavailable
from codec_sandbox.limits import Limits
from codec_sandbox.policy import Policy, ceiling_text
from codec_sandbox.references import References
from codec_sandbox.report import build, point
from codec_sandbox.request import STAGES, Request
from codec_sandbox.stages import Benchmark, Observer
from codec_sandbox.supervisor import Supervisor

from infra.errors import UserError
from infra.workbench.clips_setup import ensure_clips
from infra.workbench.plots import check_folders, draw_rate_distortion, draw_side_by_side
from infra.workbench.video import VideoError, vmaf

POLICY_PATH = (
    Path(__file__).resolve().parents[2] / "layers/common/python/codec_evolution/data/language_policy.toml"
)
DEFAULT_SEED = "benchmark"
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
Progress = Callable[[str], None]


@dataclass
class Gallery:
    """Keeps what was decoded from windows 0, for VMAF and for pictures."""

    decoded: dict[tuple[str, int], tuple[Window, np.ndarray, list[np.ndarray]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, window: Window, quality: int, frames: np.ndarray, decoded: list[np.ndarray]) -> None:
        """Take note of one measured window."""
        if window.index == 0:
            with self.lock:
                self.decoded[window.clip, quality] = (window, frames, decoded)


@contextlib.contextmanager
def local_benchmark(
    directory: Path = CLIP_DIRECTORY, observe: Observer | None = None, progress: Progress = lambda line: None
) -> Iterator[Benchmark]:
    """A benchmark with a supervisor of its own, closed at the end. Fetches the clips if they are not there.

    Raises
    ------
    UserError
        This machine cannot measure: no clips, or a required layer of the sandbox is missing.
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


def read_source(path: Path) -> bytes:
    """The bytes of a codec's file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


@dataclass(frozen=True)
class NamedCodec:
    """A source with the name that plots and messages show."""

    name: str
    source: bytes

    @classmethod
    def of_file(cls, path: Path) -> "NamedCodec":
        """The codec of a file; raises `UserError` where it cannot be read."""
        return cls(path.stem, read_source(path))


def shipped_policy(*, library_codecs: bool = False) -> Policy:
    """The language policy that ships with the project, under the ceiling of the sandbox.

    Parameters
    ----------
    library_codecs : bool
        Switch the ready-made image codecs on, as the operator's setting does for a new lineage.
    """
    text = POLICY_PATH.read_text(encoding="utf-8")
    if library_codecs:
        text = allow_library_codecs(text)
    return Policy.from_toml(text, ceiling_text(), library_codecs=library_codecs)


def validate_file(path: Path, *, library_codecs: bool = False) -> dict[str, Any]:
    """Check one file against the shipped language policy: ``status`` and all ``violations``."""
    source = read_source(path)
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
    split: str = "train",
    seed: str = DEFAULT_SEED,
    total_cpu_s: float = Limits.cpu_s,
    library_codecs: bool = False,
    progress: Progress = lambda line: None,
) -> dict[str, Any]:
    """The sandbox's own report on a source: all stages, under the shipped language policy."""
    request = Request(
        attempt_id="local",
        source=source,
        policy=shipped_policy(library_codecs=library_codecs),
        stages=STAGES,
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
    progress: Progress = lambda line: None,
    *,
    plot: Path | None = None,
    picture: Path | None = None,
    anchors: bool = False,
    with_vmaf: bool = False,
    library_codecs: bool = False,
    split: str = "train",
    seed: str = DEFAULT_SEED,
    directory: Path = CLIP_DIRECTORY,
) -> dict[str, Any]:
    """Benchmark one file.

    Parameters
    ----------
    path : Path
        Python source of a codec.
    progress : callable
        Is given a line of text now and then.
    plot, picture : Path or None
        Where to draw the rate-distortion plot, and an original beside a decoded frame with its error; ``.svg``
        or ``.png``, and any other ending draws both.
    anchors : bool
        Add the reference curves of the windows.
    with_vmaf : bool
        Add ``vmaf`` (VMAF NEG v0.6.1, mean of the frames) to the points of windows 0.
    library_codecs : bool
        Allow ready-made image codecs.
    split, seed : str
        Which windows. Figures of the summary exist for training windows only.

    Returns
    -------
    dict
        What ``codec-evolution benchmark --json`` prints. Rates of the summary are at 36 dB PSNR-YUV, geometric
        means over the clips' windows 0; ``bd_rate_vs_hevc`` is against x265 zero latency, in percent.

    Raises
    ------
    UserError
        The file cannot be read, the folder of a drawing does not exist, or this machine cannot measure; the message
        says what to do.
    """
    check_folders(plot, picture)
    source = read_source(path)
    gallery = Gallery() if with_vmaf or picture else None
    with local_benchmark(directory, gallery, progress) as benchmark:
        report = measure_source(
            benchmark, source, split=split, seed=seed, library_codecs=library_codecs, progress=progress
        )
        clips, references = benchmark.clips, benchmark.references
    scores = {}
    if with_vmaf:
        progress("VMAF ...")
        scores = {k: vmaf(frames, decoded, w.fps) for k, (w, frames, decoded) in gallery.decoded.items()}
    result = summary(report, scores)
    if plot and result["status"] == "passed":
        draw_rate_distortion(plot, [(path.stem, result["clips"])], clips, references)
    if picture and result["status"] == "passed":
        draw_side_by_side(picture, clips, gallery.decoded)
    if anchors:
        result["anchors"] = reference_curves(result["clips"], clips, references)
    return result


def summary(report: Mapping[str, Any], scores: Mapping[tuple[str, int], float]) -> dict[str, Any]:
    """The sandbox's report in the form that people and scripts are shown."""
    figures = adoption.trend(report)
    return {
        "status": report["outcome"],
        "source_sha256": report["source_sha256"],
        "failure": report["failure"],
        "clips": _clip_rows(report, scores),
        "bitrate_mbps": figures.bitrate_mbps,
        "compression_ratio": figures.compression_ratio,
        "psnr_db": None if figures.bitrate_mbps is None else adoption.FLOOR_DB,
        "ms_ssim": figures.ms_ssim,
        "bd_rate_vs_hevc": figures.bd_rate_vs_hevc,
        "achievement": adoption.achievement(figures.bitrate_mbps),
        "clip_set": report["clip_set"],
        "seed": report["seed"],
        "sandbox": {"layers": report["layers"], "minimum": report["minimum"]},
        "cpu_s": report["cpu_s"],
        "timings_s": report["timings_s"],
    }


def reference_curves(rows: list[dict], clips: ClipSet, references: References) -> list[dict]:
    """All stored curves of the windows in `rows`."""
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


def _clip_rows(report: Mapping[str, Any], scores: Mapping[tuple[str, int], float]) -> list[dict]:
    anchors = comparison.anchor_curves(report)
    rows: dict[tuple[str, int], dict] = {}
    for entry in report["points"]:
        key = (entry["clip"], entry["window"])
        empty = {"name": entry["clip"], "role": entry["role"], "window": entry["window"], "points": []}
        shown = {name: entry[name] for name in POINT_FIELDS}
        if entry["window"] == 0 and (entry["clip"], entry["quality"]) in scores:
            shown["vmaf"] = scores[entry["clip"], entry["quality"]]
        rows.setdefault(key, empty)["points"].append(shown)
    for key, row in rows.items():
        curve = comparison.curves(report, row["role"])[key]
        row["bd_rate_vs_hevc"], row["bitrate_mbps_at_36_db"] = comparison.figures_of(curve, anchors.get(key))
        row["coverage"] = coverage(curve)
        row["flaw"] = comparison.flaw(key, curve)
    return list(rows.values())


def compare_codecs(
    candidate: NamedCodec,
    incumbent: NamedCodec,
    progress: Progress = lambda line: None,
    *,
    plot: Path | None = None,
    held_out: bool = False,
    seed: str = DEFAULT_SEED,
    directory: Path = CLIP_DIRECTORY,
) -> dict[str, Any]:
    """Judge one codec against another by the adoption rule, on the same windows.

    Parameters
    ----------
    candidate, incumbent : NamedCodec
        The sources and what they are called.
    plot : Path or None
        Where to draw both curves, as in `benchmark_file`.
    held_out : bool
        Also measure both on held-out windows and so come to a final verdict.

    Returns
    -------
    dict
        ``candidate`` and ``incumbent`` as `benchmark_file` gives them, ``verdict`` with all its figures. Where a codec
        fails, ``failure_kind`` of the verdict is set and its ``reason`` names the side.

    Raises
    ------
    UserError
        As `benchmark_file`.
    """
    check_folders(plot)
    sides = {"incumbent": incumbent, "candidate": candidate}
    contests = {}
    with local_benchmark(directory, None, progress) as benchmark:
        for side, codec in sides.items():
            reports = []
            for split in ("train", "held_out") if held_out else ("train",):
                progress(f"{side} {codec.name}, {split.replace('_', '-')} windows")
                reports.append(
                    measure_source(benchmark, codec.source, split=split, seed=seed, progress=progress)
                )
            contests[side] = adoption.Contest(*reports)
        clips, references = benchmark.clips, benchmark.references
    verdict = _failed(sides, contests) or adoption.judge(contests["candidate"], contests["incumbent"])
    summaries = {side: summary(contest.train, {}) for side, contest in contests.items()}
    if plot and verdict.failure_kind == "":
        curves = [(sides[side].name, summaries[side]["clips"]) for side in ("candidate", "incumbent")]
        draw_rate_distortion(plot, curves, clips, references)
    return {**summaries, "verdict": verdict.as_dict()}


def _failed(
    sides: Mapping[str, NamedCodec], contests: Mapping[str, adoption.Contest]
) -> adoption.Verdict | None:
    """The verdict where one side fails, or None: it says which, because for a person both are under test."""
    for side, contest in contests.items():
        for report in (contest.train, contest.held_out):
            if report is not None and (failure := report["failure"]):
                place = f" on clip {failure['clip']}" if failure["clip"] else ""
                reason = (
                    f"the {side} {sides[side].name} fails in {failure['stage']}{place}: {failure['message']}"
                )
                decision = "reject" if side == "candidate" else "undecidable"
                return adoption.Verdict(decision, reason, adoption.RULE.version, failure_kind=failure["kind"])
    return None
