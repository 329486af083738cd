"""A release whose prompts do not render costs no attempt: the shipped ones are used, and the reason is told."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from codec_evolution import artifacts
from codec_evolution.framework import release, rendering
from codec_evolution.planners.claude.planner import ClaudePlanner
from codec_evolution.planners.prompts import as_data, shipped_templates
from codec_evolution.planners.wiring import build_planner

from tests.unit.planners.claude.conftest import ATTEMPT, LINEAGE, ROOT, PlanHarness
from tests.unit.planners.claude.test_rounds import GIVES_UP

SHIPPED = shipped_templates(ROOT / "prompts")
ONLY_REAL = "{% if item.seed != 'seed-of-no-check' %}{{ item.no_such_thing }}{% endif %}"


def amended(run: PlanHarness, monkeypatch, **changed: str) -> None:
    """Give the lineage a release with other prompts, and the planner the shipped ones."""
    files = {f"prompts/{name}.md": text for name, text in (SHIPPED | changed).items()}
    run.release = release.publish(run.objects, {**files, "language_policy.toml": ""})
    planner = run.planner
    monkeypatch.setattr(run, "planner", lambda: replace(planner(), shipped=SHIPPED))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SHIPPED["cycle"] + ONLY_REAL, "has no attribute 'no_such_thing'"),
        (SHIPPED["cycle"] + "{{ " + "[" * 5000 + " }}", "nested too deeply"),
        (SHIPPED["cycle"] + "{{ item.parse_raw('x', allow_pickle=true) }}", "cannot call anything"),
        ("{% for %}", "prompts/cycle.md, line 1"),
    ],
)
def test_the_shipped_prompts_take_the_place_of_broken_ones_and_say_why(harness, monkeypatch, text, reason):
    run = harness(GIVES_UP)
    amended(run, monkeypatch, cycle=text)
    planned = run.plan()
    assert planned.reason.startswith("gave_up")
    problems = [signs["prompt_problem"] for signs in run.signs if "prompt_problem" in signs]
    assert len(problems) == 1 and problems[0].startswith("prompt_broken: ") and reason in problems[0]
    asked = json.dumps(run.script.calls[0]["messages"])
    kept = run.objects.get_json(artifacts.model_usage(LINEAGE, ATTEMPT))
    assert kept["prompt_problem"] == problems[0], "the record says so too"
    assert "The prompts of this release do not render" in asked
    assert ATTEMPT in asked


def test_prompts_that_render_mention_no_problem(harness, monkeypatch):
    run = harness(GIVES_UP)
    amended(run, monkeypatch, cycle=SHIPPED["cycle"] + "And be brief.")
    run.plan()
    asked = json.dumps(run.script.calls[0]["messages"])
    assert not run.objects.get_json(artifacts.model_usage(LINEAGE, ATTEMPT))["prompt_problem"]
    assert "And be brief." in asked and "do not render" not in asked
    assert not [signs for signs in run.signs if "prompt_problem" in signs]


def test_everything_that_a_prompt_is_given_is_plain_data(harness, monkeypatch):
    """The whole context of a real attempt, walked by the check that the renderer makes."""
    given = []
    monkeypatch.setattr(rendering, "plain", lambda context, *_: given.append(context) or walked(context))
    harness(GIVES_UP).plan()
    assert {"item", "source", "policy"} <= {name for context in given for name in context}


def walked(value: object) -> object:
    """Return a value after asserting that nothing in it has a type but those of JSON."""
    assert value is None or type(value) in (bool, int, float, str, list, dict), type(value)
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        walked(each)
    return value


def test_a_number_that_json_lacks_becomes_none():
    assert as_data({"a": (1.5, float("nan"), float("inf"))}) == {"a": [1.5, None, None]}


def test_the_planner_of_a_deployment_has_the_shipped_prompts(harness):
    run = harness()
    settings = {
        "PLANNER_PROVIDER": "bedrock",
        "PLANNER_MODELS": "m",
        "PLANNER_EFFORT": "high",
        "PLANNER_MAX_TOKENS": "1",
        "PROBES_PER_ATTEMPT": "3",
        "SEARCH_SEED": "0",
        "DAILY_BUDGET_USD": "1",
        "BENCHMARK_CALL_S": "1",
        "BENCHMARK_CPU_S": "1",
        "BENCHMARK_MEMORY_MB": "1",
        "SHIPPED_DIR": str(ROOT),
    }
    planner = build_planner("claude", run.connections(settings))
    assert isinstance(planner, ClaudePlanner) and planner.shipped == SHIPPED
