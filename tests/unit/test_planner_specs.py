"""The table of planners: whatever is offered, labelled or estimated by name can also be built."""

from typing import get_args

import pytest
from codec_evolution.planner_specs import PLANNERS, SEARCH_TRIALS, PlannerName, author_label
from codec_evolution.planners.connections import Connections
from codec_evolution.planners.search import SearchPlanner
from codec_evolution.planners.wiring import BUILDERS, build_planner
from codec_evolution.pricing import load_prices

from infra.errors import UserError
from infra.settings import Settings
from tests.support.memory_bucket import MemoryBucket


def test_every_planner_that_the_settings_offer_has_a_builder():
    assert set(BUILDERS) == set(PLANNERS) == set(get_args(PlannerName))
    for name in PLANNERS:
        assert Settings(planner=name).planner == name
    with pytest.raises(UserError, match="planner must be one of claude, search, not 'guess'"):
        Settings(planner="guess")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("search", "Search"),
        ("claude", "LLM"),
        ("baseline", "Baseline"),
        ("operator", "Operator"),
        ("", "LLM"),
        ("of a later version", "LLM"),
    ],
)
def test_authors_have_labels_and_an_unknown_one_counts_as_a_language_model(name, label):
    assert author_label(name) == label


def test_a_search_costs_nothing_and_claude_the_first_call_of_its_cheapest_model():
    setting = ("claude-opus-5-5=3,claude-sonnet-5-5=1", "anthropic", 32_000)
    assert PLANNERS["search"].least_attempt_usd(*setting) == 0.0
    price = load_prices().model("claude-sonnet-5-5")
    assert PLANNERS["claude"].least_attempt_usd(*setting) == price.worst_case(30_000, 32_000)


def test_a_model_without_a_price_opens_the_cycle_because_plan_records_the_reason():
    assert PLANNERS["claude"].least_attempt_usd("claude-next", "anthropic", 32_000) == 0.0


@pytest.mark.parametrize(("effort", "trials"), SEARCH_TRIALS.items())
def test_the_search_tries_as_many_drafts_as_its_effort_says_and_needs_no_credential(effort, trials):
    def nothing(*_: object) -> object:
        raise AssertionError("the search asks for nothing but the bucket")

    bucket = MemoryBucket()
    settings = {"SEARCH_EFFORT": effort, "BENCHMARK_CPU_S": "240"}
    planner = build_planner("search", Connections(settings, *[nothing] * 2, bucket, *[nothing] * 6))
    assert isinstance(planner, SearchPlanner)
    assert (planner.objects, planner.trials, planner.benchmark_cpu_s) == (bucket, trials, 240.0)
    assert planner.trains is (trials > 0)
