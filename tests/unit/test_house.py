"""The size of the house: short functions, short files, few rooms."""

from __future__ import annotations

import ast

import pytest

from tests.unit.test_arrows import FUNCTIONS, INFRA, LAYER, SANDBOX, files, name, tree

PRODUCT = list(files(LAYER, FUNCTIONS, INFRA, SANDBOX))
FUNCTION_LINES, FILE_LINES, ROOMS = 40, 400, 16


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_no_function_is_longer_than_a_screen(path):
    """Counted without the docstring, which may be as long as the contract needs."""
    long = {
        node.name: length
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := lines(node)) > FUNCTION_LINES
    }
    assert long == {}


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function from its name to its end, without its docstring."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_a_file_is_one_noun(path):
    assert len(path.read_text("utf-8").splitlines()) <= FILE_LINES


def test_the_layer_has_few_rooms_on_its_top_level():
    rooms = [
        path
        for path in LAYER.iterdir()
        if path.name != "__init__.py" and (path.suffix == ".py" or any(path.rglob("*.py")))
    ]
    assert len(rooms) <= ROOMS, sorted(path.name for path in rooms)
