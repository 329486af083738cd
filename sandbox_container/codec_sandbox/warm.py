"""Imports early what the libraries import late, because a worker has no files to import from."""

# pyright: standard
# The stubs of numpy and torch are incomplete.

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import sys
import types
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
    "torch.fx.experimental.symbolic_shapes",
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
PACKAGES_VARIABLE = "CODEC_SANDBOX_PACKAGES"
"""Names the folder of the packages that a person has approved for candidates; without it there are none."""

OPTIONAL = {
    "constriction": ("constriction.stream.model", "constriction.stream.queue", "constriction.stream.stack"),
    "pywt": ("pywt",),
    "scipy": ("scipy.fft", "scipy.linalg", "scipy.ndimage", "scipy.signal", "scipy.special"),
}
"""Libraries that are there once a person has approved their package, and their modules that a policy can allow."""


def import_libraries(packages: str = "") -> None:
    """Import everything that a candidate may be allowed, with one thread each.

    Parameters
    ----------
    packages
        Folder of the approved packages; `OPTIONAL` libraries are taken from there alone. "" for none.

    Raises
    ------
    ImportError
        A package that is there cannot be imported.
    """
    # Here, because this module is also imported for its names, by what needs no library.
    from codec_sandbox.lean_torch import leave_out_compiler, torch

    leave_out_compiler()
    for name in MODULES:
        importlib.import_module(name)
    with contextlib.suppress(
        ModuleNotFoundError
    ):  # an environment that was set up before torchvision was added
        import_torchvision()
    import_packages(packages)
    import cv2

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


def import_packages(folder: str) -> None:
    """Import the `OPTIONAL` libraries that a folder has; "" for no folder.

    They are looked for there and not on the path, where this machine may have another version. A library that this
    process has imported already stays.

    Raises
    ------
    ImportError
        A library that is there cannot be imported.
    """
    for library, modules in OPTIONAL.items():
        spec = importlib.machinery.PathFinder.find_spec(library, [folder]) if folder else None
        if spec is None or spec.loader is None:
            continue
        if library not in sys.modules:
            package = importlib.util.module_from_spec(spec)
            sys.modules[library] = package
            spec.loader.exec_module(package)
        for name in modules:
            _import_module(name)


def _import_module(name: str) -> None:
    """Import a module, or make one known that an extension module holds without having told the import system."""
    package, _, last = name.rpartition(".")
    if package:
        _import_module(package)
        held = getattr(sys.modules[package], last, None)
        if isinstance(held, types.ModuleType):
            sys.modules.setdefault(name, held)
    if name not in sys.modules:
        importlib.import_module(name)


def _one_thread(number: int) -> None:
    """Stand in for the libraries' setters of the number of threads: there is one."""


def exercise() -> None:
    """Call what is known to import on first use, then fix the random states."""
    _numpy()
    _torch()
    if "constriction" in sys.modules:
        _constriction()
    if "scipy" in sys.modules:
        _scipy()
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


def _constriction() -> None:
    import numpy as np

    stream: Any = sys.modules["constriction.stream"]
    symbols, odds = np.array([0, 1, 1], np.int32), np.array([0.2, 0.5, 0.9])
    model = stream.model.Bernoulli(perfect=False)
    encoder = stream.queue.RangeEncoder()
    encoder.encode(symbols, model, odds)
    stream.queue.RangeDecoder(encoder.get_compressed()).decode(model, odds)
    coder = stream.stack.AnsCoder()
    coder.encode_reverse(symbols, model, odds)
    coder.decode(model, odds)


def _scipy() -> None:
    import numpy as np
    import scipy

    plane = np.arange(64.0).reshape(8, 8)
    scipy.fft.idctn(scipy.fft.dctn(plane, norm="ortho"), norm="ortho")
    scipy.fft.irfft2(scipy.fft.rfft2(plane))
    scipy.linalg.solve(plane + np.eye(8), plane)
    scipy.linalg.eigh(plane + plane.T)
    scipy.ndimage.convolve(plane, np.ones((3, 3)))
    scipy.ndimage.map_coordinates(plane, [[1.5], [2.5]])
    scipy.signal.convolve2d(plane, np.ones((3, 3)))
    scipy.signal.fftconvolve(plane, np.ones((3, 3)))
    scipy.signal.lfilter([1.0], [1.0, 0.5], plane)
    scipy.special.logsumexp(scipy.special.erf(plane))


def _seed() -> None:
    """Give every worker the same random numbers, so that a codec which forgets to seed is still reproducible."""
    import cv2
    import numpy as np
    import torch

    np.random.seed(0)
    torch.manual_seed(0)
    cv2.setRNGSeed(0)
