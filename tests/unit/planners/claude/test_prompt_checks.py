"""A prompt that would fail in the next attempt does not go live: every template is rendered before."""

from __future__ import annotations

import json

import pytest
from codec_evolution.repair.release_checks import check_prompts, stored_readings

from tests.unit.test_shipped_data import ATTEMPTS, POLICY, PROMPTS

SHIPPED = {f"prompts/{path.name}": path.read_text("utf-8") for path in PROMPTS}
TOML = POLICY.read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("cycle", "{{ item.atempt_id }}", "atempt_id"),
        ("cycle", "{% if strategy.change %}{{ stagnation.jugded }}{% endif %}", "jugded"),
        ("cycle", "{% for f in failures %}{{ f.massage }}{% endfor %}", "massage"),
        ("cycle", "{{ read / attempts_today / 0 }}", "division"),
        ("cycle", "{{ source | fence }}", "No filter named"),
        ("cycle", "{% for x in y", "line 1"),
        ("governance", "{% if not tools %}{{ analyses }}{% endif %}", "analyses"),
        ("notices", "{% if notice == 'inspection' %}{{ texts }}{% endif %}", "texts"),
        ("system", "{{ limits.call_s | figure('x') }}", "prompts/system.md"),
        ("system", "{{ cycler.__init__.__globals__ }}", "undefined"),
        ("cycle", "{{ item.parse_raw('x', allow_pickle=true) }}", "cannot call"),
        ("brand_new", "{% if %}", "brand_new.md, line 1"),
    ],
)
def test_a_prompt_that_breaks_in_any_branch_is_refused_by_name(name, text, said):
    with pytest.raises(ValueError, match="prompt_broken") as refused:
        check_prompts(SHIPPED | {f"prompts/{name}.md": text}, TOML)
    assert f"prompts/{name}.md" in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "only_real",
    [
        "{% if item.seed != 'seed' %}{{ item.nothing }}{% endif %}",
        "{% if read and '2026-11' in item.cycle_id %}{{ [] + 1 }}{% endif %}",
        "{% for row in clips %}{{ row.bd_rate_vs_x265 }}{% endfor %}",
    ],
)
def test_a_prompt_that_breaks_with_the_data_of_real_attempts_alone_is_refused(only_real):
    files = SHIPPED | {"prompts/cycle.md": SHIPPED["prompts/cycle.md"] + only_real}
    real = stored_readings(json.loads(ATTEMPTS.read_text("utf-8")))
    check_prompts(SHIPPED, TOML, real)
    check_prompts(files, TOML)
    with pytest.raises(ValueError, match=r"prompts/cycle\.md"):
        check_prompts(files, TOML, real)


def test_a_prompt_that_is_missing_is_refused():
    with pytest.raises(ValueError, match=r"no prompts/notices\.md"):
        check_prompts({path: text for path, text in SHIPPED.items() if "notices" not in path}, TOML)
