"""A candidate's private names, and its members with a library's names, are its own."""

# ruff: noqa: E501 - sources

from __future__ import annotations

import ast
import textwrap
from typing import Any

import pytest
from codec_sandbox.renaming import SUFFIX, original, rename
from codec_sandbox.validator import check

from tests.unit.sandbox.test_policy import POLICY


def ran(source: str, **names: Any) -> dict[str, Any]:
    """The names that a source defines after its own names have been renamed."""
    tree, found = check(textwrap.dedent(source).encode(), POLICY)
    assert tree is not None and found == []
    rename(tree, POLICY)
    space: dict[str, Any] = {"__name__": "builtins", **names}
    exec(compile(tree, "candidate", "exec"), space)
    return space


class Foreign:
    """An object of a library."""

    _secret = "private"

    def load(self):
        return "loaded"


@pytest.mark.parametrize(
    "source",
    [
        "_secret = None\ndef take(x): return x._secret",
        "class A:\n    _secret = 1\ndef take(x): return x._secret",
        "class A:\n    def __init__(self): self._secret = 1\ndef take(x): return getattr(x, '_secret')",
        "_secret = 1\ndef take(x):\n    match x:\n        case object(_secret=found): return found\n    raise AttributeError",
        "class A:\n    def load(self): ...\ndef take(x): return x.load()",
    ],
)
def test_a_name_of_ones_own_does_not_open_the_same_name_of_anothers_object(source: str):
    with pytest.raises(AttributeError):
        ran(source)["take"](Foreign())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class A:\n    def __init__(self): self._x = self.__y = 2\n    def f(self): return self._x + self.__y\nr = A().f()", 4),
        ("class A:\n    __slots__ = ('_x',)\n    def __init__(self): self._x = 2\nr = A()._x", 2),
        ("def _f(_a, *, _b=1): return _a + _b\nr = _f(1, _b=2)", 3),
        ("from dataclasses import dataclass\n@dataclass\nclass A:\n    _x: int = 0\nr = A(_x=5)._x", 5),
        ("import math as _m\nfrom math import pi as _pi\nr = _m.floor(_pi)", 3),
        ("_n = 0\ndef f():\n    global _n\n    _n += 1\n    return _n\nr = f()", 1),
        ("def f():\n    _n = 0\n    def g():\n        nonlocal _n\n        _n += 1\n    g()\n    return _n\nr = f()", 1),
        ("class A:\n    def __init__(self): self._x = 1\nr = hasattr(A(), '_x') + getattr(A(), '_x', 0)", 2),
        ("match {'a': 1, 'b': 2}:\n    case {'a': _a, **_rest}: r = _a + _rest['b']", 3),
        ("try:\n    raise ValueError('a')\nexcept ValueError as _e:\n    r = str(_e)", "a"),
        ("r = [_ for _ in range(3)]\nfor _ in r: ...", [0, 1, 2]),
        ("from enum import Enum\nclass A(Enum):\n    X = 1\n    @classmethod\n    def _missing_(cls, v): return cls.X\nr = A(7).name", "X"),
        ("import numpy as np\nclass T:\n    def resize(self, n): return np.resize([1], n).size\nr = T().resize(3)", 3),
        ("class A:\n    def load(self, load=1): return load\nr = A().load(load=4)", 4),
        ("from collections import namedtuple\nP = namedtuple('P', 'a')\nr = P(1)._replace(a=2)._asdict()", {"a": 2}),
        ("class _A:\n    def _f(self): return 1\nclass B(_A):\n    def _f(self): return super()._f() + 1\nr = B()._f()", 2),
        ("r = '{a} {b}'.format(a=1, b=2)", "1 2"),
    ],
)  # fmt: skip
def test_a_program_runs_as_before(source: str, expected: object):
    assert ran(source)["r"] == expected


def test_public_names_keep_their_form():
    source = "import numpy as np\nclass A:\n    def low(self): return np.random.default_rng\nx = A().low()"
    tree, _ = check(source.encode(), POLICY)
    assert tree is not None
    before = ast.unparse(tree)
    rename(tree, POLICY)
    assert ast.unparse(tree) == before


def test_a_deeply_nested_program_is_renamed():
    terms = " + ".join(["_x"] * 800)
    assert ran(f"_x = 1\nr = {terms}")["r"] == 800


def test_messages_show_the_candidates_own_names():
    assert original(f"'A' object has no attribute '_x{SUFFIX}'") == "'A' object has no attribute '_x'"
