"""What a person gets: one call that measures a file, compares two, draws, or says what is wrong."""

import functools
import hashlib
import importlib.util
import io
import json
import xml.etree.ElementTree as ElementTree

import cv2
import numpy as np
import pytest
from codec_evolution import artifacts
from codec_sandbox.clips import ClipSet
from codec_sandbox.references import References
from codec_sandbox.request import CONTROL_SOURCE
from rich.console import Console
from typer.testing import CliRunner

import infra.cli
from infra.commands.codec_tables import print_benchmark, print_comparison
from infra.errors import UserError
from infra.workbench import benchmark, comparison
from infra.workbench.benchmark import benchmark_file, local_benchmark, measure_source, validate_file
from infra.workbench.clips_setup import ensure_clips
from infra.workbench.comparison import compare_codecs
from infra.workbench.named_codecs import NamedCodec, named_codecs
from infra.workbench.plots import draw_rate_distortion, draw_side_by_side
from infra.workbench.references import ENCODERS
from tests.integration.codecs import honest, version_0
from tests.integration.reports import (
    assert_bd_rates_are_those_of_an_independent_computation,
    assert_small_and_complete,
)
from tests.integration.support import adopted_record

VERSION_0 = NamedCodec.of_file(CONTROL_SOURCE)
pytestmark = pytest.mark.usefixtures("forked_zygotes")


@pytest.fixture(scope="module")
def outcome(forked_zygotes, tmp_path_factory):
    """Version 0, benchmarked once with all that can be asked for."""
    folder = tmp_path_factory.mktemp("benchmark")
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "measure_source", noted)
        result = benchmark_file(
            CONTROL_SOURCE,
            lines.append,
            plot=folder / "curves",
            picture=folder / "picture.png",
            anchors=True,
            with_vmaf=True,
        )
    return result, lines, folder


_reports = []


def noted(*arguments, **options):
    """Measure, and keep the sandbox's own report."""
    _reports.append(measure_source(*arguments, **options))
    return _reports[-1]


@pytest.fixture
def raw(outcome):
    """The sandbox's own report behind `outcome`."""
    (report,) = _reports
    return report


def test_the_printed_bd_rates_of_version_0_agree_with_an_independent_computation(raw):
    assert_bd_rates_are_those_of_an_independent_computation(raw, ClipSet())


def test_the_report_on_the_shipped_clips_is_small_and_complete(raw):
    assert_small_and_complete(raw, ClipSet())


def test_a_benchmark_prints_what_the_contract_of_the_command_line_names(outcome):
    result, _, _ = outcome
    assert result["status"] == "passed"
    assert result["failure"] is None
    names = {"source_sha256", "bitrate_mbps", "compression_ratio", "psnr_db", "bd_rate_vs_hevc", "timings_s"}
    assert names <= result.keys()
    assert {"layers", "minimum"} == result["sandbox"].keys()
    for row in result["clips"]:
        assert {"name", "role", "window", "points", "bd_rate_vs_hevc"} <= row.keys()
        for point in row["points"]:
            fields = {"quality", "bytes", "frames", "bitrate_mbps", "psnr_db", "ms_ssim"}
            assert fields | {"encode_cpu_s", "decode_cpu_s"} <= point.keys()
    sealed = [row for row in result["clips"] if row["role"] == "sealed"]
    assert (result["figures_windows"], len(sealed)) == ("sealed", 4)
    levels = [row["quality_range"]["reference_db"] for row in sealed]
    assert result["psnr_db"] == pytest.approx(np.mean(levels), abs=0.005)
    rates = [row["bitrate_mbps"] for row in sealed]
    assert result["bitrate_mbps"] == pytest.approx(np.exp(np.mean(np.log(rates))), abs=0.0005)
    assert result["compression_ratio"] == pytest.approx(24 * 62.208 / result["bitrate_mbps"], rel=1e-3)
    assert json.loads(json.dumps(result)) == result


def test_version_0_spans_the_range_of_quality_of_every_window(outcome):
    for row in outcome[0]["clips"]:
        assert row["coverage"] == pytest.approx(1.0), row["name"]


def test_progress_is_told_for_every_stage_and_every_point(outcome):
    result, lines, _ = outcome
    assert [line for line in lines if line.endswith(" ...")][:5] == [
        "validate ...",
        "smoke ...",
        "screen ...",
        "measure ...",
        "sealed ...",
    ]
    points = sum(len(row["points"]) for row in result["clips"])
    assert sum("Mbps" in line for line in lines) == points


def test_vmaf_is_in_the_final_report_and_rises_with_quality(outcome):
    for row in outcome[0]["clips"]:
        scores = [point.get("vmaf") for point in row["points"]]
        if row["window"] == 0:
            assert scores == sorted(scores)
            assert scores[-1] > 95
        else:
            assert set(scores) == {None}


def test_all_reference_encoders_are_among_the_anchors(outcome):
    codecs = {anchor["codec"] for anchor in outcome[0]["anchors"]}
    assert codecs == {encoder.name for encoder in ENCODERS}
    assert {"x265_medium", "x265_zerolatency", "x265_10mbps", "svt_av1", "vvenc"} < codecs


def test_the_plot_is_drawn_as_svg_and_png_with_candidate_anchors_and_targets(outcome):
    folder = outcome[2]
    svg = ElementTree.parse(folder / "curves.svg").getroot()
    assert svg.tag.endswith("svg")
    picture = cv2.imread(str(folder / "curves.png"))
    assert min(picture.shape[:2]) > 500
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


def test_a_picture_is_drawn_of_clips_whose_licence_allows_it(outcome):
    assert cv2.imread(str(outcome[2] / "picture.png")) is not None


def test_no_picture_is_drawn_of_a_clip_whose_licence_does_not_allow_it(tmp_path):
    ensure_clips()
    clips = ClipSet()
    clip = clips.clip("carphone")
    frames = clips.load(clip.windows[0])
    decoded = {("carphone", 50): (clip.windows[0], frames, list(frames))}
    assert not clip.pictures
    assert draw_side_by_side(tmp_path / "picture.png", clips, References(), decoded) == []
    assert list(tmp_path.iterdir()) == []


def test_a_name_without_an_ending_draws_both_kinds(outcome, tmp_path):
    clips = ClipSet()
    (tmp_path / "a.b").mkdir()
    files = draw_rate_distortion(tmp_path / "a.b" / "plot", [("x", outcome[0]["clips"])], clips, References())
    assert [path.name for path in files] == ["plot.svg", "plot.png"]


def test_a_failing_file_is_reported_with_stage_kind_and_line(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("import os\n" + version_0())
    result = benchmark_file(path, plot=tmp_path / "plot.png")
    assert result["status"] == "failed"
    assert (result["failure"]["stage"], result["failure"]["kind"]) == ("validate", "policy")
    assert "os" in result["failure"]["message"]
    assert result["failure"]["line"] == 1
    assert not (tmp_path / "plot.png").exists()


def test_validate_lists_every_violation_with_its_place(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text(version_0() + "\n\ndef other():\n    import os\n    return open('x'), eval('1')\n")
    answer = validate_file(path)
    assert answer["status"] == "failed"
    assert len(answer["violations"]) >= 3
    assert all(
        {"line", "column", "construct", "message"} <= violation.keys() for violation in answer["violations"]
    )
    assert validate_file(CONTROL_SOURCE) == {"status": "passed", "violations": []}


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"absent\.py: cannot be read"):
        benchmark_file(tmp_path / "absent.py")


def printed(show, answer):
    """Return what is printed at 80 columns, its white space folded."""
    console = Console(width=80, record=True, file=io.StringIO())
    show(console, answer)
    return " ".join(console.export_text().split())


def test_the_table_of_points_fits_into_80_columns_with_all_its_figures(outcome):
    result, _, _ = outcome
    text = printed(print_benchmark, result)
    assert "…" not in text
    for row in result["clips"]:
        assert text.count(f"{row['name']}/{row['window']} ") == len(row["points"])
        for point in row["points"]:
            assert f"{point['bitrate_mbps']:.3f}" in text
            assert point.get("vmaf") is None or f"{point['vmaf']:.1f}" in text
        assert f"BD-rate {row['bd_rate_vs_hevc']:+.1f} % against x265 zero latency" in text
    assert f"{result['bitrate_mbps']:.3f} Mbps (1080p30 equivalent) at {result['psnr_db']:.1f} dB" in text


def test_a_window_without_figures_says_why(outcome):
    why = "no BD-rate, between its points the curve would run 90% below straight lines"
    row = {**outcome[0]["clips"][0], "bd_rate_vs_hevc": None, "flaw": f"clip bunny: {why}"}
    assert f"bunny/0: {why}" in printed(print_benchmark, {**outcome[0], "clips": [row]})


def test_a_comparison_shows_held_out_windows_where_they_were_measured():
    row = {"clip": "city", "windows": (2, 4), "bd_rate_vs_incumbent": -12.34}
    verdict = {
        "decision": "adopt",
        "reason": "better",
        "rows": [{**row, "clip": "bunny"}],
        "held_out_rows": [row],
        "held_out_reason": "",
    }
    text = printed(print_comparison, {"verdict": verdict})
    assert "held-out windows" in text and "city" in text and text.count("-12.3 %") == 2
    assert "held-out" not in printed(print_comparison, {"verdict": {**verdict, "held_out_rows": []}})


def test_two_files_are_compared_by_the_rule_with_one_plot(tmp_path, short_clips, on_short_clips):
    better = tmp_path / "better.py"
    better.write_text(honest("wavelet", ClipSet(short_clips)))
    result = compare_codecs(NamedCodec.of_file(better), VERSION_0, plot=tmp_path / "both.png")
    assert result["verdict"]["decision"] == "confirm"
    assert result["verdict"]["bd_rate_vs_incumbent"] < -10
    assert result["candidate"]["bitrate_mbps"] < result["incumbent"]["bitrate_mbps"]
    assert (tmp_path / "both.png").exists()


@pytest.fixture
def on_short_clips(monkeypatch, short_clips):
    """Compare on the short clips, and measure no source twice there."""
    monkeypatch.setattr(comparison, "local_benchmark", functools.partial(local_benchmark, short_clips))
    monkeypatch.setattr(comparison, "measure_source", measured_once)


_measured = {}


def measured_once(benchmark, source, **options):
    """Measure a source, or return what came of it before on these clips."""
    key = source, options["stages"]
    if key not in _measured:
        _measured[key] = measure_source(benchmark, source, **options)
    return _measured[key]


@pytest.mark.parametrize("side", ["candidate", "incumbent"])
def test_a_codec_that_fails_in_a_comparison_is_named_with_its_side(side, on_short_clips):
    broken = NamedCodec("broken", b"x = 1\n")
    pair = (broken, VERSION_0) if side == "candidate" else (VERSION_0, broken)
    verdict = compare_codecs(*pair)["verdict"]
    assert verdict["decision"] == ("reject" if side == "candidate" else "undecidable")
    assert verdict["failure_kind"] == "signature"
    assert verdict["reason"].startswith(f"the {side} broken fails in validate: the module defines no ")


def test_compare_ends_with_status_1_where_a_codec_fails(tmp_path, on_short_clips):
    path = tmp_path / "broken.py"
    path.write_text("x = 1\n")
    done = CliRunner().invoke(infra.cli.app, ["compare", "--json", str(path), str(CONTROL_SOURCE)])
    assert done.exit_code == 1, done.output


def test_a_drawing_without_a_folder_is_refused_before_anything_is_measured(tmp_path):
    missing, lines = tmp_path / "absent" / "plot.png", []
    for asked in ({"plot": missing}, {"picture": missing}):
        with pytest.raises(UserError, match=r"there is no folder .*absent"):
            benchmark_file(CONTROL_SOURCE, lines.append, **asked)
    with pytest.raises(UserError, match=r"there is no folder .*absent"):
        compare_codecs(VERSION_0, VERSION_0, lines.append, plot=missing)
    assert lines == []
    assert not missing.parent.exists()


def test_a_comparison_takes_versions_of_an_evolution_and_files(session, lineage, tmp_path):
    text = version_0()
    sha = hashlib.sha256(text.encode()).hexdigest()
    session.bucket.put_text(artifacts.source(sha), text)
    record = adopted_record(lineage, 0, source_sha256=sha)
    session.control.adopt(record, session.control.state(lineage))
    found = named_codecs(["0", str(CONTROL_SOURCE)], session.state_dir, lineage, lambda line: None)
    assert found == [NamedCodec("version 0", text.encode()), VERSION_0]
    with pytest.raises(UserError, match="version 7"):
        named_codecs(["7", "0"], session.state_dir, lineage, lambda line: None)
    with pytest.raises(UserError, match="there is no evolution in"):
        named_codecs(["0", "0"], tmp_path, lineage, lambda line: None)


def test_the_lambda_handler_answers_twice_from_one_warm_supervisor_and_logs_json(capsys):
    spec = importlib.util.spec_from_file_location("sandbox_handler", CONTROL_SOURCE.parents[1] / "handler.py")
    handler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(handler)
    ensure_clips()
    request = {"control": True, "stages": ["validate"], "attempt_id": "a#1"}
    try:
        reports = [handler.lambda_handler(request, None) for _ in range(2)]
        first = handler.benchmark()
        assert handler.benchmark() is first
    finally:
        first.sandbox.close()
    assert [report["outcome"] for report in reports] == ["passed", "passed"]
    logs = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [(log["attempt_id"], log["outcome"]) for log in logs] == [("a#1", "passed")] * 2
