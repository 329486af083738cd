"""Claude by Bedrock: inference with the function's own role, and no key at all."""

import json
from pathlib import Path

import pytest

from infra.errors import UserError
from infra.settings import Settings
from tests.support.assemblies import OTHER_SERVICES


@pytest.fixture(scope="module")
def actions(synthesised) -> set[str]:
    """Return what the Plan function may do when the provider is Bedrock."""
    folder: Path = synthesised(OTHER_SERVICES)
    resources = json.loads((folder / "CodecEvolutionApp.template.json").read_text())["Resources"]
    policy = next(
        each for name, each in resources.items() if name.startswith("FunctionsPlanRoleDefaultPolicy")
    )
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    found = [each["Action"] for each in statements if each["Effect"] == "Allow"]
    return {action for each in found for action in ([each] if isinstance(each, str) else each)}


def test_bedrock_is_called_with_the_functions_own_role_and_no_secret_is_read(actions):
    # The budget counts the tokens of every call before it is sent.
    assert {"bedrock-mantle:CreateInference", "bedrock-mantle:CountTokens"} <= set(actions)
    assert not any(action.startswith("secretsmanager:") for action in actions)


def test_without_bedrock_there_is_no_permission_for_it(app_resources):
    assert "bedrock" not in json.dumps(app_resources)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("planner_provider", "azure"),
        ("planner_effort", "extreme"),
        ("planner_models", "claude opus"),
        ("planner_models", "a=1,b=x"),
        ("planner_max_tokens", 100),
        ("planner_base_url", "ftp://x"),
    ],
)
def test_a_bad_setting_of_the_planner_is_named(name, value):
    with pytest.raises(UserError, match=name):
        Settings(**{name: value})


@pytest.mark.parametrize(
    "value", ["claude-opus-5-5", "claude-opus-5-5=3,claude-sonnet-5-5=1.5", "us.anthropic.x-1:0"]
)
def test_models_are_one_name_or_several_with_weights(value):
    assert Settings(planner_models=value).planner_models == value
