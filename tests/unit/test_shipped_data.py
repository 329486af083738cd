"""The data that a release is made of, as it lies here: the host runs this before it accepts a change of it."""

import json
from pathlib import Path

import pytest
from codec_evolution.repair.release_checks import check_prompts, stored_readings
from codec_sandbox.policy import Policy, ceiling_text

ROOT = Path(__file__).resolve().parents[2]
POLICY = ROOT / "layers/common/python/codec_evolution/data/language_policy.toml"
ATTEMPTS = ROOT / "tests/golden/attempts.json"
"""Records and reports of a run of the offline search."""
PROMPTS = sorted((ROOT / "prompts").glob("*.md"))


def test_the_policy_lies_below_its_ceiling_and_lets_a_codec_be_written():
    policy = Policy.from_toml(POLICY.read_text("utf-8"), ceiling_text())
    assert {"len", "range", "int", "bytes"} <= policy.builtins
    assert "numpy" in policy.modules


@pytest.mark.parametrize("path", PROMPTS, ids=lambda path: path.name)
def test_a_prompt_is_text_with_balanced_template_marks(path):
    text = path.read_text("utf-8")
    assert text.strip()
    for opening, closing in (("{{", "}}"), ("{%", "%}"), ("{#", "#}")):
        assert text.count(opening) == text.count(closing), f"{path.name}: {opening} without {closing}"


@pytest.mark.slow
def test_every_prompt_renders_with_all_that_it_may_be_given_with_nothing_and_with_real_attempts():
    check_prompts(
        {f"prompts/{path.name}": path.read_text("utf-8") for path in PROMPTS},
        POLICY.read_text("utf-8"),
        stored_readings(json.loads(ATTEMPTS.read_text("utf-8"))),
    )
