"""What is known of an adopted version: its record, what the sandbox measured of it, its full-size audits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from codec_evolution import artifacts
from codec_evolution.contracts import Report
from codec_evolution.judging.comparison import anchor_curves, curves, mean_or_none, range_on
from codec_evolution.judging.figures import contest_figures
from codec_evolution.judging.rate_distortion import Point, bd_rate, mean_bd_rate
from codec_evolution.record import Attempt
from codec_sandbox.clips import ClipSet
from codec_sandbox.references import References

from infra.local.session import Session
from infra.workbench.benchmark import summary


@dataclass(frozen=True)
class VersionFacts:
    """What is known of a version.

    Attributes
    ----------
    attempt
    reports
        What the sandbox measured: of the training windows, and of held-out and sealed ones.
    audits
        Its full-size audits, as `infra.workbench.audit.Audit.as_dict` gives them.
    """

    attempt: Attempt
    reports: tuple[Report, ...]
    audits: tuple[Mapping[str, Any], ...] = ()

    def by_clip(self, role: str) -> dict[str, float | None]:
        """Return the BD-rates against x265 zerolatency by clip, in percent, over the windows of a role."""
        rows = [row for report in self.reports for row in contest_figures(report, role).rows]
        return {row.clip: row.bd_rate_vs_hevc for row in rows}

    def ms_ssim_by_clip(self, role: str) -> dict[str, float | None]:
        """Return the same over MS-SSIM, which no codec is adopted for."""
        rates: dict[str, list[float | None]] = {}
        for report in self.reports:
            anchors = anchor_curves(report)
            for key, ours in curves(report, role).items():
                versus = bd_rate(anchors.get(key, ()), ours, "ms_ssim_db", range_on(report, key))
                rates.setdefault(key[0], []).append(versus)
        return {clip: mean_or_none(each, mean_bd_rate) for clip, each in rates.items()}

    def versus(self, codec: str, references: References, clips: ClipSet) -> dict[str, float | None]:
        """Return the BD-rates against a reference encoder by clip, in percent, over the sealed windows.

        Parameters
        ----------
        codec
            Name of its curves, one of `infra.workbench.plots.REFERENCE_STYLES`.
        """
        rates: dict[str, float | None] = {}
        for report in (each for each in self.reports if each.clip_set == clips.digest):
            for key, ours in curves(report, "sealed").items():
                stored = references.curve(clips.clip(key[0]).windows[key[1]], codec)
                theirs = [
                    Point(each["bitrate_mbps"], each["psnr_db"], each["ms_ssim"]) for each in stored or ()
                ]
                rates[key[0]] = bd_rate(theirs, ours, within=range_on(report, key))
        return rates

    def curves(self, role: str, clips: ClipSet) -> list[dict[str, Any]]:
        """Return the rows of all windows of a role, with their points; none of another clip set."""
        known = (report for report in self.reports if report.clip_set == clips.digest)
        return [row for report in known for row in summary(report, {})["clips"] if row["role"] == role]

    def seconds_a_frame(self) -> dict[str, tuple[float, float]]:
        """Return CPU seconds a frame by clip, encoder and decoder apart: means over windows and qualities."""
        sums: dict[str, list[float]] = {}
        for point in (point for report in self.reports for point in report.points):
            total = sums.setdefault(point.clip, [0.0, 0.0, 0.0])
            for index, value in enumerate(
                (point.encode_cpu_s or 0.0, point.decode_cpu_s or 0.0, point.frames)
            ):
                total[index] += value
        return {clip: (encode / frames, decode / frames) for clip, (encode, decode, frames) in sums.items()}


def stored_facts(session: Session, lineage: str, attempt: Attempt) -> VersionFacts:
    """Return what a session's bucket has of a version."""
    bucket, attempt_id, version = session.bucket, attempt.attempt_id, attempt.adopted_version
    documents = {
        "report": bucket.get_json(artifacts.report(lineage, attempt_id)),
        "held_out_report": bucket.get_json(artifacts.held_out_report(lineage, attempt_id)),
    }
    keys = () if version is None else bucket.keys(artifacts.audits(lineage, version))
    audits = tuple(found for key in keys if (found := bucket.get_json(key)))
    return replace(facts_of(attempt, documents), audits=audits)


def facts_of(attempt: Attempt, documents: Mapping[str, Any]) -> VersionFacts:
    """Return a version with its measurements, ``report`` and ``held_out_report``; either may be missing."""
    found = (documents.get("report"), documents.get("held_out_report"))
    return VersionFacts(attempt, tuple(Report.model_validate(each) for each in found if each))
