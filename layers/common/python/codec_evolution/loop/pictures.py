"""How an adopted version looks decoded: a small picture of one training window, for people."""

from __future__ import annotations

from pydantic import Field

from codec_evolution import artifacts
from codec_evolution.contracts import Report, Reported
from codec_evolution.ports import Objects


class Picture(Reported):
    """The centre of a decoded window's middle frame, with the point of the whole window."""

    clip: str
    window: int
    window_sha256: str
    """Hash of the window's own frames."""
    quality: int
    bitrate_mbps: float = Field(gt=0)
    """At 1080p30 equivalent."""
    psnr_db: float
    jpeg: str = Field(max_length=24_000, pattern=r"^[A-Za-z0-9+/]+={0,2}$")
    """In base64."""


def keep_picture(objects: Objects, lineage: str, attempt_id: str, confirm: Report | None) -> None:
    """Store the picture that an attempt's confirmation made; nothing where the clips' licences allow none."""
    if confirm is not None and confirm.picture is not None:
        picture = Picture.model_validate(confirm.picture)
        objects.put_json(artifacts.picture(lineage, attempt_id), picture.to_payload())


def load_picture(objects: Objects, lineage: str, attempt_id: str) -> Picture | None:
    """Return the picture of an adopted attempt; None where none was made, as before there were pictures."""
    stored = objects.get_json(artifacts.picture(lineage, attempt_id))
    return None if stored is None else Picture.model_validate(stored)
