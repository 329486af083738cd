"""The figures of a full-size audit: a codec on segments of a video at native size, beside x265. They gate nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean
from typing import Any

from codec_evolution.contracts import QualityRange, Report, Reported
from codec_evolution.judging.comparison import HEVC_ANCHOR
from codec_evolution.judging.rate_distortion import (
    MBPS_1080P30,
    Point,
    bd_rate,
    geometric_mean,
    mean_bd_rate,
    ms_ssim_at,
    rate_at,
)
from codec_evolution.record import Audited, clip_text


class Source(Reported):
    """Where a segment comes from, as the sandbox reports it.

    `hevc_file` has the rate in Mbit/s and the PSNR in dB of an HEVC encoding beside the video; `note` says why nothing
    can be compared on the segment.
    """

    video: str
    video_sha256: str
    start_s: float
    hevc_file: dict[str, float] | None = None
    note: str = ""


@dataclass(frozen=True)
class Segment:
    """A short part of the video, and what was measured on it.

    Attributes
    ----------
    start_s
        Where it begins, in seconds.
    points, anchor
        Rate in Mbit/s at the video's own size and rate, PSNR-YUV in dB and MS-SSIM of the codec and of x265
        zerolatency.
    encode_s, decode_s
        CPU seconds a frame.
    bd_rate
        Percent against x265; None where there is too little in the picture, which `note` then says.
    bitrate_mbps, ms_ssim
        Rate and MS-SSIM at the PSNR that x265 reaches with 10 Mbps (1080p30 equivalent); None out of reach.
    psnr_db
        That PSNR.
    hevc_file
        Rate and PSNR of an HEVC encoding of the same video on the segment, and the codec's rate at that PSNR.
    """

    start_s: float
    points: list[dict[str, float]]
    anchor: list[dict[str, float]]
    encode_s: float
    decode_s: float
    bd_rate: float | None = None
    bitrate_mbps: float | None = None
    ms_ssim: float | None = None
    psnr_db: float | None = None
    note: str = ""
    hevc_file: dict[str, float | None] | None = None


@dataclass(frozen=True)
class Audit:
    """The segments of one codec and one video.

    Attributes
    ----------
    codec, source_sha256
        The codec's name and source.
    video, video_sha256
        Name and hash of the file.
    failed
        Segments that could not be measured, each with the reason.
    """

    codec: str
    source_sha256: str
    video: str
    video_sha256: str
    width: int
    height: int
    fps: float
    frames_a_segment: int
    segments: list[Segment]
    failed: list[str] = field(default_factory=list[str])

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON of ``codec-evolution audit --json``: the fields, and means over the segments."""
        return {**asdict(self), **_means(self.segments)}

    def figures(self, now: str) -> Audited:
        """Return what the version's record keeps; `now` is ISO 8601."""
        return figures([self], now)


def figures(
    audits: Sequence[Audit], now: str, failed: Sequence[str] = (), cost_usd: float | None = None
) -> Audited:
    """Return what a version's record keeps of its audits on one or several videos.

    Parameters
    ----------
    now
        When, ISO 8601.
    failed
        Reasons of segments that could not be measured.
    cost_usd
        What the invocations cost; None where nobody is billed.
    """
    segments = [segment for audit in audits for segment in audit.segments]
    found = _means(segments) if segments else {}
    return Audited.from_item(
        {
            "audit_bitrate_mbps": found.get("bitrate_mbps"),
            "audit_bd_rate_vs_hevc": found.get("bd_rate"),
            "audit_encode_s": found.get("encode_s"),
            "audit_decode_s": found.get("decode_s"),
            "audit_size": ", ".join(dict.fromkeys(f"{each.width}x{each.height}" for each in audits)),
            "audit_segments": len(segments) or None,
            "audit_note": _note(len(segments), failed),
            "audit_cost_usd": cost_usd,
            # One that measured nothing leaves the figures of the audit before it.
            "audited_at": now if segments else None,
        }
    )


def _note(measured: int, failed: Sequence[str]) -> str:
    if not failed:
        return ""
    return clip_text(
        f"{len(failed)} of {measured + len(failed)} segments were not measured: " + "; ".join(failed), 500
    )


def _means(segments: Sequence[Segment]) -> dict[str, float | None]:
    rates = [each.bd_rate for each in segments if each.bd_rate is not None]
    needed = [each.bitrate_mbps for each in segments if each.bitrate_mbps is not None]
    return {
        "bd_rate": round(mean_bd_rate(rates), 1) if rates else None,
        "bitrate_mbps": round(geometric_mean(needed), 3) if needed else None,
        "encode_s": round(fmean(each.encode_s for each in segments), 3),
        "decode_s": round(fmean(each.decode_s for each in segments), 3),
    }


def to_real(width: int, height: int, fps: float) -> float:
    """Return Mbit/s of a video of this size and rate for each Mbps of a 1080p30 equivalent."""
    return width * height * fps / 1e6 / MBPS_1080P30


def curve(points: Sequence[Mapping[str, float]]) -> list[Point]:
    """Return measured points as a curve, in 1080p30 equivalents."""
    return [Point(point["bitrate_mbps"], point["psnr_db"], point["ms_ssim"]) for point in points]


def real(points: Sequence[Mapping[str, float]], factor: float) -> list[dict[str, float]]:
    """Return points with their rates in Mbit/s of the video itself, `factor` times the equivalent."""
    names = ("quality", "parameter", "psnr_db", "ms_ssim")
    return [
        {name: point[name] for name in names if name in point}
        | {"bitrate_mbps": round(point["bitrate_mbps"] * factor, 4)}
        for point in points
    ]


def with_figures(
    segment: Segment,
    within: QualityRange,
    points: Sequence[Mapping[str, float]],
    anchor: Sequence[Mapping[str, float]],
    factor: float,
) -> Segment:
    """Return a segment with its figures against x265.

    Parameters
    ----------
    within
        Range of quality in which the curves are compared.
    points, anchor
        Of the codec and of x265, in 1080p30 equivalents.
    factor
        As of `to_real`.
    """
    ours, theirs = curve(points), curve(anchor)
    rate, versus = rate_at(ours, within.reference_db), bd_rate(theirs, ours, within=within)
    similarity = ms_ssim_at(ours, within.reference_db)
    return replace(
        segment,
        bd_rate=None if versus is None else round(versus, 2),
        bitrate_mbps=None if rate is None else round(rate * factor, 4),
        ms_ssim=None if similarity is None else round(similarity, 5),
        psnr_db=within.reference_db,
    )


def beside(
    facts: Mapping[str, float] | None, points: Sequence[Mapping[str, float]], factor: float
) -> dict[str, float | None] | None:
    """Return `Segment.hevc_file` from rate and PSNR of that file; None where there is none."""
    if facts is None:
        return None
    ours = rate_at(curve(points), facts["psnr_db"])
    return {
        "bitrate_mbps": facts["bitrate_mbps"],
        "psnr_db": facts["psnr_db"],
        "codec_mbps": None if ours is None else round(ours * factor, 3),
    }


def audits_of(codec: str, reports: Mapping[str, Report], failed: Sequence[str] = ()) -> list[Audit]:
    """Return the audits that the sandbox's reports on segments make, one for each video.

    Parameters
    ----------
    codec
        The codec's name.
    reports
        By segment (``clip/index``), all of one source and passed.
    failed
        Reasons of the other segments; every audit carries all of them.
    """
    videos: dict[str, list[str]] = {}
    for key, report in reports.items():
        videos.setdefault(_source(key, report).video_sha256, []).append(key)
    return [_audit(codec, {key: reports[key] for key in keys}, failed) for keys in videos.values()]


def _source(key: str, report: Report) -> Source:
    return Source.model_validate(report.segments[key])


def _audit(codec: str, reports: Mapping[str, Report], failed: Sequence[str]) -> Audit:
    first, report = next(iter(reports.items()))
    facts, point = _source(first, report), report.points[0]
    return Audit(
        codec=codec,
        source_sha256=report.source_sha256,
        video=facts.video,
        video_sha256=facts.video_sha256,
        width=point.width,
        height=point.height,
        fps=round(float(point.fps or 0), 3),
        frames_a_segment=point.frames,
        segments=[_segment(key, each) for key, each in reports.items()],
        failed=list(failed),
    )


def _segment(key: str, report: Report) -> Segment:
    facts, size = _source(key, report), report.points[0]
    factor = to_real(size.width, size.height, float(size.fps or 0))
    points = [
        {
            "quality": point.quality,
            "bitrate_mbps": point.bitrate_mbps,
            "psnr_db": point.psnr_db,
            "ms_ssim": point.ms_ssim,
        }
        for point in report.points
    ]
    anchor = [
        {"bitrate_mbps": point.bitrate_mbps, "psnr_db": point.psnr_db, "ms_ssim": point.ms_ssim}
        for curve in report.anchors
        if curve.codec == HEVC_ANCHOR
        for point in curve.points
    ]
    segment = Segment(
        facts.start_s,
        real(points, factor),
        real(anchor, factor),
        round(fmean((point.encode_cpu_s or 0) / point.frames for point in report.points), 3),
        round(fmean((point.decode_cpu_s or 0) / point.frames for point in report.points), 3),
        note=facts.note,
        hevc_file=beside(facts.hevc_file, points, factor),
    )
    within = report.quality_ranges.get(key)
    return segment if within is None else with_figures(segment, within, points, anchor, factor)
