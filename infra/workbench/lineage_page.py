"""A page about a lineage: how its newest version compares, what each version changed, and how long coding takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from codec_evolution import artifacts
from codec_evolution.contracts import Report
from codec_evolution.framework.visible_text import visible
from codec_evolution.judging.comparison import anchor_curves, curves, mean_or_none, range_on
from codec_evolution.judging.figures import contest_figures
from codec_evolution.judging.rate_distortion import Point, bd_rate, mean_bd_rate
from codec_evolution.record import Attempt
from codec_sandbox.clips import ClipSet
from codec_sandbox.references import References
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from infra.errors import UserError
from infra.local.session import Session, has_evolution, join_session
from infra.local.shipped import ShippedLineage
from infra.progress import Progress
from infra.workbench.benchmark import summary
from infra.workbench.plots import REFERENCE_STYLES, draw_rate_distortion
from infra.workbench.run_plot import VERSIONS_SHOWN
from infra.workbench.versions import ancestry
from infra.workbench.whole_file import write_whole

ROLES = {"train": "training", "held_out": "held-out", "sealed": "sealed"}
"""Roles of windows, in the order of the table of BD-rates."""


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

    def curves(self, role: str) -> list[dict[str, Any]]:
        """Return the rows of all windows of a role, with their points."""
        rows = [row for report in self.reports for row in summary(report, {})["clips"]]
        return [row for row in rows if row["role"] == role]

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


def versions_of(version: int | None, state_dir: Path, lineage: str, progress: Progress) -> list[VersionFacts]:
    """Return a version, by default the incumbent, and its ancestors, newest first.

    Without an evolution in `state_dir` they are those of the lineage that ships.

    Raises
    ------
    UserError
        There is no such version.
    """
    if not has_evolution(state_dir):
        shipped = ShippedLineage()
        newest = shipped.incumbent if version is None else version
        shipped.source(newest)
        return [
            _facts(shipped.versions[number], shipped.measured(number)) for number in range(newest, -1, -1)
        ]
    with join_session(state_dir, progress) as session:
        newest = session.control.state(lineage).version if version is None else version
        if newest < 0:
            raise UserError(f"lineage {lineage} has no version yet")
        return [_stored(session, lineage, attempt) for attempt in ancestry(session.record, lineage, newest)]


def _stored(session: Session, lineage: str, attempt: Attempt) -> VersionFacts:
    bucket, attempt_id, version = session.bucket, attempt.attempt_id, attempt.adopted_version
    documents = {
        "report": bucket.get_json(artifacts.report(lineage, attempt_id)),
        "held_out_report": bucket.get_json(artifacts.held_out_report(lineage, attempt_id)),
    }
    keys = () if version is None else bucket.keys(artifacts.audits(lineage, version))
    audits = tuple(found for key in keys if (found := bucket.get_json(key)))
    return replace(_facts(attempt, documents), audits=audits)


def _facts(attempt: Attempt, documents: Mapping[str, Any]) -> VersionFacts:
    found = (documents.get("report"), documents.get("held_out_report"))
    return VersionFacts(attempt, tuple(Report.model_validate(each) for each in found if each))


def write_page(output: Path, versions: list[VersionFacts]) -> None:
    """Write the page, one HTML document that needs nothing else.

    Parameters
    ----------
    output
        The file.
    versions
        Newest first.
    """
    newest = versions[0]
    rates = {f"{name} windows": newest.by_clip(role) for role, name in ROLES.items()}
    rates["sealed windows, MS-SSIM"] = newest.ms_ssim_by_clip("sealed")
    environment = Environment(
        loader=PackageLoader("infra.local", "static"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"visible": visible, "signed": _signed}
    page = environment.get_template("lineage.html.j2").render(
        versions=[each.attempt for each in versions],
        rates=rates,
        clips=sorted({clip for each in rates.values() for clip in each}),
        seconds=newest.seconds_a_frame(),
        audits=newest.audits,
        encoders={
            label: newest.versus(codec, References(), ClipSet())
            for codec, (label, _) in REFERENCE_STYLES.items()
        },
        plots=[(name, plot) for role, name in ROLES.items() if (plot := _plot(versions, role))],
    )
    write_whole(output, page.encode())


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f} %"


def _plot(versions: list[VersionFacts], role: str) -> Markup | None:
    """Return the curves on the windows of a role as SVG: the newest version, and others on the same windows."""
    clips, shown = ClipSet(), [*versions[: VERSIONS_SHOWN - 1], *versions[VERSIONS_SHOWN - 1 :][-1:]]
    measured = [
        (f"version {each.attempt.adopted_version}", each.curves(role))
        for each in shown
        if all(report.clip_set == clips.digest for report in each.reports)
    ]
    drawn = [(name, rows) for name, rows in measured if rows]
    if not drawn or drawn[0] != measured[0]:
        return None
    with TemporaryDirectory() as folder:
        (path,) = draw_rate_distortion(Path(folder) / "plot.svg", drawn, clips, References())
        svg = path.read_text("utf-8")
    # Drawn here from numbers; the declaration before the element does not belong into HTML.
    return Markup(svg[svg.index("<svg") :])
