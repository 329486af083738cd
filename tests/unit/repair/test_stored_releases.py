"""Releases outlive the code that published them: their prompts are rendered with what later code offers."""

from importlib import resources
from pathlib import Path

from codec_evolution.repair.release_checks import check_prompts

FIRST = Path(__file__).with_name("first_release")
"""The prompts as the first version published them into every lineage; do not edit them."""


def test_the_prompts_of_a_lineages_first_release_still_render():
    files = {f"prompts/{path.name}": path.read_text("utf-8") for path in FIRST.glob("*.md")}
    assert len(files) == 4
    policy = (resources.files("codec_evolution") / "data" / "language_policy.toml").read_text("utf-8")
    check_prompts(files, policy)
