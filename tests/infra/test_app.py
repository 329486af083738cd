"""`python -m infra.app`: what stops a synthesis is one sentence, and the local cache knows what it depends on."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from infra import app, assets
from infra.local import synthesis

LAYER = Path("layers/common/python")


def test_a_wheel_that_cannot_be_fetched_is_one_sentence(monkeypatch, tmp_path, capsys) -> None:
    def fail(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "no such wheel")

    monkeypatch.setattr(assets.subprocess, "run", fail)
    assert app.main(["--output", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("uv could not install requirements.lock for the layer: no such wheel")


def test_a_setting_outside_its_limit_is_one_sentence(tmp_path, capsys) -> None:
    assert app.main(["-c", "slots=100", "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err.strip() == "slots must be between 1 and 99, not 100"


def imported_by(path: Path) -> set[str]:
    """Return the files of the layer and of the sandbox that a file of the app takes its values from."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        for name in (str(node.module), *(f"{node.module}.{each.name}" for each in node.names)):
            for folder in (LAYER, Path("sandbox_container")):
                file = folder / f"{name.replace('.', '/')}.py"
                if (synthesis.ROOT / file).is_file():
                    found.add(str(file))
    return found


@pytest.mark.parametrize(
    "pattern", ["infra/app*.py", "infra/data_stack.py", "infra/settings.py", "infra/capabilities/*.py"]
)
def test_the_cache_of_local_templates_depends_on_every_file_that_they_are_made_from(pattern) -> None:
    files = list(synthesis.ROOT.glob(pattern))
    assert files
    missing = set().union(*map(imported_by, files)) - set(synthesis._INPUTS)
    assert not missing, "add them to _INPUTS of infra/local/synthesis.py"
