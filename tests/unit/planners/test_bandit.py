"""The bandit over roles and models: what has gained more for a dollar is drawn more often, nothing is left out."""

from collections import Counter

import pytest
from codec_evolution.planners.bandit import (
    FLOOR,
    HIGHEST_FLOOR,
    STALLED,
    draw_order,
    floor_of,
    improvement,
    payoffs,
)
from codec_evolution.planners.claude.settings import ClaudeSettings
from codec_evolution.planners.prompts import Limits
from codec_evolution.record import Attempt

GOOD, BAD = "claude-opus-5-5", "claude-sonnet-5-5"


def attempt(status: str = "rejected", rate: float | None = 4.0, model: str = "", **more) -> Attempt:
    known = {"lineage": "main", "attempt_id": "a", "status": status, "model": model}
    return Attempt.from_item(known | {"bd_rate_vs_incumbent": rate, "llm_cost_usd": 1.0} | more)


def settings(*, fixed: bool) -> ClaudeSettings:
    return ClaudeSettings(
        ((GOOD, 1.0), (BAD, 1.0)), "high", 32_000, 20.0, Limits(30, 240, 2048), seed=3, fixed=fixed
    )


def drawn(recent, *, fixed: bool = False, count: int = 300) -> Counter:
    return Counter(settings(fixed=fixed).draw(f"a{number}", recent=recent) for number in range(count))


PAID = [attempt("adopted", -14.0, GOOD) for _ in range(6)] + [attempt(model=BAD) for _ in range(6)]


def test_improvement_is_counted_for_a_dollar_by_any_name():
    history = [
        attempt("adopted", -20.0, GOOD, compute_cost_usd=0.5),
        attempt("rejected", -4.0, GOOD, llm_cost_usd=0.5),
        attempt("rejected", 4.0, BAD, llm_cost_usd=None),
        attempt("skipped", None, BAD, llm_cost_usd=9.0),
        attempt("adopted", -20.0),
    ]
    found = payoffs(history, lambda each: each.model)
    assert found[GOOD] == pytest.approx((2.0 + 0.25 * 0.4, 2.0))
    assert found[BAD] == pytest.approx((0.0, 0.01)), "a free attempt divides by something"
    assert set(found) == {GOOD, BAD}


def test_a_model_that_has_gained_more_for_a_dollar_is_drawn_more_often_and_each_has_a_floor():
    counts = drawn(PAID)
    assert counts[GOOD] > 220
    assert counts[BAD] > 300 * FLOOR / 2 * 0.6


def test_a_dear_model_must_gain_more():
    dear = [attempt("adopted", -14.0, GOOD, llm_cost_usd=9.0)] * 4
    cheap = [attempt("adopted", -14.0, BAD, llm_cost_usd=0.5)] * 4
    counts = drawn([*dear, *cheap])
    assert counts[BAD] > counts[GOOD]


def test_fixed_weights_do_not_look_at_the_history():
    assert drawn(PAID, fixed=True) == drawn([], fixed=True)
    assert 100 < drawn([], fixed=True)[GOOD] < 200


def test_a_draw_can_be_repeated_and_says_how_it_came_about():
    first = settings(fixed=False).draw_models("a1", recent=PAID)
    assert settings(fixed=False).draw_models("a1", recent=PAID) == first
    texts = {str(settings(fixed=False).draw_models(f"a{n}", recent=PAID)) for n in range(40)}
    assert "at random" in texts
    assert any(text.startswith(f"{GOOD} ") and BAD in text for text in texts)
    assert str(settings(fixed=True).draw_models("a1")) in (f"{GOOD} 1, {BAD} 1", f"{BAD} 1, {GOOD} 1")


def test_a_model_that_declined_is_not_drawn_again():
    for fixed in (True, False):
        assert settings(fixed=fixed).draw("a1", (GOOD,)) == BAD
        assert settings(fixed=fixed).draw("a1", (GOOD, BAD)) == ""


def test_the_signal_of_improvement_fades_with_every_attempt_that_gains_nothing():
    adopted, lost = attempt("adopted", -12.0), attempt()
    assert improvement([lost] * 4) is None
    signals = [improvement([*[lost] * age, adopted, *[lost] * 20]) or 0.0 for age in range(9)]
    assert signals == sorted(signals, reverse=True)
    assert signals[0] > 2 * STALLED and signals[-1] < STALLED
    assert (improvement([attempt("rejected", -9.0)] * 30) or 0.0) > STALLED, "near misses are improvement too"
    assert improvement([attempt("skipped", None)] * 30) is None


def test_the_less_improves_the_more_draws_explore():
    adopted, lost = attempt("adopted", -12.0), attempt()
    assert floor_of([]) == floor_of([adopted] * 6) == FLOOR
    assert floor_of([lost] * 10) == HIGHEST_FLOOR
    between = floor_of([*[lost] * 8, adopted, *[lost] * 9])
    assert FLOOR < between < HIGHEST_FLOOR
    assert draw_order(["a", "b"], {}, "seed", 1.0).values == {}
