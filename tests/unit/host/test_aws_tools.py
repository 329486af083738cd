"""Changes of the deployed system: the host judges them by the guard's tables, and changes nothing itself."""

from __future__ import annotations

from typing import Any

import pytest
from codec_evolution.host.guard import Guard, GuardError
from codec_evolution.loop.metrics import LINEAGE, METRICS

from tests.unit.host.conftest import GUARD, SEARCH

RULES = Guard.load(GUARD).aws
ALARM = {
    "name": "ManyTimeouts",
    "metric": "Failures",
    "dimension": "timeout",
    "statistic": "Sum",
    "comparison": "at_least",
    "threshold": 5,
    "period_minutes": 60,
    "periods": 2,
}
SETTING = {"key": "function.Plan.memory_mb", "value": 2048}
CODE = {"function_name": "Plan"}
CALLS = {"create_alarm": ALARM, "modify_aws_config": SETTING, "deploy_lambda_function": CODE}


def approval_of(asked: dict[str, Any]) -> dict[str, str]:
    return {name: asked[name] for name in ("arguments_sha256", "file_sha256")}


@pytest.mark.parametrize("tool", CALLS)
def test_a_person_must_approve_a_change_of_the_deployed_system(host, tool):
    before = host.fingerprint()
    asked = host.call(tool, CALLS[tool])
    assert (asked["status"], asked["rule"]) == ("needs_approval", "aws-change"), asked
    done = host.call(tool, CALLS[tool], approval=approval_of(asked))
    assert (done["status"], done["changed"]) == ("applied", [])
    assert done["aws"] == asked["aws"]
    assert host.fingerprint() == before


@pytest.mark.parametrize("tool", CALLS)
def test_with_autonomy_for_code_a_setting_still_needs_a_person(host, tool):
    host.settings["autonomy"] = "code"
    expected = "needs_approval" if tool == "modify_aws_config" else "applied"
    assert host.call(tool, CALLS[tool])["status"] == expected
    host.settings["tools"] = "approve_all"
    assert host.call(tool, CALLS[tool])["status"] == "needs_approval"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"name": "a b"}, "alarm-name"),
        ({"name": "x" * 41}, "alarm-name"),
        ({"name": 7}, "alarm-name"),
        ({"metric": "AWS/Billing"}, "alarm-metric"),
        ({"metric": ["Failures"]}, "alarm-metric"),
        ({"dimension": ""}, "alarm-dimension"),
        ({"dimension": "a b"}, "alarm-dimension"),
        ({"metric": "LlmCost"}, "alarm-dimension"),
        ({"statistic": "p99"}, "alarm-statistic"),
        ({"comparison": "above"}, "alarm-comparison"),
        ({"threshold": "5"}, "alarm-threshold"),
        ({"threshold": True}, "alarm-threshold"),
        ({"threshold": 1e10}, "alarm-threshold"),
        ({"period_minutes": 7}, "alarm-period"),
        ({"periods": 25}, "alarm-period"),
        ({"periods": 0}, "alarm-period"),
        ({"topic": "arn:aws:sns:eu-central-1:111122223333:mine"}, "argument-names"),
    ],
)
def test_an_alarm_outside_the_rules_is_refused_by_name(host, change, rule):
    answer = host.call("create_alarm", ALARM | change)
    assert answer["rule"] == rule
    assert "aws" not in answer


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("function.Plan.memory_mb", 4096, "config-bounds"),
        ("function.Plan.memory_mb", 64, "config-bounds"),
        ("function.Plan.memory_mb", "1024", "config-bounds"),
        ("function.Plan.memory_mb", True, "config-bounds"),
        ("function.Plan.log_retention_days", 31, "config-bounds"),
        ("schedule.rate_minutes", 0, "config-bounds"),
        ("function.Conclude.memory_mb", 1024, "config-never"),
        ("function.FrameworkTool.timeout_s", 300, "config-never"),
        ("function.Plan.role", 1, "config-never"),
        ("daily_budget_usd", 1000, "config-never"),
        ("alarm.Budget100.threshold", 1000, "config-never"),
        (["function.Plan.memory_mb"], 1024, "config-never"),
    ],
)
def test_a_setting_outside_the_table_or_its_bounds_is_refused_by_name(host, key, value, rule):
    answer = host.call("modify_aws_config", {"key": key, "value": value})
    assert (answer["status"], answer["rule"]) == ("denied", rule)


@pytest.mark.parametrize("name", ["FrameworkTool", "Conclude", "plan", "", None])
def test_a_function_that_runs_no_amendable_code_is_never_deployed(host, name):
    answer = host.call("deploy_lambda_function", {"function_name": name})
    assert (answer["status"], answer["rule"]) == ("denied", "function-never")


def test_code_that_changed_since_the_approval_is_not_deployed(host):
    asked = host.call("deploy_lambda_function", CODE)
    assert list(asked["aws"]["code_sha256"]) == [SEARCH]
    (host.checkout / SEARCH).write_text("NAME = 'other'\n")
    answer = host.call("deploy_lambda_function", CODE, approval=approval_of(asked))
    assert (answer["status"], answer["rule"]) == ("denied", "approval-file-changed")


def test_nothing_is_deployed_from_a_checkout_whose_guarded_files_differ(host):
    (host.checkout / "infra/app.py").write_text("APP = 2\n")
    assert host.call("deploy_lambda_function", CODE)["rule"] == "never-changed"


def test_the_metrics_of_the_guard_are_those_of_the_loop_by_lineage():
    by_lineage = {each.name: each.dimensions for each in METRICS if each.dimensions[0] == LINEAGE}
    assert {name: (LINEAGE, *([rest] if rest else [])) for name, rest in RULES.metrics.items()} == by_lineage


@pytest.mark.slow
def test_the_tables_of_the_guard_are_the_rights_of_the_function_that_makes_the_changes():
    # Late, here and below: the CDK starts a process of Node.js.
    from infra.capabilities.aws_tools import ADJUSTABLE_ALARMS, CONFIGURABLE
    from infra.capabilities.functions import AMENDABLE

    kinds = [key.split(".") for key in RULES.config]
    assert {rest[0] for kind, *rest in kinds if kind == "function"} == set(CONFIGURABLE)
    assert {rest[0] for kind, *rest in kinds if kind == "alarm"} == set(ADJUSTABLE_ALARMS)
    assert RULES.deployable == frozenset(AMENDABLE)


@pytest.mark.slow
def test_every_deployed_size_is_within_its_bounds_and_no_timeout_may_grow():
    from infra.capabilities.aws_tools import CONFIGURABLE
    from infra.capabilities.functions import SIZES

    for name in CONFIGURABLE:
        assert RULES.config[f"function.{name}.memory_mb"].allow(SIZES[name].memory_mb)
        assert RULES.config[f"function.{name}.timeout_s"].most == SIZES[name].timeout_s


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"most_alarms": 1, "deployable": [], "metrics": {}, "config": {"a.b": {"least": 1}}},
        {"most_alarms": 1, "deployable": [], "metrics": {}, "config": {"a.b": {"values": []}}},
        {"most_alarms": "many", "deployable": [], "metrics": {}, "config": {}},
    ],
)
def test_damaged_rules_are_a_damaged_guard(host, entry):
    host.guard_changes["aws"] = entry
    with pytest.raises(GuardError, match="aws: "):
        host.call("create_alarm", ALARM)
