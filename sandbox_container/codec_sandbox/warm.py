"""Imports early what the libraries import late, because a worker has no files to import from."""

# pyright: standard
# The stubs of numpy and torch are incomplete.

from __future__ import annotations

import array
import contextlib
import dataclasses
import enum
import importlib
import sys
from typing import Any

MODULES = [  # every module that a candidate may be allowed, and what those import on first use
    "numpy",
    "numpy.fft",
    "numpy.linalg",
    "numpy.random",
    "numpy.typing",
    "numpy.ma",
    "numpy.polynomial",
    "numpy.lib.stride_tricks",
    "cv2",
    "torch",
    "torch.nn",
    "torch.nn.functional",
    "torch.fft",
    "torch.linalg",
    "torch.special",
    "torch.optim",
    "torch.nn.init",
    "torch.nn.utils",
    "torch.nn.parameter",
    "torch.autograd",
    "torch.cuda",
    "json",
    "struct",
    "base64",
    "math",
    "typing",
    "zlib",
    "bz2",
    "lzma",
    "hashlib",
    "io",
    "itertools",
    "functools",
    "collections",
    "collections.abc",
    "dataclasses",
    "bisect",
    "heapq",
    "enum",
    "abc",
    "copy",
    "operator",
    "string",
    "re",
    "decimal",
    "fractions",
    "statistics",
    "random",
    "cmath",
    "array",
    "numbers",
    "warnings",
    "traceback",
    "linecache",
    "contextlib",
    "binascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.ascii",
    "encodings.utf_16",
    "encodings.utf_32",
    "encodings.unicode_escape",
    "__future__",
]
OPTIONAL = ["torchvision", "torchvision.transforms", "torchvision.transforms.functional", "pywt"]
"""Libraries that only some images are built with."""


def import_libraries() -> None:
    """Import everything that a candidate may be allowed, with one thread each."""
    for name in MODULES:
        importlib.import_module(name)
    for name in OPTIONAL:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    import cv2
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    cv2.setNumThreads(1)
    _hold_buffers(torch)
    # A worker cannot start a second thread. Asking for more, as much code does, must not end it.
    torch.set_num_threads = torch.set_num_interop_threads = cv2.setNumThreads = _one_thread


def _one_thread(number: int) -> None:
    """Stand in for the libraries' setters of the number of threads: there is one."""


def _hold_buffers(torch: Any) -> None:
    """Keep a buffer from being resized while a tensor uses its memory.

    The two functions keep the buffer's owner alive but do not lock its memory: after a bytearray shrinks, the tensor
    would point to freed memory. A numpy array in between locks it.
    """
    import numpy as np

    frombuffer, asarray = torch.frombuffer, torch.asarray

    def held_frombuffer(buffer: Any, *, dtype: Any, **options: Any) -> Any:
        return frombuffer(np.frombuffer(buffer, np.uint8), dtype=dtype, **options)

    def held_asarray(obj: Any, *, dtype: Any = None, **options: Any) -> Any:
        if isinstance(obj, bytearray | memoryview | array.array):
            obj = held_frombuffer(obj, dtype=dtype or torch.get_default_dtype())
        return asarray(obj, dtype=dtype, **options)

    torch.frombuffer, torch.asarray = held_frombuffer, held_asarray


def exercise() -> None:
    """Call what is known to import on first use, then fix the random states and close what only modules may do."""
    _numpy()
    _torch()
    _seed()
    _fix_fields()
    # The functional form would create classes with names that the validator has not seen.
    enum.EnumMeta._create_ = _no_enumeration  # type: ignore[method-assign]


def _fix_fields() -> None:
    """Let only its own module change a field: a dataclass generates source from its fields' names, and runs it."""

    def assign(field: Any, name: str, value: Any) -> None:
        if sys._getframe(1).f_globals is not dataclasses.__dict__:
            raise AttributeError("a field cannot be changed")
        object.__setattr__(field, name, value)

    dataclasses.Field.__setattr__ = assign  # type: ignore[method-assign,assignment]


def _no_enumeration(*_: object, **__: object) -> None:
    """Stand in for ``Enum("Name", members)``."""
    raise TypeError("make an enumeration with a class statement")


def _numpy() -> None:
    import numpy as np

    values = np.arange(12.0)
    np.unique(values)
    np.percentile(values, 50)
    np.median(values)
    np.ma.median(np.ma.array(values))
    np.random.default_rng(0).normal(size=3)
    np.random.RandomState(0).rand(3)
    np.einsum("i,i->", values, values, optimize=True)
    repr(values)
    str(np.datetime64("2020-01-01"))
    np.polynomial.Polynomial([1.0, 2.0])(values)


def _torch() -> None:
    import torch

    layer = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(2)
    )
    layer(torch.zeros(1, 3, 8, 8))
    for optimiser in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        stepper = optimiser(layer.parameters(), lr=0.1)
        stepper.zero_grad()
        layer(torch.ones(1, 3, 8, 8)).sum().backward()
        stepper.step()
    layer.eval()
    layer.load_state_dict(layer.state_dict())
    repr(torch.ones(2, requires_grad=True))
    repr(layer)
    with torch.no_grad(), torch.inference_mode():
        layer(torch.ones(1, 3, 8, 8))
    torch.fft.rfft2(torch.ones(8, 8))
    torch.nn.functional.interpolate(torch.ones(1, 1, 4, 4), scale_factor=2, mode="bicubic")


def _seed() -> None:
    """Give every worker the same random numbers, so that a codec which forgets to seed is still reproducible."""
    import cv2
    import numpy as np
    import torch

    np.random.seed(0)
    torch.manual_seed(0)
    cv2.setRNGSeed(0)
