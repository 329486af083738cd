"""The key: what a secret may hold, and what becomes of an attempt without a usable one."""

import importlib.util

import pytest
from codec_evolution import artifacts
from codec_evolution.planners.base import Nothing

from tests.unit.planners.claude.conftest import ATTEMPT, LINEAGE, ROOT
from tests.unit.planners.claude.test_rounds import submits


@pytest.mark.parametrize(
    "secret", ["", "not json", "[]", '{"token": "local"}', '{"api_key": ""}', '{"api_key": null}']
)
def test_a_secret_without_a_key_is_no_credential(secret):
    assert handler().api_key(secret) == ""
    assert handler().api_key('{"api_key": " sk-ant-1 "}') == "sk-ant-1"


def handler():
    """Return the module of the Plan function."""
    path = ROOT / "functions" / "plan" / "handler.py"
    spec = importlib.util.spec_from_file_location("plan_handler", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("secret", "word"),
    [
        ('{"token": "local"}', "no_credential"),
        ('{"api_key": "sk-ant-1\\nsk-ant-2"}', "wrong_key"),
        ('{"api_key": "sk-ant-\u2026"}', "wrong_key"),
    ],
)
def test_without_a_usable_credential_the_attempt_is_skipped_by_that_name(office, monkeypatch, secret, word):
    desk = office()
    plan = handler()
    monkeypatch.setattr(plan, "read_secret", lambda arn: secret)
    settings = {"PLANNER": "claude", "PLANNER_PROVIDER": "anthropic", "ANTHROPIC_SECRET_ARN": "arn"}
    stores = (desk.record, desk.control, desk.objects, desk.modifications)
    chosen = plan.choose_planner(settings, *stores, lambda: 0.0, LINEAGE)
    assert chosen.reason.partition(":")[0] == word


def without_a_key(desk):
    """Return the office with a planner that has no key (any more)."""
    desk.planner = lambda: Nothing("no_credential: there is no key", "claude")
    return desk


def usage(desk) -> dict:
    return desk.objects.get_json(artifacts.model_usage(LINEAGE, ATTEMPT))


def test_an_attempt_without_a_key_names_the_planner_that_it_lacked(office):
    desk = without_a_key(office())
    assert desk.plan().reason.startswith("no_credential")
    assert usage(desk) == {"planner": "claude"}


def test_a_key_that_goes_away_between_two_rounds_hides_no_dollars(office):
    desk = office(submits())
    desk.plan()
    spent = usage(desk)["llm_cost_usd"]
    assert spent > 0
    assert without_a_key(desk).plan(1, {"outcome": "passed", "failure": None}).next == "nothing"
    assert usage(desk)["llm_cost_usd"] == spent
