"""The recipes of CONTRIBUTING.md: their places exist, and their examples run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_, *SECTIONS = re.split(r"^### ", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), flags=re.MULTILINE)
RECIPES = {section.partition("\n")[0]: section for section in SECTIONS}
PLACES = [
    (name, *place)
    for name, text in RECIPES.items()
    for place in re.findall(r"^\| `([^`]+)` `([^`]+)` \|", text, re.MULTILINE)
]
EXAMPLES = [
    (name, code)
    for name, text in RECIPES.items()
    for code in re.findall(r"```python\n(.+?)```", text, re.DOTALL)
]


def test_there_is_a_recipe_for_everything_that_is_added_often():
    assert list(RECIPES) == [
        "Add a framework tool",
        "Add a metric",
        "Add a planner",
        "Add a widget",
        "Add a stage to the cycle",
        "Add a clip",
    ]
    assert {name for name, *_ in PLACES} == set(RECIPES)


@pytest.mark.parametrize(("name", "path", "symbol"), PLACES)
def test_a_place_that_a_recipe_names_exists(name, path, symbol):
    assert symbol in (ROOT / path).read_text("utf-8"), f"{name}: {path} has no {symbol}"


@pytest.mark.parametrize(("name", "code"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_example_of_a_recipe_runs(name, code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
