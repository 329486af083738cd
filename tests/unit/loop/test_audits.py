"""The audit of an adopted version on AWS: when it begins, what is kept of it, and that each step may be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from codec_evolution import artifacts
from codec_evolution.candidate import sha256_hex
from codec_evolution.contracts import CAPS_BYTES, INPUT_CAPS_BYTES, Report, parse, to_payload
from codec_evolution.framework.release import POLICY
from codec_evolution.loop.audits import AuditAnswer, AuditRequest, Audits
from codec_evolution.pricing import compute_cost, load_prices
from codec_sandbox.report import MAX_REPORT_BYTES
from codec_sandbox.segments import MOST_SEGMENTS

from tests.integration.support import adopted_record, ladder
from tests.support.stored import Stores, stores_in_process

SOURCE = "def compress_video_frame(frame, frame_index, config): ...\n"
SHA = sha256_hex(SOURCE)
STARTED = "2026-11-28T20:00:00.123Z"
LATER, EARLIER = "2026-11-28T21:00:00.000Z", "2026-11-28T19:00:00.000Z"
SIZE = {"width": 1920, "height": 1080, "fps": 30.0, "frames": 8, "encode_cpu_s": 8.0, "decode_cpu_s": 4.0}
WITHIN = {"low_db": 31.0, "high_db": 43.0, "reference_db": 37.0, "reference_mbps": 10.0}


@pytest.fixture
def stores() -> Iterator[Stores]:
    with stores_in_process() as made:
        made.record.put_once(adopted_record("main", 1, source_sha256=SHA, release="r", bitrate_mbps=2.5))
        made.bucket.put_text(artifacts.source(SHA), SOURCE)
        made.bucket.put_text(artifacts.release("r", POLICY), "builtins = []\n")
        yield made


def audits(stores: Stores, daily_budget_usd: float = 20.0) -> Audits:
    return Audits(stores.record, stores.control, stores.bucket, daily_budget_usd)


def answer(
    stores: Stores, *, listing: Any = None, results: Any = (), started=STARTED, **of: Any
) -> AuditAnswer:
    asked = {"lineage": "main", "version": 1, "started": started, **of}
    request = {"audit": asked, "results": list(results)} | ({"listing": listing} if listing else {})
    found = audits(stores).answer(parse(AuditRequest, request, "audit"))
    to_payload(found, "audit")
    return found


def listing(*windows: str, **fields: Any) -> dict[str, Any]:
    listed = [{"window": window, "role": "audit"} for window in windows]
    return {
        "outcome": "passed",
        "source_sha256": SHA,
        "clip_set": "clips",
        "timings_s": {"validate": 1.0},
        "windows": listed,
        **fields,
    }


def segment(window: str, *, video: str = "film", scale: float = 0.5, **fields: Any) -> dict[str, Any]:
    """Return the result of one segment, on which x265 needs `scale` times the rate of the codec."""
    clip, _, index = window.partition("/")
    where = {"clip": clip, "window": int(index)}
    report = {
        "outcome": "passed",
        "source_sha256": SHA,
        "clip_set": "clips",
        "points": [{**where, "role": "audit", **point, **SIZE} for point in ladder(scale)],
        "anchors": [{**where, "codec": "x265_zerolatency", "points": ladder(1.0)}],
        "quality_ranges": {window: WITHIN},
        "segments": {
            window: {
                "video": f"{video}.mp4",
                "video_sha256": video.ljust(64, "0"),
                "start_s": float(index),
                "hevc_file": {"bitrate_mbps": 10.0, "psnr_db": 37.0},
                "note": "",
            }
        },
        "timings_s": {"audit": 100.0},
        **fields,
    }
    return {"window": window, "report": report}


def failed(window: str, kind: str, message: str) -> dict[str, Any]:
    failure = {"stage": "audit", "kind": kind, "message": message}
    return segment(window, points=[], outcome="failed", failure=failure)


def of_version_1(stores: Stores) -> Any:
    found = stores.record.of_version("main", 1)
    assert found is not None
    return found


def test_an_audit_begins_with_the_version_and_the_policy_that_it_was_adopted_under(stores):
    found = answer(stores)
    assert found.go
    assert found.envelope is not None
    assert (found.envelope.source_sha256, found.envelope.source()) == (SHA, SOURCE)
    assert found.envelope.policy.sha256 == sha256_hex("builtins = []\n")


def test_the_incumbent_is_found_although_the_index_lags(stores, monkeypatch):
    table = stores.control._table
    attempt = of_version_1(stores).attempt_id
    table.put_item(Item={"lineage": "main", "item": "state", "version": 1, "incumbent_attempt": attempt})
    monkeypatch.setattr(stores.record, "of_version", lambda *_: None)
    assert answer(stores).go


@pytest.mark.parametrize(
    ("of", "reason"), [({"version": 7}, "unknown_version"), ({"lineage": "blue"}, "unknown_version")]
)
def test_what_was_never_adopted_is_not_audited(stores, of, reason):
    found = answer(stores, **of)
    assert (found.go, found.reason.partition(":")[0]) == (False, reason)


def test_no_audit_begins_while_the_loop_is_paused_or_its_budget_spent(stores):
    stores.control.settle("main", "2026-11-28", 0.0, 19.9)
    assert answer(stores).go
    stores.control.settle("main", "2026-11-28", 0.0, 0.1)
    assert answer(stores).reason == "daily_budget_spent"
    stores.control.set_paused("main", True, at=STARTED, reason="a person", expected_at=None)
    assert answer(stores).reason == "paused"


def test_a_version_is_audited_once_unless_a_person_asks_again(stores):
    answer(stores, listing=listing("film/0"), results=[segment("film/0")])
    assert answer(stores).reason.startswith("already_audited")
    assert answer(stores, again=True).go


def test_the_figures_of_all_segments_are_on_the_record_apart_from_the_contests(stores):
    results = [segment("film/0"), segment("film/1"), segment("other/0", video="other")]
    found = answer(stores, listing=listing("film/0", "film/1", "other/0"), results=results)
    assert (found.segments, found.note) == (3, "")
    attempt = of_version_1(stores)
    assert attempt.bitrate_mbps == 2.5, "the contest's"
    assert attempt.audit_bd_rate_vs_hevc == -50.0
    # The codec's rate at 37 dB is half of 2 ** (1 / 6) Mbps at 1080p30, which this video is.
    assert attempt.audit_bitrate_mbps == pytest.approx(0.561, abs=0.001)
    assert (attempt.audit_encode_s, attempt.audit_decode_s) == (1.0, 0.5)
    assert (attempt.audit_size, attempt.audit_segments) == ("1920x1080", 3)
    assert attempt.audited_at == STARTED
    assert attempt.audit_cost_usd == pytest.approx(
        compute_cost(load_prices(), plan_s=0, benchmark_s=301.0), abs=1e-6
    )


def test_each_video_has_a_document_like_that_of_the_command(stores):
    results = [segment("film/0"), segment("other/0", video="other")]
    found = answer(stores, listing=listing("film/0", "other/0"), results=results)
    assert found.stored == [artifacts.audit("main", 1, video.ljust(64, "0")) for video in ("film", "other")]
    stored = stores.bucket.get_json(found.stored[0])
    assert (stored["video"], stored["codec"], stored["frames_a_segment"]) == (
        "film.mp4",
        "version 1 of main",
        8,
    )
    (only,) = stored["segments"]
    assert only["hevc_file"] == {"bitrate_mbps": 10.0, "psnr_db": 37.0, "codec_mbps": 0.561}
    assert len(only["points"]) == len(only["anchor"]) == 5


def test_segments_that_failed_are_named_beside_the_figures_of_the_others(stores):
    results = [
        segment("film/0"),
        failed("film/1", "nondeterministic", "two runs gave different packets"),
        {"window": "film/2", "fault": "Sandbox.Timedout: Task timed out"},
        segment("film/3", source_sha256="b" * 64),
    ]
    windows = [f"film/{index}" for index in range(5)]
    found = answer(stores, listing=listing(*windows), results=results)
    assert found.segments == 1
    assert of_version_1(stores).audit_note == found.note
    assert found.note == (
        "4 of 5 segments were not measured: "
        "film/1: nondeterministic in audit: two runs gave different packets; "
        "film/2: Sandbox.Timedout: Task timed out; film/3: another source was measured; film/4: not measured"
    )


def test_an_audit_that_measured_nothing_leaves_the_figures_before_it(stores):
    answer(stores, listing=listing("film/0"), results=[segment("film/0")])
    found = answer(stores, listing=listing("film/0"), results=[], started=LATER)
    assert found.segments == 0
    attempt = of_version_1(stores)
    assert (attempt.audit_bd_rate_vs_hevc, attempt.audited_at) == (-50.0, STARTED)
    assert attempt.audit_note.startswith("1 of 1 segments were not measured")
    answer(stores, listing=listing("film/0"), results=[segment("film/0")], started=LATER)
    assert of_version_1(stores).audit_note == "", "the next one replaces the note as well"


def test_a_version_that_is_no_longer_valid_is_noted(stores):
    failure = {"stage": "validate", "kind": "policy", "message": "line 3: eval"}
    found = answer(stores, listing=listing(outcome="failed", failure=failure))
    assert (found.go, found.segments) == (True, 0)
    assert "policy in validate: line 3: eval" in of_version_1(stores).audit_note


def test_an_image_without_segments_leaves_no_trace(stores):
    assert answer(stores, listing=listing()).reason.startswith("no_segments")
    assert of_version_1(stores).audit_note == ""


def test_a_step_that_runs_twice_leaves_one_result(stores):
    def keep() -> AuditAnswer:
        return answer(stores, listing=listing("film/0"), results=[segment("film/0")])

    first, record = keep(), of_version_1(stores)
    assert keep() == first
    assert of_version_1(stores) == record
    assert list(stores.bucket.keys(artifacts.audits("main", 1))) == first.stored


def test_an_audit_that_ends_late_does_not_replace_a_newer_one(stores):
    answer(stores, listing=listing("film/0"), results=[segment("film/0")])
    answer(stores, listing=listing("film/0"), results=[segment("film/0", scale=0.25)], started=EARLIER)
    assert of_version_1(stores).audit_bd_rate_vs_hevc == -50.0


def test_the_most_segments_fit_on_the_edge():
    results = [segment(f"{'c' * 40}/{index}") for index in range(MOST_SEGMENTS)]
    size = len(Report.model_validate(results[0]["report"]).model_dump_json())
    assert size < MAX_REPORT_BYTES
    assert MOST_SEGMENTS * 2 * size < INPUT_CAPS_BYTES["audit"] <= 200 * 1024
    assert CAPS_BYTES["audit"] >= CAPS_BYTES["plan"], "an envelope, as Plan's answer has one"
