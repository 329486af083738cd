"""The key: what a secret may hold, and what becomes of an attempt without a usable one."""

import pytest
from codec_evolution import artifacts
from codec_evolution.planners.base import NoProposal
from codec_evolution.planners.claude.building import api_key, read_key
from codec_evolution.planners.wiring import build_planner

from tests.unit.planners.claude.conftest import ATTEMPT, LINEAGE
from tests.unit.planners.claude.test_rounds import submits


@pytest.mark.parametrize(
    "secret", ["", "not json", "[]", '{"token": "local"}', '{"api_key": ""}', '{"api_key": null}']
)
def test_a_secret_without_a_key_is_no_credential(secret):
    assert api_key(secret) == ""
    assert api_key('{"api_key": " sk-ant-1 "}') == "sk-ant-1"


@pytest.mark.parametrize(
    ("secret", "word"),
    [
        ('{"token": "local"}', "no_credential"),
        ('{"api_key": "sk-ant-1\\nsk-ant-2"}', "wrong_key"),
        ('{"api_key": "sk-ant-\u2026"}', "wrong_key"),
    ],
)
def test_without_a_usable_credential_the_attempt_is_skipped_by_that_name(harness, secret, word):
    connections = harness().connections(
        {"PLANNER_PROVIDER": "anthropic", "ANTHROPIC_SECRET_ARN": "arn"},
        read_secret={"arn": secret}.__getitem__,
        language_model=lambda key: pytest.fail("no connection without a key"),
    )
    chosen = build_planner("claude", connections)
    assert isinstance(chosen, NoProposal)
    assert (chosen.reason.partition(":")[0], chosen.planner) == (word, "claude")


def test_a_provider_that_needs_no_key_reads_no_secret():
    assert read_key({"PLANNER_PROVIDER": "bedrock"}, lambda arn: pytest.fail("no secret is needed")) == ""


def without_a_key(run):
    """Return the run with a planner that has no key (any more)."""
    run.planner = lambda: NoProposal("no_credential: there is no key", "claude")
    return run


def usage(run) -> dict:
    return run.objects.get_json(artifacts.model_usage(LINEAGE, ATTEMPT))


def test_an_attempt_without_a_key_names_the_planner_that_it_lacked(harness):
    run = without_a_key(harness())
    assert run.plan().reason.startswith("no_credential")
    assert usage(run) == {"planner": "claude"}


def test_a_key_that_goes_away_between_two_rounds_hides_no_dollars(harness):
    run = harness(submits())
    run.plan()
    spent = usage(run)["llm_cost_usd"]
    assert spent > 0
    assert without_a_key(run).plan(1, {"outcome": "passed", "failure": None}).next == "nothing"
    assert usage(run)["llm_cost_usd"] == spent
