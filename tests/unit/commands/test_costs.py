"""`cost` and `estimate`: every line with the price it used, nothing above the budget."""

import json
import subprocess
import sys

import pytest
from codec_evolution.pricing import load_prices

from infra.commands import aws_usage
from infra.commands.costs import cost_of, cost_row
from infra.commands.estimates import Assumptions, assumptions_of, estimate
from infra.errors import UserError
from infra.settings import Settings


def attempt(number: int, **fields) -> dict:
    return {
        "attempt_id": f"2026-11-21T10:{number:02d}:00.000Z#00",
        "cycle_id": f"2026-11-21T10:{number:02d}:00.000Z",
        "status": "rejected",
        "model": "claude-opus-5-5",
        "llm_calls": 2,
        "tokens_in": 5_000,
        "tokens_cache_read": 5_000,
        "tokens_out": 4_000,
        "llm_cost_usd": 0.1,
        "plan_s": 60.0,
        "measure_s": 20.0,
        "compute_cost_usd": 0.002,
        **fields,
    }


def test_cost_is_summed_by_call_attempt_cycle_model_and_adoption():
    attempts = [
        attempt(1),
        attempt(2, status="adopted", adopted_version=1, confirm_s=10.0),
        attempt(3, model="", llm_calls=0, llm_cost_usd=0.0),
    ]
    found = cost_of("main", attempts, load_prices())
    assert (found["llm_cost_usd"], found["calls"], found["usd_a_call"]) == (0.2, 4, 0.05)
    assert found["models"] == {"claude-opus-5-5": 0.2}
    assert [cycle["llm_cost_usd"] for cycle in found["cycles"]] == [0.1, 0.1, 0.0]
    assert found["compute_cost_usd"] == pytest.approx(0.006)
    assert found["usd_an_adoption"] == pytest.approx(0.206)


def test_the_benchmarks_seconds_are_those_of_all_its_invocations():
    assert cost_row(attempt(1, benchmark_s=70.5))["benchmark_s"] == 70.5
    assert cost_row(attempt(1, confirm_s=10.0))["benchmark_s"] == 30.0, "of a record from before"


def test_nothing_is_divided_by_nothing():
    found = cost_of("main", [], load_prices())
    assert (found["usd_a_call"], found["usd_an_attempt"], found["usd_an_adoption"]) == (None, None, None)


def test_an_estimate_has_a_line_for_each_service_with_its_price():
    found = estimate(Settings(), 30, 1440, Assumptions())
    items = " ".join(line["item"] for line in found["lines"])
    for service in (
        *("language model", "Lambda", "Step Functions", "DynamoDB", "S3", "EC2", "endpoints"),
        *("ECR", "CloudWatch, metrics", "CloudWatch, alarms", "CloudWatch, logs"),
    ):
        assert service in items
    for line in found["lines"]:
        assert line["usd"] == pytest.approx(line["quantity"] * line["price_usd"], abs=0.006)
    assert found["total_usd"] == pytest.approx(sum(line["usd"] for line in found["lines"]), abs=0.1)
    assert found["prices_as_of"] == load_prices().as_of


def test_an_estimate_says_what_is_paid_while_nothing_is_evolved():
    found = estimate(Settings(), 30, 1440, Assumptions())
    assert 10 < found["paused_usd"] < found["idle_usd"] < found["total_usd"]
    # A refused tick takes four transitions: 43,200 ticks of a month are 172,800, at 0.025 dollars a thousand.
    assert found["idle_usd"] - found["paused_usd"] > 4.32


def test_each_line_says_what_it_costs_paused_idle_and_running_and_where_its_price_is_from():
    found = estimate(Settings(), 30, 1440, Assumptions())
    for bill, total in (("paused_usd", "paused_usd"), ("idle_usd", "idle_usd"), ("usd", "total_usd")):
        assert found[total] == pytest.approx(sum(line[bill] for line in found["lines"]), abs=0.1)
    by_item = {line["item"]: line for line in found["lines"]}
    assert by_item["Step Functions"]["paused_usd"] == 0.0 < by_item["Step Functions"]["idle_usd"]
    disk = by_item["EBS, framework host"]
    assert disk["paused_usd"] == disk["idle_usd"] == disk["usd"] > 0
    assert all(line["source"].startswith("https://") and line["as_of"] for line in found["lines"])


def test_the_planner_never_costs_more_than_its_daily_budget():
    found = estimate(Settings(daily_budget_usd=5.0), 30, 1440, Assumptions())
    spent = sum(line["usd"] for line in found["lines"] if line["item"].startswith("language model"))
    assert 100.0 < spent <= 150.0
    assert found["attempts_a_day"] < 1440
    free = estimate(Settings(planner="search"), 30, 1440, Assumptions())
    assert free["attempts_a_day"] == 1440
    assert not any("language model" in line["item"] for line in free["lines"])


def test_an_estimate_can_be_checked_by_hand():
    each = Assumptions(calls=2, tokens_in=50_000, cached=0.8, tokens_out=20_000)
    found = estimate(Settings(daily_budget_usd=1_000), 30, 10, each)
    lines = {line["item"].removeprefix("language model "): line for line in found["lines"]}
    by_hand = {
        # 10 attempts a day for 30 days are 300: 3 million tokens written to the cache, 12 read from it, 6 written out.
        "claude-opus-5-5, input": (3.0, 5.00, 15.00),
        "claude-opus-5-5, input from the cache": (12.0, 0.20, 2.40),
        "claude-opus-5-5, output": (6.0, 20.00, 120.00),
    }
    for item, (quantity, price, usd) in by_hand.items():
        line = lines[item]
        assert (line["quantity"], line["price_usd"]) == (pytest.approx(quantity), price), item
        assert line["usd"] == pytest.approx(usd, abs=0.005)
    bedrock = estimate(Settings(planner_provider="bedrock", daily_budget_usd=1_000), 30, 10, each)
    assert bedrock["lines"][2]["usd"] == pytest.approx(132.0)


def test_islands_share_the_budget_and_pay_for_their_own_ticks_alarms_and_dashboards():
    one, three = (estimate(Settings(islands=each), 30, 1440, Assumptions()) for each in (1, 3))
    assert three["attempts_a_day"] == one["attempts_a_day"], "the day's dollars are those of all islands"
    quantity = {line["item"]: line["quantity"] for line in one["lines"]}
    for line in three["lines"]:
        if line["item"] in ("CloudWatch, dashboard", "CloudWatch, metrics", "X-Ray, traces"):
            assert line["quantity"] == pytest.approx(3 * quantity[line["item"]]), line["item"]
    ticks = 0.025 * 2 * 43_200 * aws_usage.STATES_A_REFUSED_TICK / 1000
    assert three["idle_usd"] - three["paused_usd"] > one["idle_usd"] - one["paused_usd"] + ticks
    assert three["paused_usd"] > one["paused_usd"]
    free = estimate(
        Settings(planner="search", islands=3, max_attempts_per_day=10_000), 30, 1440, Assumptions()
    )
    assert free["attempts_a_day"] == 3 * 1440


def test_slots_beyond_forty_pay_for_the_start_of_their_executions():
    def transitions(slots: int, cycles: int) -> float:
        settings = Settings(planner="search", slots=slots, max_attempts_per_day=10_000)
        lines = estimate(settings, 30, cycles, Assumptions())["lines"]
        return next(line["quantity"] for line in lines if line["item"] == "Step Functions")

    # 40 cycles of 80 slots and 80 cycles of 40 are 3,200 attempts; the former open 40 cycles a day less.
    saved = 40 * 30 * aws_usage.STATES_A_CYCLE / 1000
    children = 3_200 * 30 * aws_usage.STATES_A_CHILD / 1000
    assert transitions(80, 40) == pytest.approx(transitions(40, 80) - saved + children)


def test_an_ensemble_is_estimated_by_the_weights_of_its_models():
    settings = Settings(planner_models="claude-opus-5-5=3,claude-sonnet-5-5=1", daily_budget_usd=1_000)
    found = estimate(settings, 30, 10, Assumptions(tokens_out=20_000))
    output = {line["item"]: line for line in found["lines"] if line["item"].endswith("output")}
    opus, sonnet = output.values()
    assert (opus["quantity"], sonnet["quantity"]) == (pytest.approx(4.5), pytest.approx(1.5))
    assert (opus["price_usd"], sonnet["price_usd"]) == (20.0, 10.0)


def test_attempts_that_used_no_token_do_not_divide_the_budget_by_nothing():
    assert estimate(Settings(), 30, 10, Assumptions(tokens_in=0, tokens_out=0))["attempts_a_day"] == 10


def test_measured_attempts_replace_assumptions():
    rows = cost_of("main", [attempt(1), attempt(2, tokens_out=6_000)], load_prices())["attempts"]
    each = assumptions_of(rows)
    assert (each.measured, each.tokens_out, each.cached, each.benchmark_s) == (2, 5_000, 0.5, 20.0)
    assert assumptions_of([]) == Assumptions()


def test_a_model_without_a_price_cannot_be_estimated():
    with pytest.raises(UserError, match="claude-next has no price"):
        estimate(Settings(planner_models="claude-next"), 30, 1440, Assumptions())


@pytest.mark.slow
def test_a_model_without_a_price_is_refused_before_anything_is_deployed_or_measured(tmp_path):
    done = cli("run", "--planner", "claude", "--model", "claude-next", "--state-dir", str(tmp_path / "state"))
    assert done.returncode == 2 and "claude-next has no price" in done.stderr
    assert not (tmp_path / "state").exists()
    Settings(planner="search", planner_models="claude-next").check_prices()


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.cli", *arguments], capture_output=True, text=True, timeout=60
    )


@pytest.mark.slow
def test_the_command_prints_one_json_document(tmp_path):
    done = cli("estimate", "--days", "30", "--json", "--state-dir", str(tmp_path))
    assert json.loads(done.stdout)["days"] == 30 and done.returncode == 0


@pytest.mark.slow
def test_a_model_that_is_none_is_a_usage_error(tmp_path):
    done = cli("estimate", "--model", "Claude Opus", "--state-dir", str(tmp_path))
    assert done.returncode == 2 and "planner_models" in done.stderr
    done = cli("cost", "--state-dir", str(tmp_path))
    assert done.returncode == 2 and "there is no evolution" in done.stderr


def test_an_idle_deployment_costs_less_than_half_of_what_a_standing_host_made_it_cost():
    """26 dollars a month were paid while paused when the host ran all the time with detailed monitoring."""
    found = estimate(Settings(), 30, 1440, Assumptions())
    assert 0 < found["paused_usd"] < 26 / 2
    hours = {line["item"]: line["quantity"] for line in found["lines"]}["EC2, framework host"]
    assert 0 < hours < 3 * 30, "a running loop wakes the host a few times a day"


def test_a_host_that_always_runs_is_paid_for_all_day_whatever_the_loop_does():
    found = estimate(Settings(framework_host="always"), 30, 1440, Assumptions())
    hours = {line["item"]: line["quantity"] for line in found["lines"]}["EC2, framework host"]
    assert hours == 720
    on_demand = estimate(Settings(), 30, 1440, Assumptions())
    standing = 720 * (load_prices().aws["ec2_t4g_small_hour"] + load_prices().aws["public_ipv4_hour"])
    assert found["paused_usd"] - on_demand["paused_usd"] == pytest.approx(standing, abs=0.02)


def test_nobody_wakes_the_host_where_there_are_no_tools():
    found = estimate(Settings(framework_tools="off"), 30, 1440, Assumptions())
    assert {line["item"]: line["quantity"] for line in found["lines"]}["EC2, framework host"] == 0


def test_audits_of_adopted_versions_are_estimated_and_can_be_checked_by_hand():
    off, on = (
        estimate(Settings(planner="search", audit=each), 30, 1440, Assumptions()) for each in ("off", "on")
    )
    benchmark = {
        name: next(
            line["quantity"] for line in found["lines"] if line["item"].startswith("Lambda, benchmark")
        )
        for name, found in (("off", off), ("on", on))
    }
    # Four adoptions on each of 30 days, with three segments of 300 s in 3,538 MiB.
    assert benchmark["on"] - benchmark["off"] == pytest.approx(4 * 30 * 3 * 300 * 3538 / 1024, rel=1e-3)
    assert (on["paused_usd"], on["idle_usd"]) == (off["paused_usd"], off["idle_usd"])


def test_what_an_audit_cost_is_told_apart_and_belongs_to_the_price_of_an_adoption():
    attempts = [
        {
            "attempt_id": "a",
            "status": "adopted",
            "adopted_version": 1,
            "compute_cost_usd": 0.2,
            "audit_cost_usd": 0.1,
        }
    ]
    found = cost_of("main", attempts, load_prices())
    assert (found["compute_cost_usd"], found["audit_cost_usd"], found["usd_an_adoption"]) == (0.2, 0.1, 0.3)
