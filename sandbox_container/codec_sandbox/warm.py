"""Imports early what the libraries import late, because a worker has no files to import from."""

# pyright: standard
# The stubs of numpy and torch are incomplete.

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import types

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
OPTIONAL = ["pywt"]
"""Libraries that only some images are built with."""


def import_libraries() -> None:
    """Import everything that a candidate may be allowed, with one thread each."""
    for name in MODULES:
        importlib.import_module(name)
    with contextlib.suppress(
        ModuleNotFoundError
    ):  # an environment that was set up before torchvision was added
        import_torchvision()
    for name in OPTIONAL:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    import cv2
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    cv2.setNumThreads(1)
    # A worker cannot start a second thread. Asking for more, as much code does, must not end it.
    torch.set_num_threads = torch.set_num_interop_threads = cv2.setNumThreads = _one_thread


def import_torchvision() -> None:
    """Import torchvision's transforms, and nothing else of the package.

    The package's own ``__init__`` also imports datasets, models and torch's compiler (1.6 s, 85 MB, network clients),
    and fails where its compiled operators are of another build than torch, as PyPI's wheel beside a CPU build.
    The transforms use none of that, and a policy can allow nothing else of torchvision.

    Raises
    ------
    ModuleNotFoundError
        torchvision is not installed.
    """
    if "torchvision" not in sys.modules:
        spec = importlib.util.find_spec("torchvision")
        if spec is None:
            raise ModuleNotFoundError("torchvision is not installed", name="torchvision")
        package = types.ModuleType("torchvision")
        package.__path__ = list(spec.submodule_search_locations or ())
        package.__spec__ = spec
        sys.modules["torchvision"] = package
    importlib.import_module("torchvision.transforms")
    importlib.import_module("torchvision.transforms.functional")


def _one_thread(number: int) -> None:
    """Stand in for the libraries' setters of the number of threads: there is one."""


def exercise() -> None:
    """Call what is known to import on first use, then fix the random states."""
    _numpy()
    _torch()
    _seed()


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
