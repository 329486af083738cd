"""The key: what a secret may hold, and what becomes of an attempt without a usable one."""

import importlib.util

import pytest

from tests.unit.planner.conftest import LINEAGE, ROOT


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
