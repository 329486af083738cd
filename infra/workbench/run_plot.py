"""The plot at the end of a run: rate-distortion curves of adopted versions."""

from __future__ import annotations

from pathlib import Path

from codec_evolution import artifacts
from codec_sandbox.clips import ClipSet
from codec_sandbox.references import References

from infra.local.session import LINEAGE, Session
from infra.workbench.benchmark import summary
from infra.workbench.plots import draw_rate_distortion

VERSIONS_SHOWN = 6
"""Version 0 and the newest ones."""


def draw_versions(session: Session, output: Path) -> Path | None:
    """Draw version 0 and the newest versions and return the file.

    The curves are of the sealed windows, the only ones that all versions share, and of versions that were measured on
    this machine's clip set; None when there are none.
    """
    clips = ClipSet()
    newest = session.control.state(LINEAGE).version
    numbers = sorted({0, *range(max(newest - VERSIONS_SHOWN + 2, 0), newest + 1)}, reverse=True)
    curves = []
    for number in numbers:
        record = session.record.of_version(LINEAGE, number) if newest >= 0 else None
        report = record and artifacts.load_report(
            session.bucket, artifacts.held_out_report(LINEAGE, record.attempt_id)
        )
        if report is None or report.clip_set != clips.digest:
            continue
        if rows := [row for row in summary(report, {})["clips"] if row["role"] == "sealed"]:
            curves.append((f"version {number}", rows))
    if not curves:
        return None
    return draw_rate_distortion(output, curves, clips, References())[0]
