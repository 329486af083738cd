"""The size of the house: short functions, short files, few rooms."""

from __future__ import annotations

import pytest

from tests.unit.test_arrows import FUNCTIONS, INFRA, LAYER, SANDBOX, facts, files, name

PRODUCT = list(files(LAYER, FUNCTIONS, INFRA, SANDBOX))
FUNCTION_LINES, FILE_LINES, ROOMS = 40, 400, 16


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_no_function_is_longer_than_a_screen(path):
    """Counted without the docstring, which may be as long as the contract needs."""
    assert {each: lines for each, lines in facts(path).functions.items() if lines > FUNCTION_LINES} == {}


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
