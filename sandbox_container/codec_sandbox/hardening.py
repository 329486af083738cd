"""Replaces what a candidate must not do with the libraries, where its text does not tell that it would.

Runs in the zygote, after the libraries have been imported and used once. It closes ways to memory and objects within a
worker that the language policy cannot see; the wall is still the process.
"""

# pyright: standard
# The stubs of numpy and torch are incomplete.

from __future__ import annotations

import ctypes
import dataclasses
import enum
import functools
import gc
import io
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from codec_sandbox.lean_torch import torch
from codec_sandbox.renaming import SUFFIX

_kept: list[object] = []
"""What was replaced in a built-in type. The interpreter's caches may still refer to it."""


def harden() -> None:
    """Replace everything, for good."""
    _close_exceptions()
    _close_object_arrays()
    _hold_buffers()
    _hold_sparse_indices()
    _close_registered_names()
    _close_fields()
    # The functional form would create classes with names that the validator has not seen.
    enum.EnumMeta._create_ = _no_enumeration  # type: ignore[method-assign]


def _replace_in_type(kind: type, name: str, value: object) -> None:
    """Replace an attribute of a built-in type, which is immutable to Python code."""
    (space,) = gc.get_referents(kind.__dict__)
    _kept.append(space[name])
    space[name] = value
    modified = ctypes.pythonapi.PyType_Modified
    modified.argtypes, modified.restype = [ctypes.py_object], None
    modified(kind)


def _close_exceptions() -> None:
    """Keep an ``AttributeError`` from handing over the object that lacks the attribute, which may be a module."""
    _replace_in_type(AttributeError, "obj", property(_none, _ignore))


def _none(error: object) -> None:
    """Stand in for reading an attribute."""


def _ignore(error: object, value: object) -> None:
    """Stand in for setting an attribute."""


# -- raw bytes of object arrays


def _close_object_arrays() -> None:
    """Keep the pointers in an array of objects from being written as bytes."""
    frombuffer, pack_into = np.frombuffer, struct.pack_into
    cast = memoryview.cast

    @functools.wraps(frombuffer)
    def checked_frombuffer(buffer: Any, *arguments: Any, **options: Any) -> Any:
        return frombuffer(_plain(buffer), *arguments, **options)

    def checked_pack_into(form: Any, buffer: Any, offset: int, *values: Any) -> None:
        pack_into(form, _plain(buffer), offset, *values)

    def checked_cast(view: Any, *arguments: Any, **options: Any) -> memoryview:
        return cast(_plain(view), *arguments, **options)

    np.frombuffer, struct.pack_into = checked_frombuffer, checked_pack_into
    struct.Struct, io.BytesIO = _Struct, _BytesIO  # type: ignore[misc]
    _replace_in_type(memoryview, "cast", checked_cast)


def _plain(buffer: Any) -> Any:
    """Return `buffer`, unless it holds objects."""
    if "O" in memoryview(buffer).format:
        raise TypeError("the bytes of an array of objects are out of reach")
    return buffer


class _Struct(struct.Struct):
    __slots__ = ()

    def pack_into(self, buffer: Any, offset: int, *values: Any) -> None:
        super().pack_into(_plain(buffer), offset, *values)


class _BytesIO(io.BytesIO):
    __slots__ = ()

    def readinto(self, buffer: Any, /) -> int:
        return super().readinto(_plain(buffer))

    def readinto1(self, buffer: Any, /) -> int:
        return super().readinto1(_plain(buffer))


# -- memory under tensors


def _hold_buffers() -> None:
    """Keep a tensor from outliving its buffer's memory, and from changing a buffer that is immutable.

    ``torch.frombuffer`` keeps the buffer's owner alive but does not lock its memory: after a bytearray shrinks, the
    tensor would point to freed memory. A numpy array in between locks it. A read-only buffer is copied: torch would
    write to it.
    """
    frombuffer, asarray, as_tensor, from_numpy = (
        torch.frombuffer,
        torch.asarray,
        torch.as_tensor,
        torch.from_numpy,
    )

    def held_frombuffer(buffer: Any, *, dtype: Any, **options: Any) -> Any:
        return frombuffer(_writable(np.frombuffer(buffer, np.uint8)), dtype=dtype, **options)

    def held_asarray(obj: Any, *, dtype: Any = None, **options: Any) -> Any:
        if not isinstance(obj, torch.Tensor | np.ndarray | np.generic) and _is_buffer(obj):
            obj = held_frombuffer(obj, dtype=dtype or torch.get_default_dtype())
        return asarray(_writable(obj), dtype=dtype, **options)

    def held_as_tensor(data: Any, *arguments: Any, **options: Any) -> Any:
        return as_tensor(_writable(data), *arguments, **options)

    def held_from_numpy(array: Any) -> Any:
        return from_numpy(_writable(array))

    torch.frombuffer, torch.asarray = held_frombuffer, held_asarray
    torch.as_tensor, torch.from_numpy = held_as_tensor, held_from_numpy
    _hold_constructors()


def _hold_constructors() -> None:
    """Do the same for the old constructors of tensors, which use an array's memory too."""
    create, new, cast = torch.Tensor.__new__, torch.Tensor.new, torch.Tensor.type

    def held_create(kind: Any, *arguments: Any, **options: Any) -> Any:
        return create(kind, *map(_writable, arguments), **options)

    def held_new(tensor: Any, *arguments: Any, **options: Any) -> Any:
        return new(tensor, *map(_writable, arguments), **options)

    def held_type(tensor: Any, dtype: Any = None, *arguments: Any, **options: Any) -> Any:
        return cast(tensor, dtype._kind if isinstance(dtype, _TensorType) else dtype, *arguments, **options)

    for name, held in (("__new__", held_create), ("new", held_new), ("type", held_type)):
        setattr(torch.Tensor, name, held)
    for name in ("Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short"):
        setattr(torch, f"{name}Tensor", _TensorType(getattr(torch, f"{name}Tensor")))


class _TensorType:
    """Stands in for one of torch's old tensor types."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._kind(*map(_writable, arguments), **options)

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, self._kind)


def _writable(value: Any) -> Any:
    """Copy an array that is read-only."""
    return value.copy() if isinstance(value, np.ndarray) and not value.flags.writeable else value


def _is_buffer(value: Any) -> bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


def _hold_sparse_indices() -> None:
    """Give out copies of a sparse tensor's indices: they are not checked again when they are used."""
    for name in ("indices", "crow_indices", "col_indices", "ccol_indices", "row_indices"):
        setattr(torch.Tensor, name, _copying(getattr(torch.Tensor, name)))


def _copying(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def copied(tensor: Any) -> Any:
        return method(tensor).clone()

    return copied


# -- names and types that are known at run time only


def _close_registered_names() -> None:
    """Keep private and special attributes from being made by a name that is computed at run time."""
    for name in ("add_module", "register_module", "register_buffer", "register_parameter"):
        setattr(torch.nn.Module, name, _named_publicly(getattr(torch.nn.Module, name)))


def _named_publicly(register: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(register)
    def checked(module: Any, name: Any, *arguments: Any, **options: Any) -> Any:
        if type(name) is not str or (name.startswith("_") and not name.endswith(SUFFIX)):
            raise ValueError("the name of a module, buffer or parameter must not begin with an underscore")
        return register(module, name, *arguments, **options)

    return checked


def _close_fields() -> None:
    """Let only their own module read the type of a field, and change a field.

    A type that text may only name in an annotation would come back as a value. And a dataclass generates source from
    its fields' names, and runs it.
    """

    def assign(field: Any, name: str, value: Any) -> None:
        if not _called_by_dataclasses():
            raise AttributeError("a field cannot be changed")
        object.__setattr__(field, name, value)

    for kind in (dataclasses.Field, dataclasses.InitVar):
        kind.type = _HiddenSlot(kind.__dict__["type"])  # type: ignore[assignment]
    dataclasses.Field.__setattr__ = assign  # type: ignore[method-assign,assignment]


class _HiddenSlot:
    """A slot that only the module dataclasses may read."""

    __slots__ = ("_slot",)

    def __init__(self, slot: Any) -> None:
        self._slot = slot

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None or not _called_by_dataclasses():
            raise AttributeError("the type of a field is out of reach")
        return self._slot.__get__(instance, owner)

    def __set__(self, instance: object, value: object) -> None:
        self._slot.__set__(instance, value)


def _called_by_dataclasses() -> bool:
    """Whether the caller of the caller is the module dataclasses."""
    return sys._getframe(2).f_globals is vars(dataclasses)


def _no_enumeration(*_: object, **__: object) -> None:
    """Stand in for ``Enum("Name", members)``."""
    raise TypeError("make an enumeration with a class statement")
