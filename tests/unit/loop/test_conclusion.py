"""Concluding attempts: verdicts become records, and adoption is one conditional write."""

import itertools
from collections.abc import Iterator

import pytest
from codec_evolution import artifacts
from codec_evolution.loop.conclusion import replay
from codec_evolution.loop.windows import WindowRequest, Windows
from codec_evolution.ports import Conflict
from codec_evolution.record import Attempt

from tests.integration.support import ladder, report
from tests.support.evolution import BASE, CYCLE, GOOD, OTHER, SEED, Evolution
from tests.support.memory_bucket import WrittenBucket
from tests.support.stored import Stores, stores_in_process

LOSER, FAULTY = "d" * 64, "e" * 64
_numbers = itertools.count()


@pytest.fixture(scope="module")
def stores() -> Iterator[Stores]:
    with stores_in_process() as made:
        yield made


@pytest.fixture
def lineage() -> str:
    """A lineage that no other test uses."""
    return f"test-{next(_numbers)}"


@pytest.fixture
def evolution(stores: Stores, lineage: str) -> Evolution:
    return Evolution(stores.record, stores.control, WrittenBucket(), lineage)


def test_version_0_starts_as_incumbent_and_is_prepared_for_its_contest(evolution):
    assert (evolution.state.version, evolution.state.prepared_version) == (0, 0)
    assert evolution.record(0).status == "adopted"
    assert evolution.record(0).adopted_version == 0


def test_a_better_candidate_is_asked_to_confirm_and_then_adopted(evolution):
    evolution.propose(1, GOOD)
    train, held_out = report(GOOD, scale=0.8), report(GOOD, "held_out", scale=0.8)
    assert evolution.conclude(1, train).next == "confirm"
    assert evolution.record(1) is None
    concluded = evolution.conclude(1, train, held_out)
    assert (concluded.status, concluded.version) == ("adopted", 1)
    record = evolution.record(1)
    assert (record.improvement, record.confirmed) == ("20.0% bitrate reduction", True)
    assert (evolution.state.version, evolution.state.incumbent) == (1, GOOD)


def test_a_candidate_just_short_of_the_margin_is_rejected_with_its_figures(evolution):
    evolution.propose(1, GOOD)
    assert evolution.conclude(1, report(GOOD, scale=0.96)).status == "rejected"
    assert evolution.record(1).bd_rate_vs_incumbent == pytest.approx(-4.0)
    assert evolution.state.version == 0


def test_a_candidate_that_shines_only_on_the_training_clips_is_rejected_without_held_out_figures(evolution):
    evolution.propose(1, GOOD)
    train, held_out = report(GOOD, scale=0.8), report(GOOD, "held_out", scale=0.97)
    assert evolution.conclude(1, train, held_out).status == "rejected"
    assert "held-out" in evolution.record(1).reason
    assert "3.0" not in evolution.record(1).reason


def test_a_candidate_that_knows_the_training_clips_by_heart_is_rejected_as_such(evolution):
    evolution.propose(1, GOOD)
    train, held_out = report(GOOD, scale=0.5), report(GOOD, "held_out", scale=0.9)
    assert evolution.conclude(1, train, held_out).status == "rejected"
    assert evolution.record(1).reason.startswith("by_heart: ")
    assert evolution.record(1).figures_windows == "sealed"


def test_concluding_twice_changes_nothing(evolution):
    evolution.propose(1, GOOD)
    train, held_out = report(GOOD, scale=0.8), report(GOOD, "held_out", scale=0.8)
    first = evolution.conclude(1, train, held_out)
    assert evolution.conclude(1, train, held_out).status == first.status
    assert evolution.state.version == 1


def test_the_loser_of_a_race_is_judged_again_against_the_winner(evolution):
    for slot, sha, scale in ((1, GOOD, 0.6), (2, OTHER, 0.8)):
        evolution.propose(slot, sha)
        evolution.conclude(slot, report(sha, scale=scale), report(sha, "held_out", scale=scale))
    assert evolution.record(1).status == "adopted"
    assert evolution.record(2).status == "rejected"
    assert evolution.state.incumbent == GOOD


def test_a_loser_that_also_beats_the_winner_becomes_the_next_version(evolution):
    for slot, sha, scale in ((1, GOOD, 0.8), (2, OTHER, 0.5)):
        evolution.propose(slot, sha)
        evolution.conclude(slot, report(sha, scale=scale), report(sha, "held_out", scale=scale))
    assert [evolution.record(slot).adopted_version for slot in (1, 2)] == [1, 2]
    assert evolution.record(2).parent_version == 1
    assert evolution.record(2).improvement == "37.5% bitrate reduction"


@pytest.mark.slow
def test_a_race_that_is_lost_in_the_transaction_is_judged_again(evolution, monkeypatch):
    evolution.propose(1, GOOD)
    adopt, lost = evolution.concluder.control.__class__.adopt, []

    def lose_once(control, record, state):
        if not lost:
            lost.append(record)
            raise Conflict("another slot was first")
        adopt(control, record, state)

    monkeypatch.setattr(evolution.concluder.control.__class__, "adopt", lose_once)
    evolution.conclude(1, report(GOOD, scale=0.8), report(GOOD, "held_out", scale=0.8))
    assert len(lost) == 1 and evolution.state.version == 1


def test_a_failed_candidate_keeps_the_stage_kind_line_and_message(evolution):
    evolution.propose(1, GOOD)
    failure = {
        "stage": "smoke",
        "kind": "runtime",
        "message": "ZeroDivisionError: division by zero",
        "line": 9,
    }
    failed = report(GOOD, outcome="failed", failure=failure, points=[])
    assert evolution.conclude(1, failed).status == "test_failed"
    record = evolution.record(1)
    assert (record.failure_stage, record.failure_kind, record.failure_line) == (
        "smoke",
        "runtime",
        9,
    )


def test_a_failure_on_held_out_clips_names_neither_clip_nor_message(evolution):
    evolution.propose(1, GOOD)
    failure = {
        "stage": "measure",
        "kind": "runtime",
        "message": "secret of bikes",
        "clip": "bikes",
        "line": 3,
    }
    confirm = report(GOOD, "held_out", outcome="failed", failure=failure, points=[])
    evolution.conclude(1, report(GOOD, scale=0.5), confirm)
    assert evolution.record(1).status == "test_failed"
    assert "bikes" not in str(evolution.record(1))


def test_other_packets_in_the_confirming_run_are_nondeterminism(evolution):
    evolution.propose(1, GOOD)
    confirm = report(GOOD, "held_out", scale=0.5, packets_sha256={"carphone/0": "0" * 64})
    evolution.conclude(1, report(GOOD, scale=0.5), confirm)
    assert evolution.record(1).failure_kind == "nondeterministic"
    assert evolution.state.version == 0


def test_a_report_of_another_source_is_no_ones_verdict(evolution):
    evolution.propose(1, GOOD)
    assert evolution.conclude(1, report(OTHER, scale=0.1)).status == "skipped"
    assert "another source" in evolution.record(1).reason


def test_a_proposal_that_names_the_incumbents_source_leaves_the_incumbents_curves_alone(evolution):
    """Plan's code may be the planner's: a weak curve under the incumbent's name would let anything win."""
    bucket = evolution.bucket
    curves = [artifacts.training_curve(BASE, SEED), artifacts.held_out_curve(BASE, SEED)]
    before = [bucket.get_json(key) for key in curves]
    evolution.propose(1, BASE)
    evolution.conclude(1, report(OTHER, scale=3.0), report(OTHER, "held_out", scale=3.0))
    assert [bucket.get_json(key) for key in curves] == before


def test_a_candidate_that_kills_the_sandbox_fails_and_a_broken_sandbox_skips(evolution):
    for slot, kind in ((1, "killed_sandbox"), (2, "infrastructure")):
        evolution.propose(slot, GOOD)
        evolution.conclude(slot, fault={"kind": kind, "stage": "measure", "error": "Runtime.ExitError"})
    assert (evolution.record(1).status, evolution.record(1).reason) == (
        "test_failed",
        "killed the sandbox",
    )
    assert evolution.record(2).status == "skipped"
    assert evolution.record(2).reason.startswith("infrastructure")


def one_by_one(evolution, slot, whole, split="train"):
    """Keep each window of a report as the state machine does, until Conclude stops it; return what lists them."""
    rows = whole["points"]
    keys = list(dict.fromkeys((row["clip"], row["window"], row["role"]) for row in rows))
    listing = whole | {"points": [], "anchors": [], "packets_sha256": {}, "frames_sha256": {}}
    listing["windows"] = [{"window": f"{clip}/{index}", "role": role} for clip, index, role in keys]
    windows = Windows(evolution.control, evolution.bucket)
    for (clip, index, _), listed in zip(keys, listing["windows"], strict=True):
        part = dict(whole)
        for name in ("points", "anchors"):
            part[name] = [row for row in whole[name] if (row["clip"], row["window"]) == (clip, index)]
        for name in ("packets_sha256", "frames_sha256"):
            part[name] = {key: value for key, value in whole[name].items() if key == listed["window"]}
        asked = {"item": evolution.item(slot), "split": split, "listing": listing, "window": listed}
        if not windows.answer(WindowRequest.model_validate(asked | {"measured": part})).go:
            break
    return listing


def test_a_contest_measured_window_by_window_ends_as_one_measured_at_once(evolution):
    evolution.propose(1, GOOD)
    train = one_by_one(evolution, 1, report(GOOD, scale=0.5))
    assert evolution.conclude(1, train).next == "confirm"
    later = report(GOOD, "held_out", scale=0.5)
    later["points"] += [{"clip": "carphone", "window": 0, "role": "train", **row} for row in ladder(0.5)]
    held_out = one_by_one(evolution, 1, later, "held_out")
    assert evolution.conclude(1, train, held_out).status == "adopted"
    record, bucket = evolution.record(1), evolution.bucket
    assert (record.figures_windows, record.bd_rate_vs_incumbent) == ("sealed", pytest.approx(-50))
    curve = bucket.get_json(artifacts.training_curve(GOOD, SEED))
    assert len(curve["points"]) == len(report(GOOD)["points"])


def test_a_certain_loss_is_rejected_by_its_name_and_leaves_no_curve(evolution):
    evolution.propose(1, LOSER)
    train = one_by_one(evolution, 1, report(LOSER, scale=1.2))
    assert evolution.conclude(1, train).status == "rejected"
    record = evolution.record(1)
    assert record.reason == (
        "lost_early: clip bunny got worse: BD-rate +20.0%, +5% is allowed; 1 window was not measured"
    )
    assert (record.bitrate_mbps, record.bd_rate_vs_incumbent) == (None, pytest.approx(20))
    bucket = evolution.bucket
    assert bucket.get_json(artifacts.training_curve(LOSER, SEED)) is None
    stored = bucket.get_json(artifacts.report(evolution.lineage, evolution.attempt(1)))
    assert [each["window"] for each in stored["unmeasured"]] == ["carphone/0"]


def test_windows_that_were_lost_to_a_fault_leave_no_curve_and_are_infrastructure(evolution):
    evolution.propose(1, FAULTY)
    listing = one_by_one(evolution, 1, report(FAULTY, scale=0.5))
    evolution.conclude(1, listing, fault={"kind": "infrastructure", "error": "WindowFailed"})
    assert evolution.record(1).reason.startswith("infrastructure: WindowFailed")
    assert evolution.bucket.get_json(artifacts.training_curve(FAULTY, SEED)) is None


def test_nothing_proposed_is_skipped_with_the_planners_reason(evolution):
    evolution.conclude(1, plan={"reason": "no_credential"})
    assert (evolution.record(1).status, evolution.record(1).reason) == ("skipped", "no_credential")


def test_looks_at_the_held_out_windows_are_limited_per_day(evolution):
    last = None
    for slot in range(1, 12):
        evolution.propose(slot, GOOD)
        last = evolution.conclude(slot, report(GOOD, scale=0.5))
    assert last is not None
    assert (last.next, last.status) == ("done", "skipped")
    assert evolution.record(11).reason.startswith("held_out_looks_used")


def test_another_clip_set_asks_for_the_incumbent_to_be_measured_first(evolution):
    evolution.propose(1, GOOD)
    assert evolution.conclude(1, report(GOOD, scale=0.5, clip_set="new clips")).status == "skipped"
    assert evolution.record(1).reason.startswith("incumbent_not_measured")
    assert evolution.state.prepared_version == -1


def test_a_report_above_the_edges_cap_is_refused(evolution):
    evolution.propose(1, GOOD)
    with pytest.raises(ValueError, match=r"report: .* at most 30720"):
        evolution.conclude(1, report(GOOD, padding="x" * 40_000))


def test_a_journalled_adoption_is_replayed_once_and_in_order(stores, lineage, evolution):
    evolution.propose(1, GOOD)
    train, held_out = report(GOOD, scale=0.8), report(GOOD, "held_out", scale=0.8)
    evolution.conclude(1, train, held_out)
    second = evolution.bucket.get_json(artifacts.journal(lineage, evolution.attempt(1)))
    first = evolution.bucket.get_json(artifacts.journal(lineage, evolution.attempt(0)))
    fresh = f"{lineage}-fresh"
    first, second = (Attempt.from_item(each | {"lineage": fresh}) for each in (first, second))
    assert replay(second, stores.control, stores.record) is False
    assert replay(first, stores.control, stores.record) is True
    assert replay(second, stores.control, stores.record) is True
    assert replay(second, stores.control, stores.record) is False
    assert stores.control.state(fresh).version == 1


def test_a_repeat_that_was_overtaken_answers_from_the_record_and_keeps_the_journal(
    stores, lineage, evolution, monkeypatch
):
    evolution.propose(1, GOOD)
    train, held_out = report(GOOD, scale=0.8), report(GOOD, "held_out", scale=0.8)
    table, get = evolution.concluder.record.__class__, evolution.concluder.record.__class__.get
    hidden = iter([None, None])
    evolution.conclude(1, train, held_out)
    monkeypatch.setattr(table, "get", lambda self, *key: next(hidden, get(self, *key)))
    assert evolution.conclude(1, train, held_out).status == "adopted"
    monkeypatch.undo()
    journal = evolution.bucket.get_json(artifacts.journal(lineage, evolution.attempt(1)))
    assert (journal["status"], evolution.record(1).status) == ("adopted", "adopted")


def test_asking_again_is_the_same_look(stores, lineage, evolution):
    evolution.propose(1, GOOD)
    for _ in range(3):
        assert evolution.conclude(1, report(GOOD, scale=0.5)).next == "confirm"
    assert stores.control.day(lineage, CYCLE[:10]).looks == 1


def test_operators_find_the_held_out_report_of_a_failed_confirmation(stores, lineage, evolution):
    evolution.propose(1, GOOD)
    failure = {"stage": "measure", "kind": "runtime", "message": "on bikes", "clip": "bikes", "frame": 3}
    confirm = report(GOOD, "held_out", outcome="failed", failure=failure, points=[])
    evolution.conclude(1, report(GOOD, scale=0.5), confirm)
    kept = evolution.bucket.get_json(artifacts.held_out_report(lineage, evolution.attempt(1)))
    assert (kept["failure"]["clip"], kept["failure"]["frame"]) == ("bikes", 3)


def test_operators_find_the_held_out_figures_of_a_verdict(stores, lineage, evolution):
    evolution.propose(1, GOOD)
    evolution.conclude(1, report(GOOD, scale=0.5), report(GOOD, "held_out", scale=0.97))
    kept = evolution.bucket.get_json(artifacts.held_out_verdict(lineage, evolution.attempt(1)))
    assert [row["bd_rate_vs_incumbent"] for row in kept["held_out_rows"]] == pytest.approx([-3.0, -3.0])


def test_version_0_is_not_called_confirmed(evolution):
    assert evolution.record(0).confirmed is False


def test_an_incumbent_that_fails_on_its_next_windows_pauses_the_lineage_with_the_reason(evolution):
    evolution.propose(1, BASE)
    failure = {"stage": "measure", "kind": "runtime", "message": "IndexError"}
    failed = report(BASE, outcome="failed", failure=failure, points=[])
    evolution.conclude(1, failed, kind="incumbent")
    assert evolution.state.paused is True
    assert "version 0 fails" in evolution.state.paused_reason
    assert evolution.record(1) is None


@pytest.fixture
def beginning(stores: Stores, lineage: str) -> Evolution:
    """A lineage whose version 0 has not been measured."""
    return Evolution(stores.record, stores.control, WrittenBucket(), lineage, measured=False)


FAILURE = {"stage": "measure", "kind": "runtime", "message": "IndexError"}


def test_version_0_is_measured_on_the_held_out_windows_before_it_is_the_incumbent(beginning):
    assert beginning.conclude_baseline(report(BASE)).next == "confirm"
    assert (beginning.state.version, beginning.record(0)) == (-1, None)


def test_a_version_0_that_fails_is_recorded_and_becomes_no_incumbent(beginning):
    failed = report(BASE, outcome="failed", failure=FAILURE, points=[])
    assert beginning.conclude_baseline(failed).status == "test_failed"
    assert (beginning.record(0).status, beginning.state.version) == ("test_failed", -1)


def test_a_version_0_without_curves_is_nobodys_yardstick(beginning):
    flat = [row for row in report(BASE)["points"] if row["quality"] == 50]
    beginning.conclude_baseline(report(BASE, points=flat), report(BASE, "held_out"))
    assert beginning.record(0).status != "adopted"
    assert beginning.state.version == -1


def test_an_incumbent_that_was_measured_again_is_prepared_and_leaves_no_record(evolution):
    evolution.propose(1, BASE)
    other = {"clip_set": "other clips"}
    again = report(BASE, **other), report(BASE, "held_out", **other)
    assert evolution.conclude(1, *again, kind="incumbent").version == 0
    assert (evolution.state.prepared_version, evolution.state.clip_set) == (0, "other clips")
    assert evolution.record(1) is None


def test_an_incumbent_that_the_sandbox_could_not_measure_stays_in_a_running_lineage(evolution):
    evolution.propose(1, BASE)
    assert evolution.conclude(1, report(OTHER), kind="incumbent").status == "skipped"
    assert evolution.state.paused is False


def test_a_candidate_whose_incumbent_moves_at_every_judgement_has_lost_the_race(evolution, monkeypatch):
    def too_late(control, record, state):
        raise Conflict("another slot was first")

    evolution.propose(1, GOOD)
    monkeypatch.setattr(evolution.control.__class__, "adopt", too_late)
    assert (
        evolution.conclude(1, report(GOOD, scale=0.8), report(GOOD, "held_out", scale=0.8)).status
        == "rejected"
    )
    assert evolution.record(1).reason == "lost_race: the incumbent moved 5 times"


@pytest.mark.parametrize("seen_late", [1, 2])
def test_of_two_calls_that_reject_at_once_one_writes_and_both_say_the_same(evolution, monkeypatch, seen_late):
    evolution.propose(1, GOOD)
    first = evolution.conclude(1, report(GOOD, scale=0.96))
    table, get = evolution.table.__class__, evolution.table.__class__.get
    hidden = iter([None] * seen_late)
    monkeypatch.setattr(table, "get", lambda self, *key: next(hidden, get(self, *key)))
    assert evolution.conclude(1, report(GOOD, scale=0.96)).status == first.status == "rejected"


def test_a_journalled_rejection_is_replayed_once(stores, lineage, evolution):
    evolution.propose(1, GOOD)
    evolution.conclude(1, report(GOOD, scale=0.96))
    journal = evolution.bucket.get_json(artifacts.journal(lineage, evolution.attempt(1)))
    lost = Attempt.from_item(journal | {"lineage": f"{lineage}-fresh"})
    assert replay(lost, stores.control, stores.record) is True
    assert replay(lost, stores.control, stores.record) is False
