"""The builtins and the import function that a candidate runs with: what the policy allows, and no more."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy

from codec_sandbox.policy import Policy


def guarded_builtins(policy: Policy) -> dict[str, Any]:
    """Return the ``__builtins__`` of a candidate under `policy`."""
    allowed: dict[str, Any] = {
        name: getattr(builtins, name) for name in policy.builtins if hasattr(builtins, name)
    }
    if "print" in allowed:
        allowed["print"] = _silent_print
    if "type" in allowed:
        allowed["type"] = _type_of
    allowed["__build_class__"] = builtins.__build_class__
    allowed["__name__"] = "builtins"
    allowed["__import__"] = _guarded_import(policy)
    return allowed


def _silent_print(*_: object, **__: object) -> None:
    """Stand in for ``print``: a worker has no standard output."""


def _type_of(value: object) -> type:
    """Stand in for ``type(x)`` without its two powers.

    The type of a class creates classes with any special attribute; the type of an array turns any bytes into objects.
    """
    found = type(value)
    if issubclass(found, type):
        raise TypeError("the type of a class is out of reach of a candidate")
    if issubclass(found, numpy.ndarray):
        raise TypeError("type(x) of an array is out of reach; use isinstance(x, np.ndarray) or x.dtype")
    return found


def _guarded_import(policy: Policy) -> Any:
    genuine = builtins.__import__

    def guarded(
        name: str, scope: Any = None, local: Any = None, fromlist: Sequence[str] | None = None, level: int = 0
    ) -> Any:
        names = fromlist or ()
        if type(fromlist) is list and not level:
            # When C code of a library calls PyImport_Import, that takes __import__ from the running frame, which is
            # the candidate's. It passes a list (the compiler passes a tuple or None) and ignores the result.
            genuine(name, scope, local, names, 0)
            return None
        allowed = name == "__future__" or name in policy.modules
        submodules = {f"{name}.{each}" for each in names}  # `from torchvision import transforms`
        if level or not (allowed or (submodules and submodules <= policy.modules.keys())):
            raise ImportError(f"import of {name} is not in the language policy")
        return genuine(name, scope, local, names, 0)

    return guarded
