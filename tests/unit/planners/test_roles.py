"""The roles of a cycle's slots: which are open, how they differ, and how what has paid is drawn more often."""

from collections import Counter

from codec_evolution.planners.roles import (
    COMBINE,
    IMPROVE,
    REPAIR,
    ROLES,
    STRUCTURE,
    TUNE,
    draw_roles,
    open_roles,
    role_of,
)
from codec_evolution.record import Attempt


def attempt(status: str, role: str = "", **more) -> Attempt:
    known = {"lineage": "main", "attempt_id": "a", "status": status, "role": role, "source_sha256": "s"}
    return Attempt.from_item(known | more)


def draws(recent, cycles: int = 400, slot: int = 0, roles=ROLES) -> Counter:
    return Counter(
        role_of(draw_roles(roles, recent, cycle_id=f"cycle {number}", seed=1), slot)
        for number in range(cycles)
    )


def test_a_role_is_open_only_where_there_is_something_to_work_on():
    assert open_roles([], 3, 0) == (IMPROVE, TUNE, STRUCTURE)
    failed = attempt("test_failed", parent_version=3)
    assert open_roles([failed], 3, 0) == (IMPROVE, TUNE, STRUCTURE, REPAIR)
    assert open_roles([failed], 4, 1) == (IMPROVE, TUNE, COMBINE, STRUCTURE)


def test_the_slots_of_a_cycle_take_different_roles_as_far_as_there_are_any():
    for cycle in range(20):
        slots = [role_of(draw_roles(ROLES, [], cycle_id=str(cycle), seed=0), slot) for slot in range(7)]
        assert set(slots[:5]) == set(ROLES)
        assert slots[5:] == slots[:2]


def test_the_same_slot_draws_the_same_role():
    assert draws([]) == draws([])


def test_without_any_history_no_role_is_preferred():
    assert all(count > 40 for count in draws([]).values())


def test_what_has_paid_is_drawn_more_often_and_nothing_is_left_out():
    paid = [attempt("adopted", TUNE, bd_rate_vs_incumbent=-14.0, llm_cost_usd=0.5) for _ in range(8)]
    lost = [attempt("rejected", role, bd_rate_vs_incumbent=5.0, llm_cost_usd=1.5) for role in ROLES * 4]
    drawn = draws([*paid, *lost])
    assert drawn[TUNE] > 250
    assert all(drawn[role] > 0 for role in ROLES)
