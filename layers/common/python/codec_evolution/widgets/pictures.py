"""How the incumbent looks beside the original, x265 and the versions before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pydantic import BaseModel

from codec_evolution.loop.pictures import Picture, load_picture
from codec_evolution.record import Attempt
from codec_evolution.widgets.html import render
from codec_evolution.widgets.request import WidgetContext, WidgetRequest

MOST_VERSIONS = 100
"""Newest versions that the strip is chosen from."""
STRIP_VERSIONS = 6
"""Most versions in the strip: the first, the last, and some between them."""


class Coded(BaseModel):
    """A picture of x265: its settings, rate (Mbps at 1080p30 equivalent), PSNR-YUV in dB, and JPEG in base64."""

    name: str
    bitrate_mbps: float
    psnr_db: float
    jpeg: str


class References(BaseModel):
    """The original of one window, and x265 at several rates, as ``infra.workbench.reference_pictures`` writes them."""

    window_sha256: str
    licence: str
    original: str
    x265: list[Coded]


@dataclass(frozen=True)
class Tile:
    """One picture with its caption, and with the original to show its error where there is one."""

    title: str
    figures: str
    jpeg: str
    original: str = ""


@cache
def references() -> References:
    """Return the pictures that are shipped."""
    text = (resources.files("codec_evolution.widgets") / "reference_pictures.json").read_text("utf-8")
    return References.model_validate_json(text)


def pictures(context: WidgetContext, request: WidgetRequest) -> str:
    """Return the newest version beside the original and x265 near its bits and its PSNR, then a strip of versions."""
    found = _found(context, request.lineage)
    if not found:
        nothing = "No version has a picture yet. One is made when a version is adopted."
        return render("pictures.html.j2", context, request, compared=[], strip=[], about="", nothing=nothing)
    newest = found[-1][1]
    known = references() if references().window_sha256 == newest.window_sha256 else None
    original = known.original if known else ""
    strip = [Tile(f"v{version}", _figures(each), each.jpeg, original) for version, each in found]
    compared = [strip[-1]]
    if known:
        compared = [Tile("original", "", original), strip[-1], *_beside(newest, known)]
    licence = f" ({known.licence})" if known else ""
    about = f"{newest.clip}, middle of window {newest.window}; rate and PSNR of the whole window{licence}"
    return render(
        "pictures.html.j2", context, request, compared=compared, strip=strip, about=about, nothing=""
    )


def _beside(newest: Picture, known: References) -> list[Tile]:
    """Return x265 at the rate nearest to the newest version's, then at the nearest PSNR if that is another picture."""
    same_bits = min(known.x265, key=lambda each: abs(math.log(each.bitrate_mbps / newest.bitrate_mbps)))
    same_psnr = min(known.x265, key=lambda each: abs(each.psnr_db - newest.psnr_db))
    chosen = [("nearest in bits", same_bits), ("nearest in PSNR", same_psnr)]
    if same_bits is same_psnr:
        chosen = [("nearest in bits and in PSNR", same_bits)]
    return [Tile(f"{each.name}, {what}", _figures(each), each.jpeg, known.original) for what, each in chosen]


def _found(context: WidgetContext, lineage: str) -> list[tuple[int, Picture]]:
    """Return versions with their pictures of the newest one's window, oldest first."""
    versions = context.record.versions(lineage, MOST_VERSIONS)[::-1]
    chosen = [versions[index] for index in spread(len(versions))]

    def load(attempt: Attempt) -> Picture | None:
        return load_picture(context.objects, lineage, attempt.attempt_id)

    # In parallel, because a user is waiting: each picture is one request.
    with ThreadPoolExecutor(max_workers=STRIP_VERSIONS) as pool:
        loaded = [
            (attempt.adopted_version or 0, picture)
            for attempt, picture in zip(chosen, pool.map(load, chosen), strict=True)
            if picture is not None
        ]
    return [each for each in loaded if each[1].window_sha256 == loaded[-1][1].window_sha256]


def spread(count: int, most: int = STRIP_VERSIONS) -> Sequence[int]:
    """Return at most `most` of `count` places, the first and the last among them, as evenly as whole numbers can be."""
    if count <= most:
        return range(count)
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


def _figures(picture: Picture | Coded) -> str:
    return f"{picture.bitrate_mbps:.2f} Mbps, {picture.psnr_db:.1f} dB"
