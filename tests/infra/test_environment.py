"""Environment variables: the template sets what a handler reads, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / "layers/common/python"
DEPLOYED_WITHOUT_DOCKER = "first_image"
"""The one function that the default template does not have; `test_sandbox_image` holds its variables."""
HANDLERS = sorted(
    path for path in (ROOT / "functions").glob("*/handler.py") if path.parent.name != DEPLOYED_WITHOUT_DOCKER
)
NAME = re.compile(r"[A-Z][A-Z0-9_]+")
MAPPING = re.compile(r"(^os|\benviron|\bsettings)$")
SET_BY_LAMBDA = re.compile(r"AWS_\w+")

Resources = dict[str, dict[str, Any]]


def names_read(source: str) -> set[str]:
    """Return the variables that a module reads from the environment, or from the settings that it was handed."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript):
            mapping, key = node.value, node.slice
        elif isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Attribute):
            mapping, key = node.func.value, node.args[0]
        else:
            continue
        if MAPPING.search(ast.unparse(mapping)) and isinstance(key, ast.Constant):
            found.add(str(key.value))
    return {name for name in found if NAME.fullmatch(name) and not SET_BY_LAMBDA.fullmatch(name)}


def layer_modules(source: str) -> Iterator[Path]:
    """Yield the files of the layer that a module imports itself."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{each.name}" for each in node.names)]
        for name in names:
            path = LAYER / f"{name.replace('.', '/')}.py"
            if path.is_file():
                yield path


def reads(handler: Path) -> set[str]:
    """Return the variables that a handler reads, in its own file or in a module of the layer that it runs."""
    found, waiting, seen = names_read(handler.read_text("utf-8")), [handler], {handler}
    while waiting:
        for path in layer_modules(waiting.pop().read_text("utf-8")):
            if path not in seen:
                seen.add(path)
                waiting.append(path)
                found |= names_read(path.read_text("utf-8"))
    return found


def variables(resources: Resources, folder: str) -> dict[str, Any]:
    function = "".join(part.capitalize() for part in folder.split("_"))
    (properties,) = [
        each["Properties"]
        for name, each in resources.items()
        if each["Type"] == "AWS::Lambda::Function" and re.fullmatch(f"Functions{function}[0-9A-F]{{8}}", name)
    ]
    return properties.get("Environment", {}).get("Variables", {})


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda path: path.parent.name)
def test_a_function_has_the_variables_that_its_handler_reads_and_no_other(
    app_resources: Resources, handler: Path
) -> None:
    assert set(variables(app_resources, handler.parent.name)) == reads(handler)


def test_each_way_to_read_a_variable_is_seen() -> None:
    direct = 'a = os.environ["ONE"]; b = os.environ.get("TWO", ""); c = os.getenv("THREE")'
    handed_on = 'd = settings["FOUR"]; e = connections.settings["FIVE"]'
    assert names_read(f"{direct}; {handed_on}") == {"ONE", "TWO", "THREE", "FOUR", "FIVE"}


def test_what_lambda_sets_itself_and_keys_that_name_no_variable_do_not_count() -> None:
    assert names_read('os.environ["AWS_REGION"]; given["LOCK_SHA256"]; settings["status"]; rows[0]') == set()


def test_a_read_in_a_module_behind_an_import_is_seen(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "codec_evolution"
    package.mkdir()
    (package / "deep.py").write_text('import os\nVALUE = os.environ["DEEP"]\n')
    (package / "near.py").write_text("from codec_evolution import deep\n")
    handler = tmp_path / "handler.py"
    handler.write_text('from codec_evolution.near import deep\nimport os\nVALUE = os.environ["OWN"]\n')
    monkeypatch.setitem(globals(), "LAYER", tmp_path)
    assert reads(handler) == {"DEEP", "OWN"}
