"""The tables: conditions that keep the record honest, against the real DynamoDB interface."""

import threading

import pytest
from codec_evolution.ports import Conflict, DayCounters, LoopState
from codec_evolution.record import Attempt

CYCLE = "2026-11-21T22:00:00.000Z"


def record_of(lineage: str, slot: int, **fields) -> Attempt:
    return Attempt.from_item(
        {
            "lineage": lineage,
            "attempt_id": f"{CYCLE}#{slot:02d}",
            "status": "rejected",
            "reason": "not_better",
            "source_sha256": f"{slot:064x}",
            "source_key": f"key-{lineage}-{slot}",
            "clip_set": "clips",
            "bitrate_mbps": 1.23456789,
            **fields,
        }
    )


def adopted(lineage: str, slot: int, version: int) -> Attempt:
    return record_of(lineage, slot, status="adopted", adopted_version=version)


def test_an_attempt_is_written_once(session, lineage):
    assert session.record.put_once(record_of(lineage, 0)) is True
    assert session.record.put_once(record_of(lineage, 0, reason="another")) is False
    assert session.record.get(lineage, f"{CYCLE}#00").reason == "not_better"


def test_numbers_come_back_as_numbers_with_six_digits(session, lineage):
    session.record.put_once(record_of(lineage, 0, confirmed=True, version=3))
    stored = session.record.get(lineage, f"{CYCLE}#00")
    assert stored.bitrate_mbps == 1.234568
    assert stored.version == 3 and isinstance(stored.version, int)
    assert stored.confirmed is True


def test_the_newest_attempts_come_first_and_by_status(session, lineage):
    for slot, status in enumerate(["rejected", "skipped", "rejected", "test_failed"]):
        session.record.put_once(record_of(lineage, slot, status=status))
    assert [r.attempt_id[-2:] for r in session.record.latest(lineage, 3)] == ["03", "02", "01"]
    assert [r.attempt_id[-2:] for r in session.record.latest(lineage, 9, "rejected")] == ["02", "00"]


def test_an_attempt_is_found_by_version_and_by_source(session, lineage):
    session.record.put_once(adopted(lineage, 4, 7))
    assert session.record.of_version(lineage, 7).attempt_id == f"{CYCLE}#04"
    assert session.record.of_version(lineage, 8) is None
    assert session.record.tested(f"key-{lineage}-4", lineage).attempt_id == f"{CYCLE}#04"
    assert session.record.tested("unknown", lineage) is None


def test_a_new_lineage_has_no_incumbent(session, lineage):
    assert session.control.state(lineage) == LoopState(lineage)


def test_adoption_writes_record_and_state_together(session, lineage):
    control = session.control
    control.adopt(adopted(lineage, 0, 0), control.state(lineage))
    state = control.state(lineage)
    assert (state.version, state.incumbent, state.clip_set) == (0, f"{0:064x}", "clips")
    assert session.record.of_version(lineage, 0) is not None


def test_a_stale_adoption_writes_nothing(session, lineage):
    control = session.control
    stale = control.state(lineage)
    control.adopt(adopted(lineage, 0, 0), stale)
    with pytest.raises(Conflict):
        control.adopt(adopted(lineage, 1, 0), stale)
    assert session.record.get(lineage, f"{CYCLE}#01") is None


def test_of_many_adopters_at_once_exactly_one_wins(session, lineage):
    control = session.control
    control.adopt(adopted(lineage, 0, 0), control.state(lineage))
    state, won = control.state(lineage), []

    def race(slot: int) -> None:
        try:
            session.control.adopt(adopted(lineage, slot, 1), state)
        except Conflict:
            return
        won.append(slot)

    racers = [threading.Thread(target=race, args=(slot,)) for slot in range(1, 9)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(won) == 1
    assert control.state(lineage).incumbent == f"{won[0]:064x}"


def test_the_lease_moves_only_from_the_holder_that_was_seen(session, lineage):
    control = session.control
    control.take_lease(lineage, holder="", execution="a", cycle_id=CYCLE, due=["x"])
    with pytest.raises(Conflict):
        control.take_lease(lineage, holder="", execution="b", cycle_id=CYCLE, due=[])
    control.take_lease(lineage, holder="a", execution="b", cycle_id=CYCLE, due=["y"])
    assert control.release_lease(lineage, "a") is False
    assert control.state(lineage).due == ("y",)
    assert control.release_lease(lineage, "b") is True
    assert control.state(lineage).execution == ""


def test_a_counter_stops_exactly_at_its_limit(session, lineage):
    taken = [session.control.count(lineage, "2026-11-21", "looks", 1, 3) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    assert session.control.day(lineage, "2026-11-21") == DayCounters("2026-11-21", looks=3)


def test_an_amount_above_the_whole_limit_is_never_counted(session, lineage):
    assert session.control.count(lineage, "2026-11-21", "spent_usd", 5.0, 3.0) is False
    assert session.control.day(lineage, "2026-11-21") == DayCounters("2026-11-21")


def test_the_committed_version_only_rises(session, lineage):
    session.control.set_committed(lineage, 2)
    session.control.set_committed(lineage, 1)
    assert session.control.state(lineage).committed_version == 2


def test_a_release_moves_only_from_the_one_expected_and_may_be_set_twice(session, lineage):
    control = session.control
    control.set_release(lineage, "one", expected="")
    control.set_release(lineage, "one", expected="")
    with pytest.raises(Conflict):
        control.set_release(lineage, "two", expected="")
    control.set_release(lineage, "two", expected="one")
    assert control.state(lineage).release == "two"
