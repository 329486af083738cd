"""What the interpreter itself offers a candidate while it runs: the policy's builtins and its imports, nothing more."""

from __future__ import annotations

import builtins
from typing import Any

import numpy

from codec_sandbox.policy import Policy


def guarded_builtins(policy: Policy) -> dict[str, Any]:
    """The ``__builtins__`` of a candidate under `policy`."""
    allowed = {name: getattr(builtins, name) for name in policy.builtins if hasattr(builtins, name)}
    if "print" in allowed:
        allowed["print"] = _silent_print
    if "type" in allowed:
        allowed["type"] = _type_of
    allowed["__build_class__"] = builtins.__build_class__
    allowed["__name__"] = "builtins"
    allowed["__import__"] = _guarded_import(policy)
    return allowed


def _silent_print(*_: object, **__: object) -> None:
    """A worker has nowhere to print to."""


def _type_of(value: object) -> type:
    """Stand in for ``type(x)`` without its two powers.

    The type of a class makes classes with any special attribute; that of an array makes objects out of any bytes.
    """
    found = type(value)
    if issubclass(found, type):
        raise TypeError("the type of a class is out of reach of a candidate")
    if issubclass(found, numpy.ndarray):
        raise TypeError("type(x) of an array is out of reach; use isinstance(x, np.ndarray) or x.dtype")
    return found


def _guarded_import(policy: Policy) -> Any:
    genuine = builtins.__import__

    def guarded(name: str, scope: Any = None, local: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if type(fromlist) is list and not level:
            # PyImport_Import, called from the C code of a library, takes the __import__ of the running frame, which is
            # the candidate's; it passes a list (the compiler passes a tuple or None) and ignores the value.
            genuine(name, scope, local, fromlist, 0)
            return None
        if level or (name not in policy.modules and name != "__future__"):
            raise ImportError(f"import of {name} is not in the language policy")
        return genuine(name, scope, local, fromlist, 0)

    return guarded
