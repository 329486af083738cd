"""Draws showcases: a picture with errors, or a page on which a slider uncovers one picture under another."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from codec_sandbox.quality import luma
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infra.workbench.plots import ERROR_GAIN
from infra.workbench.showcase import Showcase, Take
from infra.workbench.whole_file import write_whole

ENDINGS = (".png", ".html")
"""What can be written, by the ending of the file's name."""
CROP = 96
"""Side of the crop in the strip of the lineage, in pixels."""


def draw_showcases(output: Path, shown: Sequence[Showcase]) -> None:
    """Write a picture or a page; `output` ends in one of `ENDINGS`."""
    if output.suffix == ".html":
        write_whole(output, page(shown).encode())
    else:
        _draw(output, shown)


def page(shown: Sequence[Showcase]) -> str:
    """Return the page as one HTML document that needs nothing else."""
    # A package loader, because the template lies beside the local page's own.
    environment = Environment(
        loader=PackageLoader("infra.local", "static"), autoescape=True, undefined=StrictUndefined
    )
    clips = [
        {
            "name": each.clip.name,
            "licence": each.clip.licence,
            "width": each.original.shape[1],
            "height": each.original.shape[0],
            "pictures": [{"title": title, "data": _data(frame)} for title, frame in _pictures(each)],
        }
        for each in shown
    ]
    return environment.get_template("showcase.html.j2").render(clips=clips)


def _pictures(shown: Showcase) -> list[tuple[str, np.ndarray]]:
    compared = [
        (f"{take.name}: {_figures(take, shown.ours)}", take.frame)
        for take in (shown.ours, shown.equal_bits, shown.equal_psnr, *shown.versions[:-1])
    ]
    return [("original", shown.original), *compared]


def _figures(take: Take, ours: Take) -> str:
    share = "" if take is ours else f" ({round(100 * (take.size_bytes / ours.size_bytes - 1)):+d}%)"
    return f"{take.size_bytes} bytes{share}, {take.psnr_db:.2f} dB"


def _data(frame: np.ndarray) -> str:
    _, png = cv2.imencode(".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return f"data:image/png;base64,{base64.b64encode(png.tobytes()).decode()}"


def _draw(output: Path, shown: Sequence[Showcase]) -> None:
    figure = Figure(figsize=(17, 9.6 * len(shown)), layout="constrained")
    for part, each in zip(figure.subfigures(len(shown), 1, squeeze=False)[:, 0], shown, strict=True):
        above, below = part.subfigures(2, 1, height_ratios=(7, 3))
        _draw_comparison(above, each)
        _draw_strip(below, each)
    figure.savefig(output, dpi=100)


def _draw_comparison(figure: Any, shown: Showcase) -> None:
    figure.suptitle(
        f"{shown.clip.name}, middle of {shown.frames} frames; bytes and PSNR of all frames "
        f"({shown.clip.licence})",
        fontsize=10,
    )
    grid = figure.subplots(2, 4)
    _image(grid[0][0], shown.original, "original")
    grid[1][0].axis("off")
    for column, (label, take) in enumerate(
        (("", shown.ours), ("equal bits: ", shown.equal_bits), ("equal PSNR: ", shown.equal_psnr)), 1
    ):
        _image(grid[0][column], take.frame, f"{label}{take.name}\n{_figures(take, shown.ours)}")
        error = np.clip(128 + ERROR_GAIN * (luma(shown.original) - luma(take.frame)), 0, 255)
        _image(grid[1][column], error, f"luma error, {ERROR_GAIN} times (gray: none)")


def _draw_strip(figure: Any, shown: Showcase) -> None:
    figure.suptitle("the versions before it, each as close to its bytes as they come", fontsize=10)
    height, width = shown.original.shape[:2]
    top, left = max(0, (height - CROP) // 2), max(0, (width - CROP) // 2)
    pictures = [("original", shown.original)]
    pictures += [(f"{take.name}\n{_figures(take, shown.ours)}", take.frame) for take in shown.versions]
    for axes, (title, frame) in zip(figure.subplots(1, len(pictures)), pictures, strict=True):
        _image(axes, frame[top : top + CROP, left : left + CROP], title)


def _image(axes: Axes, image: np.ndarray, title: str) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title, fontsize=8)
    axes.axis("off")
