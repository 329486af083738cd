"""Which functions run code that a tool may amend: the published ones, and none with rights worth having."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from codec_evolution.host.guard import CODE, Guard

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / "layers/common/python"
GUARD = Guard.load(LAYER / "codec_evolution/data/guard.toml")
HANDLERS = sorted((ROOT / "functions").glob("*/handler.py"))
PUBLISHED = {"plan"}
"""The functions of `published=` in the app stack; `tests/infra/test_framework_host.py` holds it to them."""


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("codec_evolution")}


def module_file(name: str) -> Path | None:
    path = LAYER / name.replace(".", "/")
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def amendable(handler: Path) -> set[str]:
    """Return the code files that a tool may amend among all that a handler imports, however deep."""
    seen: set[Path] = set()
    due = imports(handler)
    while due:
        path = module_file(due.pop())
        if path is not None and path not in seen:
            seen.add(path)
            due |= imports(path)
    paths = {path.relative_to(ROOT).as_posix() for path in seen}
    return {path.rpartition("codec_evolution/")[2] for path in paths if GUARD.tier(path) == CODE}


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda path: path.parent.name)
def test_amended_code_runs_only_in_what_is_published(handler):
    name = handler.parent.name
    if name in PUBLISHED:
        assert {
            "planners/evidence.py",
            "planners/failures.py",
            "planners/prompts.py",
            "planners/search.py",
        } <= amendable(handler)
    else:
        assert amendable(handler) == set()


def test_every_code_file_that_may_be_amended_is_run_by_a_published_function():
    """Otherwise its change would be applied, committed, and never live."""
    run = {path for name in PUBLISHED for path in amendable(ROOT / "functions" / name / "handler.py")}
    named = {
        path.relative_to(LAYER / "codec_evolution").as_posix()
        for path in (LAYER / "codec_evolution").rglob("*.py")
        if GUARD.tier(path.relative_to(ROOT).as_posix()) == CODE
    }
    # Importing a module imports the packages round it.
    assert named - run <= {"planners/__init__.py", "planners/grammar/__init__.py"}
