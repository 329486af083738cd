"""A page about a lineage: how its newest version compares, what each version changed, and how long coding takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from codec_evolution.framework.visible_text import visible
from codec_sandbox.clips import ClipSet
from codec_sandbox.references import References
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from infra.errors import UserError
from infra.local.session import has_evolution, join_session
from infra.local.shipped import ShippedLineage
from infra.progress import Progress
from infra.workbench.plots import REFERENCE_STYLES
from infra.workbench.run_plot import draw_curves
from infra.workbench.version_facts import VersionFacts, facts_of, stored_facts
from infra.workbench.versions import ancestry
from infra.workbench.whole_file import write_whole

ROLES = {"train": "training", "held_out": "held-out", "sealed": "sealed"}
"""Roles of windows, in the order of the table of BD-rates."""


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
            facts_of(shipped.versions[number], shipped.measured(number)) for number in range(newest, -1, -1)
        ]
    with join_session(state_dir, progress) as session:
        newest = session.control.state(lineage).version if version is None else version
        if newest < 0:
            raise UserError(f"lineage {lineage} has no version yet")
        return [
            stored_facts(session, lineage, attempt) for attempt in ancestry(session.record, lineage, newest)
        ]


def write_page(output: Path, versions: Sequence[VersionFacts]) -> None:
    """Write the page, one HTML document that needs nothing else.

    Parameters
    ----------
    output
        The file.
    versions
        Newest first.
    """
    newest, clips, references = versions[0], ClipSet(), References()
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
            label: newest.versus(codec, references, clips) for codec, (label, _) in REFERENCE_STYLES.items()
        },
        plots=[
            (name, plot) for role, name in ROLES.items() if (plot := _plot(versions, role, clips, references))
        ],
    )
    write_whole(output, page.encode())


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f} %"


def _plot(
    versions: Sequence[VersionFacts], role: str, clips: ClipSet, references: References
) -> Markup | None:
    """Return the curves on the windows of a role as SVG: the newest version, and others on the same windows."""
    if not versions[0].curves(role, clips):
        return None
    with TemporaryDirectory() as folder:
        path = draw_curves(Path(folder) / "plot.svg", versions, role, clips, references)
        svg = path.read_text("utf-8") if path else ""
    # Drawn here from numbers; the declaration before the element does not belong into HTML.
    return Markup(svg[svg.index("<svg") :])
