"""The setting of the models: one name, or several with weights."""

import pytest
from codec_evolution.planners.claude.settings import ModelsError, parse_models


def test_one_model_needs_no_weight():
    assert parse_models("claude-opus-5-5") == (("claude-opus-5-5", 1.0),)


def test_an_ensemble_has_weights():
    assert parse_models("claude-opus-5-5=3, claude-sonnet-5-5=1.5") == (
        ("claude-opus-5-5", 3.0),
        ("claude-sonnet-5-5", 1.5),
    )


@pytest.mark.parametrize("text", ["", "a=0", "a=-1", "a=much", "=2", "a,,b"])
def test_a_setting_that_cannot_be_read_names_its_part(text):
    with pytest.raises(ModelsError, match="models:"):
        parse_models(text)
