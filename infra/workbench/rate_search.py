"""Finds the quality at which a film needs at most a given rate, by bisection on a short part of it."""

from __future__ import annotations

from dataclasses import dataclass

from codec_sandbox.faults import CandidateFault
from codec_sandbox.policy import Policy
from codec_sandbox.supervisor import Supervisor

from infra.errors import UserError
from infra.progress import Progress
from infra.workbench.chosen_codec import ChosenCodec
from infra.workbench.coding import config_of, failed, limits_of
from infra.workbench.encoding import header_of, rate_mbps
from infra.workbench.film import Film

DEFAULT_QUALITY = 50
"""Without a quality and without a rate."""
MAX_MBPS = 10_000.0
"""Highest rate that can be asked for."""
PART_FRAMES = 24
"""Frames that are tried."""
MAX_PROBES = 8
"""Most encodings of that part: both ends, and a bisection of 101 values."""


@dataclass(frozen=True)
class FoundQuality:
    """The highest quality that stays within a rate on the part that was tried.

    Attributes
    ----------
    quality
    bitrate_mbps
        Estimate for the whole film, in Mbit/s.
    within
        False if even quality 0 needs more.
    """

    quality: int
    bitrate_mbps: float
    within: bool


def check_rate(quality: int | None, bitrate_mbps: float | None) -> None:
    """Raise `UserError` if quality and rate are both given, or the rate is no rate."""
    if bitrate_mbps is None:
        return
    if quality is not None:
        raise UserError("give either --quality or --bitrate, not both")
    if not 0 < bitrate_mbps <= MAX_MBPS:
        raise UserError(f"--bitrate is in Mbit/s, above 0 and at most {MAX_MBPS:g}")


def settle_quality(
    film: Film,
    codec: ChosenCodec,
    quality: int | None,
    bitrate_mbps: float | None,
    *,
    policy: Policy,
    supervisor: Supervisor,
    progress: Progress,
) -> int:
    """Return the quality to encode with: the one given, `DEFAULT_QUALITY`, or what `find_quality` finds, and say so."""
    if bitrate_mbps is None:
        return DEFAULT_QUALITY if quality is None else quality
    found = find_quality(film, codec, bitrate_mbps, policy=policy, supervisor=supervisor, progress=progress)
    if found.within:
        progress(f"quality {found.quality} needs about {found.bitrate_mbps:.3f} of {bitrate_mbps:g} Mbps")
    else:
        progress(
            f"even quality 0 needs about {found.bitrate_mbps:.3f} Mbps, more than {bitrate_mbps:g}: "
            "a smaller --size needs less"
        )
    return found.quality


def find_quality(
    film: Film,
    codec: ChosenCodec,
    target_mbps: float,
    *,
    policy: Policy,
    supervisor: Supervisor,
    progress: Progress,
) -> FoundQuality:
    """Search for the quality that comes closest to a rate from below.

    The part begins a third into the film. Its first packet, which codecs spend most on, is weighted as it is in the
    whole film: once. A codec whose rate falls as quality rises is not searched correctly; `MAX_PROBES` bounds it.

    Raises
    ------
    CodecFailed
        The codec cannot be loaded, or fails on a frame.
    VideoError
        The part cannot be read.
    """

    def rate(quality: int) -> float:
        found = _estimated(film, codec, quality, policy, supervisor)
        progress(f"quality {quality}: {found:.3f} Mbps")
        return found

    if (lowest := rate(0)) > target_mbps:
        return FoundQuality(0, lowest, within=False)
    low, low_rate, high = 0, lowest, 101
    for _ in range(MAX_PROBES - 1):
        if high - low <= 1:
            break
        middle = (low + high) // 2
        if (found := rate(middle)) <= target_mbps:
            low, low_rate = middle, found
        else:
            high = middle
    return FoundQuality(low, low_rate, within=True)


def _estimated(film: Film, codec: ChosenCodec, quality: int, policy: Policy, supervisor: Supervisor) -> float:
    header = header_of(film, codec, quality)
    config, count = config_of(header), min(PART_FRAMES, film.frames)
    start_s = float((film.frames - count) // 3 / film.fps)
    sizes: list[int] = []
    try:
        with supervisor.worker("encoder", codec.source, policy, limits_of(header)) as encoder:
            for index, frame in enumerate(film.read(start_s, count)):
                sizes.append(len(encoder.encode(frame, index, dict(config)).data))
    except CandidateFault as fault:
        raise failed(f"trying quality {quality}", fault) from fault
    later = sum(sizes[1:]) / max(1, len(sizes) - 1)
    return rate_mbps(sizes[0] + later * (film.frames - 1), film.frames, header)
