"""A prompt that would fail in the next attempt does not go live: every template is rendered before."""

from __future__ import annotations

import pytest
from codec_evolution.repair.release_checks import check_prompts

from tests.unit.test_shipped_data import POLICY, PROMPTS

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


def test_a_prompt_that_is_missing_is_refused():
    with pytest.raises(ValueError, match=r"no prompts/notices\.md"):
        check_prompts({path: text for path, text in SHIPPED.items() if "notices" not in path}, TOML)
