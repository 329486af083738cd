"""Rate-distortion plots, and pictures of decoded frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from codec_evolution.judging.figures import ACHIEVEMENT_PERCENT
from codec_evolution.judging.rate_distortion import DEFAULT_RANGE, HEVC_ANCHOR_MBPS, TARGET_MBPS
from codec_sandbox.clips import Clip, ClipSet, Window
from codec_sandbox.quality import luma, psnr_yuv
from codec_sandbox.references import References

from infra.errors import UserError
from infra.workbench.gallery import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REFERENCE_STYLES = {
    "x265_zerolatency": ("x265 medium, zero latency (anchor)", {"color": "#444444", "marker": "s"}),
    "x265_medium": ("x265 medium, -tune psnr", {"color": "#888888", "marker": "^", "linestyle": "--"}),
    "svt_av1": ("SVT-AV1, preset 6", {"color": "#8c6bb1", "linestyle": ":"}),
    "vvenc": ("VVenC, faster", {"color": "#41ab5d", "linestyle": ":"}),
}
"""Label and style of each reference encoder that is drawn as a curve."""
CODEC_STYLES = (
    {"color": "#d7301f", "marker": "o", "linewidth": 2.2},
    {"color": "#2171b5", "marker": "D", "linewidth": 1.8},
)
"""The candidate or newest version, and the incumbent."""
KINDS = {"train": "training", "held_out": "held-out", "sealed": "sealed"}
"""What the title calls windows of each role."""
COLUMNS, LEGEND_COLUMNS = 2, 3
"""Most panels, and entries of the legend, side by side."""
PLOTTED_DB = (28.0, 48.0)
"""Range of the quality axis, dB PSNR-YUV."""
ERROR_GAIN = 4
"""Contrast of the error image."""


def check_folders(*outputs: Path | None) -> None:
    """Check that the folder of each file to draw exists, before anything is measured for it.

    Raises
    ------
    UserError
        A folder does not exist.
    """
    for output in outputs:
        if output is not None and not output.parent.is_dir():
            raise UserError(f"{output}: there is no folder {output.parent} to draw in")


def draw_rate_distortion(
    output: Path, codecs: Sequence[tuple[str, list[dict[str, Any]]]], clips: ClipSet, references: References
) -> list[Path]:
    """Draw rate-distortion curves, one panel per clip, of the first window that was measured.

    Parameters
    ----------
    output
        ``.svg`` or ``.png`` draws that format; any other name draws both, with these endings added.
    codecs
        Name and ``clips`` rows as `infra.workbench.benchmark.benchmark_file` returns them: the candidate or newest
        version first, the incumbent second, older versions after it.
    clips, references
        Where the reference curves come from.

    Returns
    -------
    list of Path
        The files written.
    """
    panels = _panels(codecs[0][1])
    lines = math.ceil(len(panels) / COLUMNS)
    columns = min(len(panels), COLUMNS)
    size = (1.0 + 5.6 * columns, 1.2 + 5.0 * lines)
    figure, grid = _subplots(lines, columns, size)
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    for axes, row in zip(grid.flat, panels, strict=False):
        window = clips.clip(row["name"]).windows[row["window"]]
        _draw_references(axes, window, references)
        for (name, rows), style in zip(codecs, _codec_styles(len(codecs)), strict=True):
            same = [r for r in rows if (r["name"], r["window"]) == (row["name"], row["window"])]
            for match in same:
                _draw_curve(axes, match["points"], name, {"zorder": 5, **style})
        _dress(axes, row)
        _mark_reference(axes, row)
    handles = {
        label: h for axes in grid.flat for h, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc="lower center", ncol=LEGEND_COLUMNS, fontsize=9, frameon=False
    )
    kind = KINDS[panels[0]["role"]]
    figure.suptitle(f"Rate-distortion on {kind} windows (shaded: the range that adoption looks at)")
    entries = math.ceil(len(handles) / LEGEND_COLUMNS)
    _lay_out(figure, grid.shape, below=0.8 + 0.22 * entries)
    return _save(figure, output)


def _codec_styles(count: int) -> list[dict[str, Any]]:
    """Return styles of the candidate, the incumbent, and older versions, which fade with age."""
    older = count - len(CODEC_STYLES)
    faded = [{**CODEC_STYLES[1], "linewidth": 1.2, "alpha": 0.75 - 0.5 * age / older} for age in range(older)]
    return [*CODEC_STYLES[:count], *faded]


def _panels(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the row of each clip's first window: of the contest, or else the sealed one."""
    contest = [row for row in rows if row["role"] != "sealed"]
    first: dict[str, dict[str, Any]] = {}
    for row in sorted(contest or rows, key=lambda row: row["window"]):
        first.setdefault(row["name"], row)
    return [first[name] for name in sorted(first)]


def _draw_curve(axes: Axes, points: list[dict[str, Any]], label: str, style: Mapping[str, Any]) -> None:
    ordered = sorted(points, key=lambda point: point["bitrate_mbps"])
    rates = [point["bitrate_mbps"] for point in ordered]
    levels = [point["psnr_db"] for point in ordered]
    axes.plot(rates, levels, label=label, **{"markersize": 5, **style})


def _draw_references(axes: Axes, window: Window, references: References) -> None:
    for codec, (label, style) in REFERENCE_STYLES.items():
        if points := references.curve(window, codec):
            _draw_curve(axes, points, label, {"linewidth": 1.3, "markersize": 4, **style})
    if points := references.curve(window, "x265_10mbps"):
        at = points[0]
        axes.plot(
            at["bitrate_mbps"],
            at["psnr_db"],
            "*",
            color="#fe9929",
            markersize=15,
            zorder=6,
            label="x265 at 10 Mbps",
        )


def _dress(axes: Axes, row: Mapping[str, Any]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MultipleLocator

    axes.set_xscale("log")
    axes.set_ylim(*PLOTTED_DB)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.6), max(high, 12))
    within = row["quality_range"]
    axes.axhspan(within["low_db"], within["high_db"], color="#f4f4f4", zorder=-1)
    for rate, text in ((HEVC_ANCHOR_MBPS, "10 Mbps: HEVC line"), (TARGET_MBPS, "1 Mbps: target")):
        axes.axvline(rate, color="#fe9929", linewidth=0.9, linestyle="-", zorder=0)
        axes.annotate(
            text,
            (rate, PLOTTED_DB[1] - 0.2),
            (-3, 0),
            textcoords="offset points",
            rotation=90,
            va="top",
            ha="right",
            fontsize=8,
            color="#8c4a04",
        )
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    axes.set_xlabel("rate, Mbps at 1080p30 equivalent")
    axes.set_ylabel("PSNR-YUV 6:1:1, dB")
    rate, versus = row.get("bitrate_mbps"), row.get("bd_rate_vs_hevc")
    figures = [] if rate is None else [f"{rate:.1f} Mbps at {within['reference_db']:.1f} dB"]
    figures += [] if versus is None else [f"BD-rate {versus:+.0f}% against x265 zero latency"]
    axes.set_title(f"{row['name']}, window {row['window']}\n{', '.join(figures)}", fontsize=10)
    axes.yaxis.set_major_locator(MultipleLocator(2))
    axes.grid(alpha=0.25, which="major")


def _mark_reference(axes: Axes, row: Mapping[str, Any]) -> None:
    """Draw the line at the reference quality, and on it the milestones."""
    level, hevc_mbps = row["quality_range"]["reference_db"], row["quality_range"]["reference_mbps"]
    axes.axhline(level, color="#999999", linewidth=0.9, zorder=0)
    axes.annotate(
        f"{level:.1f} dB",
        (0, level),
        (4, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        fontsize=8,
        color="#555555",
    )
    milestones = [hevc_mbps * (100 - percent) / 100 for percent in ACHIEVEMENT_PERCENT]
    axes.plot(
        milestones,
        [level] * len(milestones),
        "|",
        color="#8c4a04",
        markersize=11,
        markeredgewidth=1.6,
        zorder=4,
        label="50, 70, 90% below x265's own rate at the reference quality",
    )


def draw_side_by_side(
    output: Path, clips: ClipSet, references: References, decoded: Mapping[tuple[str, int], Run]
) -> list[Path]:
    """Draw an original frame, the decoded one and the error, for each clip whose licence allows pictures.

    Of each clip, the middle frame is shown at the quality value that brings it nearest to the reference quality.

    Parameters
    ----------
    decoded
        Runs by name of the clip and quality value, as `Gallery` keeps them.

    Returns
    -------
    list of Path
        The files written; none when no clip's licence allows pictures.
    """
    shown = [
        (clip, *run)
        for clip in clips.clips
        if clip.pictures and (run := _run_to_show(clip, references, decoded))
    ]
    if not shown:
        return []
    figure, grid = _subplots(len(shown), 3, (13.5, 3.4 * len(shown)))
    for row, (clip, quality, (_, frames, results)) in zip(grid, shown, strict=True):
        middle = len(frames) // 2
        _draw_frame(row, f"{clip.name}, frame {middle}", quality, frames[middle], results[middle])
    credits = "; ".join(f"{clip.name}: {clip.licence}" for clip, *_ in shown)
    figure.text(0.5, 0.01, credits, ha="center", fontsize=8, color="#555555")
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    return _save(figure, output)


def _run_to_show(
    clip: Clip, references: References, decoded: Mapping[tuple[str, int], Run]
) -> tuple[int, Run] | None:
    """Return quality value and run nearest to the reference quality, None when the clip was not measured."""
    runs = [(quality, run) for (name, quality), run in decoded.items() if name == clip.name]

    def distance(each: tuple[int, Run]) -> float:
        window, frames, results = each[1]
        found = references.quality_range(window)
        return abs(_middle_psnr(frames, results) - (found or DEFAULT_RANGE.model_dump())["reference_db"])

    return min(runs, key=distance, default=None)


def _draw_frame(
    row: Sequence[Axes], name: str, quality: int, original: np.ndarray, result: np.ndarray
) -> None:
    error = np.clip(128 + ERROR_GAIN * (luma(original) - luma(result)), 0, 255)
    titles = (
        f"{name}: original",
        f"decoded, quality {quality}: {psnr_yuv(original, result):.2f} dB",
        f"luma error, {ERROR_GAIN} times (gray: none)",
    )
    for axes, image, title in zip(row, (original, result, error), titles, strict=True):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(title, fontsize=10)
        axes.axis("off")


def _middle_psnr(frames: np.ndarray, results: list[np.ndarray]) -> float:
    return psnr_yuv(frames[len(frames) // 2], results[len(frames) // 2])


def _subplots(lines: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """Return a figure and the grid of its axes. Loading matplotlib takes as long as all else that a command loads."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    return figure, figure.subplots(lines, columns, squeeze=False)


def _lay_out(figure: Any, shape: tuple[int, int], below: float) -> None:
    """Place the panels; `below` is the height of the axis' label and the legend under them, in inches.

    Matplotlib's tight layout measures every label for it, which takes longer than to draw.
    """
    (width, height), (lines, columns) = figure.get_size_inches(), shape
    left, right, above, across, down = 0.65, 0.15, 0.95, 0.75, 1.1
    panel_width = (width - left - right - (columns - 1) * across) / columns
    panel_height = (height - above - below - (lines - 1) * down) / lines
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        top=1 - above / height,
        bottom=below / height,
        wspace=across / panel_width,
        hspace=down / panel_height,
    )


def _save(figure: Any, output: Path) -> list[Path]:
    paths = (
        [output]
        if output.suffix in (".svg", ".png")
        else [Path(f"{output}{end}") for end in (".svg", ".png")]
    )
    for path in paths:
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
    return paths
