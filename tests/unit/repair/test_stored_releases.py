"""Releases outlive the code that published them: a lineage goes on with the prompts that it was begun with."""

from importlib import resources
from pathlib import Path

import pytest
from codec_evolution.planners.prompts import Prompts, shipped_templates
from codec_evolution.repair import release_checks

ROOT = Path(__file__).resolve().parents[3]
FIRST = Path(__file__).with_name("first_release")
"""The prompts as the first version published them into every lineage; do not edit them."""


@pytest.mark.slow
def test_a_release_whose_prompts_call_methods_gives_way_to_the_shipped_prompts_and_says_why():
    first = {path.stem: path.read_text("utf-8") for path in FIRST.glob("*.jinja")}
    assert set(first) == {"cycle", "governance", "notices", "system"}
    reasons: list[str] = []
    prompts = Prompts(first, shipped_templates(ROOT / "prompts"), reasons.append)
    policy = (resources.files("codec_evolution") / "data" / "language_policy.toml").read_text("utf-8")
    parts = release_checks._parts(policy, tools=True)
    rendered = prompts.render_all(parts)
    assert len(rendered) == len(parts)
    assert all(rendered)
    assert reasons == ["prompt_broken: prompts/cycle.md: a template cannot call anything"]
