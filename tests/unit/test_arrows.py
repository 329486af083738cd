"""Who may import whom: the arrows of the house, held by reading the imports."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

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


@cache
def tree(path: Path) -> ast.Module:
    """Return a file's syntax tree, which several tests read."""
    return ast.parse(path.read_text("utf-8"))


@cache
def imported(path: Path) -> frozenset[str]:
    """Return the full dotted names that a file imports."""
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return frozenset(names)


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
