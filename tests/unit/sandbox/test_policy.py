"""The language policy as data: what is accepted, what is refused, and how that is said."""

from __future__ import annotations

import ast
import importlib
import textwrap
from pathlib import Path

import numpy as np
import pytest
from codec_evolution.framework.release import allow_library_codecs, shipped_files
from codec_sandbox import warm
from codec_sandbox.policy import CEILING_PATH, Policy, PolicyError, ceiling_text
from codec_sandbox.validator import check

POLICY_TEXT = (
    Path(__file__).resolve().parents[3] / "layers/common/python/codec_evolution/data/language_policy.toml"
).read_text(encoding="utf-8")
POLICY = Policy.from_toml(POLICY_TEXT, ceiling_text())


@pytest.fixture(autouse=True, scope="module")
def libraries():
    """Import as the zygote does: the whole of torchvision would not load beside a CPU build of torch."""
    warm.import_torchvision()
    warm.import_packages(str(Path(np.__file__).parents[1]))


def violations(source: str, policy: Policy = POLICY):
    return check(textwrap.dedent(source).encode(), policy)[1]


def constructs(source: str, policy: Policy = POLICY) -> list[str]:
    return [v.construct for v in violations(source, policy)]


# -- the data file and its ceiling


@pytest.mark.slow
def test_the_shipped_policy_lies_below_the_ceiling_of_the_image():
    assert CEILING_PATH.parent.name == "codec_sandbox"
    assert "bytearray" in POLICY.builtins
    assert not POLICY.library_codecs


@pytest.mark.slow
@pytest.mark.parametrize("text", [POLICY_TEXT, ceiling_text()], ids=["policy", "ceiling"])
def test_every_name_in_the_lists_exists(text: str):
    import builtins
    import tomllib

    data = tomllib.loads(text)
    missing = [name for name in data["builtins"] if not hasattr(builtins, name)]
    for module_name, names in data["modules"].items():
        module = importlib.import_module(module_name)
        plain = [n for n in names if not n.endswith("*")]
        missing += [f"{module_name}.{n}" for n in plain if not hasattr(module, n)]
        prefixes = [n[:-1] for n in names if n.endswith("*")]
        missing += [f"{module_name}.{p}*" for p in prefixes if not any(n.startswith(p) for n in dir(module))]
    assert missing == []


def test_the_wildcards_of_the_policy_mean_exactly_the_names_that_the_library_has():
    import tomllib

    ceiling = tomllib.loads(ceiling_text())
    assert not [n for names in ceiling["modules"].values() for n in names if "*" in n]
    assert not [n for names in ceiling["library_codec_names"].values() for n in names if "*" in n]
    wildcards = {
        (module, name)
        for module, names in tomllib.loads(POLICY_TEXT)["modules"].items()
        for name in names
        if "*" in name
    }
    assert {module for module, _ in wildcards} == {"cv2"}
    for module_name, name in [*wildcards, ("cv2", "IMREAD_*"), ("cv2", "IMWRITE_*")]:
        listed = {*ceiling["modules"][module_name], *ceiling["library_codec_names"][module_name]}
        exist = {n for n in dir(importlib.import_module(module_name)) if n.startswith(name[:-1])}
        assert {n for n in listed if n.startswith(name[:-1])} == exist, (
            f"list these in the ceiling for {name}"
        )


def test_a_wildcard_allows_no_name_that_the_ceiling_does_not_list():
    assert constructs("import cv2\nx = cv2.COLOR_RGB2YCrCb\ny = cv2.COLOR_THERE_IS_NONE\n") == [
        "cv2.COLOR_THERE_IS_NONE"
    ]
    with pytest.raises(PolicyError, match=r"modules.cv2: unknown name 'TELEPORT_\*'"):
        Policy.from_toml('[modules]\ncv2 = ["TELEPORT_*"]', ceiling_text())


def test_no_list_holds_a_module_object():
    import tomllib
    import types

    found = []
    for module_name, names in tomllib.loads(ceiling_text())["modules"].items():
        module = importlib.import_module(module_name)
        found += [n for n in names if isinstance(getattr(module, n, None), types.ModuleType)]
    assert found == []


def test_an_unknown_name_in_a_policy_is_named_and_so_is_every_other():
    text = POLICY_TEXT.replace('"bytearray"', '"bytearray", "evaluate"').replace(
        "numpy = [", 'numpy = [\n    "teleport",'
    )
    with pytest.raises(
        PolicyError, match=r"builtins: unknown name 'evaluate'.*modules.numpy: unknown name 'teleport'"
    ):
        Policy.from_toml(text, ceiling_text())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("builtins = 3", "builtins must be a list"),
        ("extra = 1", "unknown key 'extra'"),
        ("builtins = ['a b']", "'a b' is not a name"),
        ("modules = ['os']", "modules must be a table"),
        ("[modules]\nos = ['system']", "modules.os: no such module in the ceiling"),
        ("library_codecs = 'yes'", "library_codecs must be true or false"),
        ("builtins = [", "not valid TOML"),
        ("builtins = ['eval']", "unknown name 'eval'"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_by_name(text: str, message: str):
    with pytest.raises(PolicyError, match=message.replace("(", r"\(")):
        Policy.from_toml(text, ceiling_text())


def test_removing_bytearray_makes_a_candidate_fail_precisely_and_putting_it_back_heals_it():
    source = "def compress_video_frame(frame, frame_index, config):\n    return bytes(bytearray(4))\n"
    without = Policy.from_toml(POLICY_TEXT.replace('"bytearray", ', ""), ceiling_text())
    (found,) = violations(source, without)
    assert (found.line, found.column, found.construct) == (2, 18, "bytearray")
    assert "the builtin bytearray is not in the language policy" in found.message
    assert violations(source) == []


def test_the_first_release_switches_library_codecs_on_where_the_operator_allows_them(tmp_path):
    shipped = shipped_files(tmp_path)["language_policy.toml"]
    allowed = shipped_files(tmp_path, library_codecs=True)["language_policy.toml"]
    assert not Policy.from_toml(shipped, ceiling_text()).library_codecs
    assert Policy.from_toml(allowed, ceiling_text(), library_codecs=True).library_codecs
    assert allowed.replace("library_codecs = true", "library_codecs = false") == shipped
    with pytest.raises(ValueError, match="one line library_codecs"):
        allow_library_codecs("builtins = []\n")


def test_only_the_operator_can_switch_library_codecs_on(monkeypatch: pytest.MonkeyPatch):
    wished = POLICY_TEXT.replace("library_codecs = false", "library_codecs = true")
    source = "import cv2\ndata = cv2.imencode('.png', 1, [cv2.IMWRITE_PNG_COMPRESSION, 9])\n"
    with pytest.raises(PolicyError, match="operator"):
        Policy.from_toml(wished, ceiling_text())
    assert "evolve a codec" in violations(source)[0].message
    assert violations(source, Policy.from_toml(wished, ceiling_text(), library_codecs=True)) == []
    monkeypatch.setenv("CODEC_SANDBOX_LIBRARY_CODECS", "on")
    assert violations(source, Policy.from_toml(wished, ceiling_text())) == []
    assert violations(source) != []
    writing = "import cv2\ncv2.imwrite('x.png', 1)\n"
    assert constructs(writing, Policy.from_toml(wished, ceiling_text(), library_codecs=True)) == [
        "cv2.imwrite"
    ]


def test_a_policy_survives_its_way_into_a_worker():
    assert Policy.from_dict(POLICY.to_dict()) == POLICY


# -- ordinary code


@pytest.mark.parametrize(
    "source",
    [
        "import torch.nn as nn\nclass M(nn.Module):\n    def forward(self, input):\n        return input\nM().eval()",
        "import torch\n@torch.no_grad()\ndef f(x):\n    return x.cpu().numpy()",
        "import numpy as np\nx = np.lib.stride_tricks.sliding_window_view(np.zeros(9), 3)[::2, ..., None]",
        "from numpy.lib.stride_tricks import sliding_window_view\nx = sliding_window_view([1, 2], 1)",
        "x = [a for a in range(3) if a]\ny = {k: v for k, v in zip(x, x)}\nz = x[::-1]",
        "class A:\n    def __init__(self):\n        self._x = self.__y = 1\n    def get(self, b):\n        return b._x",
        "class A(object):\n    __slots__ = ('a',)\n    def __len__(self):\n        return 0",
        "if __name__ == '__main__':\n    print('x')",
        "config = {}\nq = getattr(config, 'quality', 50)\nok = hasattr(config, 'a')",
        "x = '{:>3} {name}'.format(1, name=2)\ny = f'{x!r:>10}'",
        "class W:\n    def write(self, b):\n        self.storage = b\n    def load(self):\n        return self.storage",
        "class W:\n    def load(self):\n        return self.read()\nW().load()",
        "import cv2\nx = cv2.cvtColor(1, cv2.COLOR_RGB2YCrCb)\ny = cv2.INTER_AREA",
        "import torch\nd = torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "try:\n    x = 1 / 0\nexcept (ZeroDivisionError, ValueError) as e:\n    raise RuntimeError(str(e)) from e",
        "from __future__ import annotations\nfrom typing import Optional\nx: Optional[int] = None",
        "def f(input, id=0, *args, type=None, **kwargs):\n    return input",
        "match [1, 2]:\n    case [x, *rest]:\n        pass",
        "x = type(3) is int",
        "import numpy as np\ndef f(x: np.ndarray | None, y: list[np.ndarray]) -> tuple[np.ndarray, int]: ...",
        "import numpy as np\nok = isinstance(1, (np.ndarray, list)) and np.ndarray.tobytes(np.zeros(1))",
        "from typing import Dict\nfrom numpy import ndarray\ncache: Dict[str, ndarray] = {}",
        "class A:\n    def __repr__(self):\n        return f'{self.__class__.__name__}()'",
        "def f(x):\n    f.previous = x\n    return getattr(f, 'previous', None)",
        "import random\nimport torch\nrandom.seed(0)\ntorch.cuda.manual_seed_all(0)",
        "from abc import ABC, abstractmethod\nclass A(ABC):\n    @abstractmethod\n    def f(self): ...",
        "from enum import IntEnum, auto\nclass Kind(IntEnum):\n    SKIP = auto()\n    CODED = auto()\nx = Kind(1).name",
        "from functools import wraps\ndef d(f):\n    @wraps(f)\n    def g(*a):\n        return f(*a)\n    return g",
        "from contextlib import contextmanager as m, suppress\n@m\ndef c():\n    yield\nwith suppress(KeyError): c()",
        "import lzma, operator\nx = sorted([(1, 2)], key=operator.itemgetter(1)), lzma.compress(b'')",
        "class Table(dict):\n    def __missing__(self, key):\n        return 0",
        "class Tile:\n    def resize(self, w, h=1):\n        self.w = w\nTile().resize(3, h=2)",
        "def resize(x):\n    return x\ny = resize(3)",
        "import torch.nn.functional as F\nimport torch\ny = torch.nn.functional.relu(1) + F.relu(1)",
        "try: ...\nexcept (ValueError, KeyError) as e:\n    print(e.args[0], e.__class__.__name__)\ne = {}\ne.get(1)",
        "class E(Exception):\n    code = 1\ntry: ...\nexcept E as e:\n    x = e.code",
        "import functools\n@functools.wraps(len)\ndef f(): ...",
    ],
)
def test_ordinary_numeric_code_is_accepted(source: str):
    assert violations(source) == []


# -- what deny-lists let through


@pytest.mark.parametrize(
    ("source", "construct"),
    [
        ("import os", "import os"),
        ("from os import path", "from os import"),
        ("import numpy.ctypeslib", "import numpy.ctypeslib"),
        ("from numpy import *", "from numpy import *"),
        ("from . import x", "from . import"),
        ("import numpy as np\nnp.load('x')", "np.load"),
        ("import numpy as np\nnp.ctypeslib.as_array(1)", "np.ctypeslib"),
        ("import json\njson.codecs.open", "json.codecs"),
        ("import json, typing\nfor m in [json, typing]:\n    m.x", "json"),
        ("import numpy as __builtins__", "__builtins__"),
        ("import numpy as np\nX = type('X', (), {})", "type"),
        ("import typing\ntyping.get_type_hints(1)", "typing.get_type_hints"),
        ("match 1:\n    case object(__class__=c):\n        pass", "case ...(__class__=)"),
        ("try:\n    pass\nexcept ValueError as __x__:\n    pass", "__x__"),
        ("match 1:\n    case __x__:\n        pass", "__x__"),
        ("import numpy as np\nnp.zeros(1).ctypes", "np.zeros(1).ctypes"),
        ("x = 1\nx.__class__", "x.__class__"),
        ("x = 1\nx.__class__.__base__", "x.__class__"),
        ("x = 1\ngetattr(x, '__class__').__name__", "getattr(..., '__class__')"),
        ("x = 1\ngetattr(x, '__class__')", "getattr(..., '__class__')"),
        ("x = 1\ngetattr(x, 'a' + 'b')", "getattr"),
        ("g = getattr", "getattr"),
        ("import numpy as np\nx = np.ndarray((1,), 'O', b'12345678')", "np.ndarray"),
        ("from numpy import ndarray as A\nx = A((1,), 'O', b'12345678')", "numpy.ndarray"),
        ("import numpy as np\nclass A(np.ndarray):\n    pass", "np.ndarray"),
        ("import numpy as np\nA = [np.ndarray][0]", "np.ndarray"),
        ("import numpy as np\nnp.zeros(3).resize(9, refcheck=False)", "np.zeros(3).resize"),
        ("x = 1\ngetattr(*[x, '__cl' 'ass__'], 'default')", "getattr"),
        ("class A:\n    import numpy as np\nA.np.ctypeslib", "import"),
        ("class A:\n    if True:\n        from torch import nn\nA.nn", "import"),
        ("import numpy as np\nnp.random.PCG64(1).cffi", "np.random.PCG64(1).cffi"),
        ("'{0.__class__}'.format(1)", "'{0.__class__}'.format"),
        ("'{:{0.real}}'.format(1)", "'{:{0.real}}'.format"),
        ("x = 'a'\nx.format(1)", "x.format"),
        ("class A(metaclass=int):\n    pass", "class A(metaclass=...)"),
        ("class A:\n    __array_interface__ = 1", "__array_interface__"),
        ("class A:\n    def __getattr__(self, n):\n        pass", "__getattr__"),
        ("x = '__globals__'", "'__globals__'"),
        ("eval('1')", "eval"),
        ("x = exec", "exec"),
        ("import torch\ntorch.load('x')", "torch.load"),
        ("import torch\ntorch.ops.load_library('x')", "torch.ops"),
        ("import torch.nn.functional as F\nF.torch", "F.torch"),
        ("import cv2\ncv2.imread('x')", "cv2.imread"),
        ("import cv2\ncv2.imencodeanimation", "cv2.imencodeanimation"),
        ("import cv2\ncv2.VideoWriter('x')", "cv2.VideoWriter"),
        ("import cv2\ncv2.dnn.readNet('x')", "cv2.dnn"),
        ("import numpy as np\nnp.lib.stride_tricks.as_strided(1)", "np.lib.stride_tricks.as_strided"),
        ("import numpy as np\nnp.mean = 1", "np.mean"),
        ("import numpy as np\nnp = 3", "np"),
        ("import numpy as np\ndel np", "np"),
        ("import numpy as np\nx = np.fft", "np.fft"),
        ("def f():\n    yield 1\nf().gi_frame", "f().gi_frame"),
        ("x = 1\nx._private", "x._private"),
        ("import time", "import time"),
        ("global __builtins__", "__builtins__"),
        ("def f(getattr):\n    pass\ng = getattr", "getattr"),
        ("def f():\n    from math import pi as setattr\nsetattr(f, 'a' + 'b', 1)", "setattr"),
        ("def f():\n    import math as getattr", "getattr"),
        ("x = getattr('{0.a}', 'format')", "getattr(..., 'format')"),
        ("match '{0.a}':\n    case str(format=f):\n        pass", "case ...(format=)"),
        ("from abc import ABC\nclass A(ABC):\n    pass\nA.register(int)", "A.register"),
        ("def resize(x):\n    return x\nx = 1\nx.resize(3)", "x.resize"),
        ("class A:\n    def resize(self): ...\nx = 1\nx.resize(3, refcheck=False)", "refcheck="),
        ("class A:\n    def resize(self): ...\nx = 1\nx.resize(3, **{'ref' 'check': 0})", "x.resize"),
        ("class A:\n    def resize(self): ...\nx = 1\nr = x.resize", "x.resize"),
        ("def load(): ...\nx = 1\nx.load('a')", "x.load"),
        ("import numpy as np\nnp.random.RandomState(0).set_state(1)", "np.random.RandomState(0).set_state"),
        ("import functools\nfunctools.wraps(1, assigned=('a',))(2)", "functools.wraps"),
        ("from functools import wraps as w\nd = w", "functools.wraps"),
        ("import functools\nfunctools.wraps(1)(2)", "functools.wraps"),
        ("import functools\nx = functools.wraps(1)", "functools.wraps"),
        ("import functools\n@functools.wraps(1)(2)\ndef f(): ...", "functools.wraps"),
        ("try: ...\nexcept ValueError as e:\n    x = e.obj", "e.obj"),
        ("try: ...\nexcept ValueError as e:\n    x = [e.name_from for _ in ()]", "e.name_from"),
        ("try: ...\nexcept ValueError as e:\n    x = getattr(e, 'object')", "getattr(..., 'object')"),
        (
            "class A:\n    def __exit__(self, kind, error, trace):\n        return trace.tb_lineno",
            "trace.tb_lineno",
        ),
        ("import numpy as np\nx = np.r_.makemat", "np.r_.makemat"),
        ("import functools\nfunctools.cached_property(len).attrname = 'a'", "functools.cached_property"),
        ("from dataclasses import fields", "dataclasses.fields"),
        ("from torch import nn\nd = nn.ParameterDict()", "nn.ParameterDict"),
        ("class A:\n    all_weights = 1\nx = A().all_weights", "A().all_weights"),
        ("_weak_ref = 1\nx = 1\nx._weak_ref", "x._weak_ref"),
        ("import numpy as np\nnp.random.default_rng.func_code", "np.random.default_rng.func_code"),
    ],
)
def test_what_deny_lists_let_through_is_refused(source: str, construct: str):
    assert construct in constructs(source)


def test_all_violations_come_at_once_with_line_column_and_a_way_out():
    found = violations("import os\nimport numpy as np\nx = np.save('a', 1)\ny = np.mein([1])\n")
    assert [(v.line, v.column) for v in found] == [(1, 1), (3, 5), (4, 5)]
    assert "files" in found[1].message
    assert "did you mean mean" in found[2].message or "min" in found[2].message


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "import scipy.fft\nscipy.fft.dct(1)",
            [
                "not in the language policy; it may be amended once a person has approved the package scipy "
                "(install_python_package)"
            ],
        ),
        ("from torch.utils.data import DataLoader", ["not in the language policy; a codec needs no loaders"]),
        ("import time\nt = time.time()\nu = time.time() - t", ["a codec must not depend on the clock"]),
        ("import numpy as np\nx = np.int", ["removed from numpy; use int or np.int64"]),
    ],
)
def test_a_refusal_says_what_to_use_instead_and_says_it_once(source: str, said: list[str]):
    assert [v.message for v in violations(source)] == said


def test_what_the_ceiling_allows_and_the_policy_lacks_is_said_to_be_amendable():
    text = POLICY_TEXT.replace('"bytearray", ', "").replace('"packbits", ', "")
    lacking = Policy.from_toml(
        text[: text.index("\nlzma = [")] + text[text.index("\nmath = [") :], ceiling_text()
    )
    found = violations(
        "import lzma\nimport numpy as np\nx = np.packbits(bytearray(1))\ny = open('a')", lacking
    )
    amendable = [v.construct for v in found if "the policy may be amended" in v.message]
    assert amendable == ["import lzma", "np.packbits", "bytearray"]
    assert len(found) == 4


# -- bad input


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"#" * (160 * 1024 + 1), "at most 163840"),
        (b"x = 1\n\xff\xfe", "not UTF-8"),
        (b"x = 1\nx = '\0'", "null byte"),
        (b"def f(:", "invalid syntax"),
        (b"(" * 5000, "too many nested parentheses"),
        (b"x = " + b"-" * 50_000 + b"1", "nested too deeply"),
        (b"x = a" + b".b" * 20_000, "nested too deeply"),
    ],
)
def test_source_that_is_not_a_program_is_refused_before_anything_runs(source: bytes, message: str):
    tree, found = check(source, POLICY)
    assert tree is None
    assert len(found) == 1
    assert message in found[0].message


def test_a_program_is_read_as_it_is_written_and_a_coding_line_that_says_otherwise_is_refused():
    plus_is_a_shift_in_utf_7 = b"# -*- coding: utf-7 -*-\nx = '+AGE-'\n"
    tree, found = check(b"\xef\xbb\xbf" + plus_is_a_shift_in_utf_7, POLICY)
    assert [(v.line, v.column, v.construct) for v in found] == [(1, 15, "source")]
    assert tree is not None
    assert ast.unparse(tree) == "x = '+AGE-'"


def test_a_column_counts_characters_and_not_bytes():
    (found,) = violations("x = 'é → é'; y = eval('1')\n")
    assert (found.line, found.column) == (1, 18)


def test_grammar_that_is_younger_than_3_11_is_refused():
    assert violations("type X = int\n")[0].construct == "syntax"


def test_a_missing_or_misshapen_entry_point_is_named():
    names = ("compress_video_frame", "decompress_video_frame")
    _, found = check(b"def compress_video_frame(frame):\n    pass\n", POLICY, entry_points=names)
    assert [v.construct for v in found] == ["decompress_video_frame", "def compress_video_frame"]
    accepted = (
        b"def compress_video_frame(f, i=0, c=None, *r): pass\ndecompress_video_frame = compress_video_frame\n"
    )
    assert check(accepted, POLICY, entry_points=names)[1] == []


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "{b=" * 5000])
def test_a_policy_that_is_nested_too_deeply_is_refused_as_a_policy(text):
    with pytest.raises(PolicyError, match="is not valid TOML"):
        Policy.from_toml(text, ceiling_text())
