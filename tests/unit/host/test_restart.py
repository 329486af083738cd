"""restart_orchestrator returns nothing whose quick tests fail: they render every prompt, behind the walls."""

from __future__ import annotations

import pytest

PROMPT_TEST = """from pathlib import Path
def test_the_prompt_renders():
    assert "atempt_id" not in Path("prompts/system.md").read_text()
"""


@pytest.fixture
def checked(host):
    """A host whose quick tests for data read the prompts; the guarded files are as they were deployed."""
    path = host.checkout / "tests/unit/test_prompts.py"
    path.write_text(PROMPT_TEST)
    host.tests["data"] = ["tests/unit/test_prompts.py"]
    host.accept()
    return host


def test_files_that_pass_are_returned(checked):
    answer = checked.call("restart_orchestrator", {})
    assert answer["success"] is True
    assert "prompts/system.md" in answer["files"]


def test_a_prompt_that_fails_goes_nowhere_however_it_came_there(checked):
    (checked.checkout / "prompts/system.md").write_text("{{ item.atempt_id }}")
    answer = checked.call("restart_orchestrator", {})
    assert (answer["status"], answer["rule"]) == ("failed", "quick-tests")
    assert "files" not in answer
