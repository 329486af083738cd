"""Walks every object that allowed attributes reach from allowed names, and reports what a candidate must not hold.

Runs in a worker without the language policy, which it is given as data. It starts from every allowed name, from what
these return or raise when they are called, and from samples that an honest candidate may make.
"""

import builtins
import contextlib
import dataclasses
import functools
import importlib
import types
from collections import deque

import numpy as np
import torch

PRIMITIVE = (int, float, complex, str, bytes, bool, type(None), type(...), np.generic)
KEPT = 20  # objects of one type that are walked, among those that are neither classes nor functions


def samples():
    """Objects that a candidate can make without calling an allowed name, and errors that it can meet."""

    @contextlib.contextmanager
    def managed():
        yield

    async def waiting():
        pass

    class Plain:
        def method(self):
            return self

        @property
        def value(self):
            return 1

    spare = dataclasses.field(default=None)
    passed = dataclasses.field(default=None)

    @dataclasses.dataclass
    class Fields:
        array: np.ndarray = spare
        only: dataclasses.InitVar[np.ndarray] = passed

    weights = torch.ones(2, requires_grad=True)
    coroutine = waiting()
    coroutine.close()
    made = [
        managed(), (x for x in ()), coroutine, Plain(), Plain.value, Plain().method, spare, passed,
        dataclasses.InitVar[np.ndarray], Fields(), weights.sum(), torch.eye(3).to_sparse(),
        torch.optim.SGD([weights], lr=0.1), torch.nn.Linear(2, 2), torch.nn.LSTM(2, 2), np.empty(1, object),
        np.nditer(np.zeros(2)), np.zeros(2, [("a", "O")]), memoryview(b"ab"), functools.partial(Plain),
        np.random.default_rng(0), np.dtype("O"),
    ]  # fmt: skip
    try:
        raise ValueError("a")
    except ValueError as error:
        made += [error, error.__traceback__]
    return made


def called(thing, library):
    """What `thing` returns or raises when it is called with few plain arguments.

    Functions of the large libraries are not called: they return arrays, of which there are samples.
    """
    plain = [(), (1,), ("a",), ([1.0],), (np.ones(3),), (torch.ones(3),)]
    if library not in ("cv2", "numpy", "torch"):
        plain += [(sum,), (sum, 1), ("a", ["b"]), (sum, [1])]
    elif not isinstance(thing, type):
        return
    for arguments in plain:
        try:
            yield thing(*arguments)
        except BaseException as error:  # constriction's panics are no Exception
            yield error


def missing(module):
    """The error that an allowed name raises where the library lacks it."""
    try:
        return module.there_is_no_such_name
    except AttributeError as error:
        return error


class Walk:
    def __init__(self, policy, most):
        self.policy, self.most = policy, most
        self.refused = set(policy["denied_attributes"]) | set(policy["foreign_attributes"])
        allowed = {getattr(builtins, name) for name in policy["builtins"]} - {type, print}
        everything = {name: getattr(builtins, name) for name in dir(builtins)}
        self.builtins = {
            id(value): name
            for name, value in everything.items()
            if callable(value)
            and value not in allowed
            and not isinstance(value, type(BaseException))
            or value is type
        }
        self.seen, self.kinds, self.found = {}, {}, []

    def run(self):
        waiting = deque((name, value, 0) for name, value in self.roots())
        while waiting:
            path, value, depth = waiting.popleft()
            for name, inner in self.attributes(value):
                where = f"{path}.{name}"
                if (what := self.forbidden(inner)) is not None:
                    self.found.append(f"{where} is {what}")
                elif depth < self.most and self.is_new(inner):
                    waiting.append((where, inner, depth + 1))
        return self.found

    def roots(self):
        for name in self.policy["builtins"]:
            yield name, getattr(builtins, name)
        for module_name, names in self.policy["modules"].items():
            with contextlib.suppress(ImportError, OSError):
                module = importlib.import_module(module_name)
                yield f"missing in {module_name}", missing(module)
                for name in names:
                    value = getattr(module, name)
                    yield f"{module_name}.{name}", value
                    if callable(value):
                        for result in called(value, module_name.partition(".")[0]):
                            if self.forbidden(result) is not None:
                                self.found.append(f"{module_name}.{name}() is {self.forbidden(result)}")
                            elif self.is_new(result):
                                yield f"{module_name}.{name}()", result
        for value in samples():
            yield type(value).__name__, value

    def attributes(self, value):
        try:
            names = [name for name in dir(value) if not name.startswith("_") and name not in self.refused]
        except Exception:
            return
        for name in names:
            try:
                yield name, getattr(value, name)
            except Exception:
                continue

    def is_new(self, value):
        if isinstance(value, PRIMITIVE) or id(value) in self.seen:
            return False
        if not isinstance(value, type | types.FunctionType):
            kind = type(value)
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
            if self.kinds[kind] > KEPT:
                return False
        self.seen[id(value)] = value
        return True

    def forbidden(self, value):
        if isinstance(value, types.ModuleType):
            return f"the module {value.__name__}"
        if isinstance(value, types.FrameType | types.CodeType):
            return f"a {type(value).__name__}"
        if id(value) in self.builtins:
            return f"the builtin {self.builtins[id(value)]}"
        if isinstance(value, type) and issubclass(value, type | np.ndarray):
            return f"the type {value.__name__}"
        return None


def walk(frame, frame_index, config):
    """Everything found, as a list of texts."""
    return Walk(config["policy"], config["depth"]).run()
