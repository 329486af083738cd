"""Makes the pictures of the original and of x265 that the dashboard shows beside the versions.

``python -m infra.workbench.reference_pictures`` codes the window that reports show, and writes the crops where the
widgets read them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from codec_sandbox.clips import CLIP_DIRECTORY, ClipSet
from codec_sandbox.picture import SHOWN_WINDOW, crop, jpeg, shown_clip

from infra.errors import UserError
from infra.local.synthesis import ROOT
from infra.progress import Progress
from infra.workbench.clips_setup import ensure_clips
from infra.workbench.references import ANCHOR, ANCHOR_ENCODER, code_point
from infra.workbench.whole_file import write_whole

FILE = ROOT / "layers/common/python/codec_evolution/widgets/reference_pictures.json"
CRF = tuple(range(22, 45, 2))
"""Qualities of x265 to choose from, about a fifth of the rate apart."""


def make_reference_pictures(directory: Path, progress: Progress) -> dict[str, Any]:
    """Return the pictures of the shown window, in the form that the widgets read.

    Raises
    ------
    UserError
        No training clip allows pictures.
    VideoError
        x265 fails.
    """
    ensure_clips(directory, progress)
    clips = ClipSet(directory)
    clip = shown_clip(clips)
    if clip is None:
        raise UserError("no training clip has a licence that allows pictures")
    window = clip.windows[SHOWN_WINDOW]
    frames = clips.load(window)
    pictures = []
    for parameter in CRF:
        point, decoded = code_point(ANCHOR_ENCODER, parameter, frames, window.fps)
        progress(f"{ANCHOR}, CRF {parameter}: {point['bitrate_mbps']:.2f} Mbps, {point['psnr_db']:.2f} dB")
        figures = {name: point[name] for name in ("bitrate_mbps", "psnr_db")}
        pictures.append({"name": f"x265, CRF {parameter}", **figures, "jpeg": jpeg(crop(decoded))})
    return {
        "window_sha256": window.sha256,
        "licence": clip.licence,
        "original": jpeg(crop(frames)),
        "x265": pictures,
    }


def main() -> None:
    """Write the file."""
    made = make_reference_pictures(CLIP_DIRECTORY, lambda text: print(text, flush=True))
    write_whole(FILE, (json.dumps(made, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
