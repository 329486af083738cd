"""The lineage that ships: complete, unedited, and as good as its record says."""

import hashlib
import shutil
from pathlib import Path

import pytest
from codec_evolution.contracts import Report
from codec_evolution.judging.figures import contest_figures
from codec_evolution.planners.grammar.genome import read_genome
from codec_sandbox.request import CONTROL_SOURCE

from infra.errors import UserError
from infra.local.shipped import SHIPPED, ShippedLineage

LINEAGE = ShippedLineage()
EVOLVED = range(1, LINEAGE.incumbent + 1)


def test_every_version_follows_the_one_before():
    assert sorted(LINEAGE.versions) == list(range(LINEAGE.incumbent + 1))
    parents = [LINEAGE.versions[version].parent_version for version in EVOLVED]
    assert parents == [version - 1 for version in EVOLVED]


def test_version_0_is_the_codec_that_the_sandbox_checks_itself_with():
    assert LINEAGE.source(0) == CONTROL_SOURCE.read_text("utf-8")


@pytest.mark.parametrize("version", EVOLVED)
def test_a_version_is_the_source_that_was_measured(version):
    attempt, measured = LINEAGE.versions[version], LINEAGE.measured(version)
    assert hashlib.sha256(LINEAGE.source(version).encode()).hexdigest() == attempt.source_sha256
    assert {measured[kind]["source_sha256"] for kind in ("report", "held_out_report")} == {
        attempt.source_sha256
    }


@pytest.mark.parametrize("version", EVOLVED)
def test_the_figures_of_record_are_those_of_the_measured_points(version):
    attempt = LINEAGE.versions[version]
    sealed = contest_figures(Report.model_validate(LINEAGE.measured(version)["held_out_report"]), "sealed")
    training = contest_figures(Report.model_validate(LINEAGE.measured(version)["report"]), "train")
    assert sealed.measured.bd_rate_vs_hevc == attempt.bd_rate_vs_hevc
    assert sealed.measured.bitrate_mbps == attempt.bitrate_mbps
    assert training.measured.bd_rate_vs_hevc == attempt.training_bd_rate_vs_hevc


def test_the_search_wrote_every_version_after_version_0():
    assert {LINEAGE.versions[version].planner for version in EVOLVED} == {"search"}
    assert all(read_genome(LINEAGE.source(version)) is not None for version in EVOLVED)


def test_the_incumbent_needs_less_than_x265_on_every_sealed_clip():
    report = Report.model_validate(LINEAGE.measured(LINEAGE.incumbent)["held_out_report"])
    rows = contest_figures(report, "sealed").rows
    assert len(rows) == 4
    assert all(row.bd_rate_vs_hevc is not None and row.bd_rate_vs_hevc < 0 for row in rows)


def test_a_source_that_was_edited_is_refused(tmp_path: Path):
    shutil.copytree(SHIPPED, tmp_path / "shipped")
    with (tmp_path / "shipped" / "v1.py").open("a") as file:
        file.write("# faster\n")
    with pytest.raises(UserError, match=r"v1\.py was changed"):
        ShippedLineage(tmp_path / "shipped").source(1)


def test_a_version_that_does_not_exist_is_named_with_the_last_one():
    with pytest.raises(UserError, match=f"no version 99, only 0 to {LINEAGE.incumbent}"):
        LINEAGE.source(99)


def test_a_source_is_found_by_its_hash():
    attempt = LINEAGE.versions[LINEAGE.incumbent]
    assert LINEAGE.find(attempt.source_sha256) == LINEAGE.source(LINEAGE.incumbent)
    assert LINEAGE.find("0" * 64) is None


def test_nothing_of_held_out_windows_ships():
    """A checkout of the repository is what planners work on."""
    for version in LINEAGE.versions:
        measured = LINEAGE.measured(version)
        assert set(measured) == {"report", "held_out_report"}
        roles = {kind: {point["role"] for point in measured[kind]["points"]} for kind in measured}
        assert roles == {"report": {"train"}, "held_out_report": {"sealed"}}
        sealed = {f"{point['clip']}/{point['window']}" for point in measured["held_out_report"]["points"]}
        for name in ("quality_ranges", "packets_sha256", "frames_sha256"):
            assert set(measured["held_out_report"][name]) == sealed
        assert {
            f"{each['clip']}/{each['window']}" for each in measured["held_out_report"]["anchors"]
        } == sealed
