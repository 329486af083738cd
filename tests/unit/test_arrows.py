"""Who may import whom: the arrows of the house, held by reading the imports."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / "layers" / "common" / "python" / "codec_evolution"
SANDBOX = ROOT / "sandbox_container"
FUNCTIONS = ROOT / "functions"
INFRA = ROOT / "infra"

FLOORS = {
    "adapters": {"", "framework", "judging", "planners", "loop", "repair", "host"},
    "widgets": {"", "framework", "judging", "loop"},
    "repair": {"", "framework", "judging", "planners", "loop"},
    "loop": {"", "framework", "judging", "planners"},
    "planners": {"", "framework", "judging"},
    "judging": {""},
    "framework": {""},
    "host": set(),
    "": set(),
}
"""The rooms of the layer, "" for its top level, and what each may import besides itself."""

CLOUD = {"boto3", "botocore", "anthropic", "github"}
NUMERIC = {"numpy", "cv2", "torch", "torchvision", "scipy"}


class Facts(NamedTuple):
    """The full dotted names that a file imports, and the lines of each of its functions."""

    imported: frozenset[str]
    functions: dict[str, int]


@cache
def facts(path: Path) -> Facts:
    """Return what several tests read of a file; its syntax tree takes a hundred times the memory."""
    names: set[str] = set()
    functions: dict[str, int] = {}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions[f"{node.name}, line {node.lineno}"] = lines(node)
    return Facts(frozenset(names), functions)


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function from its name to its end, without its docstring."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def imported(path: Path) -> frozenset[str]:
    return facts(path).imported


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def files(*folders: Path) -> Iterator[Path]:
    """Yield the sources below folders, without those that the search wrote and that ship."""
    for folder in folders:
        yield from (p for p in sorted(folder.rglob("*.py")) if not {"__pycache__", "shipped"} & set(p.parts))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", list(files(LAYER)), ids=name)
def test_only_adapters_of_the_layer_import_the_cloud_and_none_imports_the_outside(path):
    allowed = CLOUD if path.parent.name == "adapters" else set()
    assert roots(path) & CLOUD <= allowed
    assert not roots(path) & (NUMERIC | {"codec_sandbox", "infra", "functions"})


def room(path: Path) -> str:
    """Return the room of a file of the layer."""
    parts = path.relative_to(LAYER).parts
    return parts[0] if len(parts) > 1 else ""


def module_room(module: str) -> str | None:
    """Return the room that an imported name lies in, None outside the layer."""
    first, *rest = module.split(".")
    if first != "codec_evolution" or not rest:
        return None
    return rest[0] if rest[0] in FLOORS else ""


@pytest.mark.parametrize("path", list(files(LAYER)), ids=name)
def test_a_room_of_the_layer_imports_only_the_rooms_below_it(path):
    mine = room(path)
    assert mine in FLOORS, "give the new room its place among FLOORS"
    assert {r for n in imported(path) if (r := module_room(n)) is not None} <= FLOORS[mine] | {mine}


def test_the_rooms_of_the_layer_have_no_circle():
    assert not any(above in FLOORS[below] for above, rooms in FLOORS.items() for below in rooms)


@pytest.mark.parametrize("path", list(files(LAYER)), ids=name)
def test_no_pure_module_imports_an_adapter(path):
    if path.parent.name != "adapters":
        assert not {n for n in imported(path) if n.startswith("codec_evolution.adapters")}


@pytest.mark.parametrize("path", list(files(LAYER / "host")), ids=name)
def test_the_host_program_needs_only_the_standard_library(path):
    import sys

    assert roots(path) <= set(sys.stdlib_module_names) | {"codec_evolution"}
    assert {n for n in imported(path) if n.startswith("codec_evolution")} <= {
        n for n in imported(path) if n.startswith("codec_evolution.host")
    }


@pytest.mark.parametrize("path", list(files(SANDBOX)), ids=name)
def test_the_sandbox_knows_neither_the_layer_nor_the_cloud(path):
    assert not roots(path) & (CLOUD | {"codec_evolution", "infra", "pydantic"})


@pytest.mark.parametrize("path", list(files(FUNCTIONS)), ids=name)
def test_a_function_wires_the_layer_and_nothing_else(path):
    assert not roots(path) & (CLOUD | NUMERIC | {"infra", "codec_sandbox", "pydantic"})


@pytest.mark.parametrize("path", list(files(INFRA / "capabilities")), ids=name)
def test_a_capability_does_not_import_the_local_default(path):
    assert not {n for n in imported(path) if n.startswith("infra.local")}
