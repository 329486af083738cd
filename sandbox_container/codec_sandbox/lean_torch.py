"""Imports torch without what no candidate can use, which takes a third of the time: import it from here, first.

What is left out is replaced by empty modules, so that torch's own imports of it succeed. A process that has imported
torch already keeps it whole.
"""

# pyright: standard
# The stubs of torch are incomplete.

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

# Shapes of results on the "meta" device, which holds no data, and the decompositions of operators that they import, for
# compilers and forward-mode differentiation: 0.3 s.
sys.modules.setdefault("torch._meta_registrations", types.ModuleType("torch._meta_registrations"))

import torch  # noqa: E402 - after the module that it would import
import torch._prims.rng_prims  # noqa: E402 - torch.Generator needs it, and the decompositions would have imported it

__all__ = ["leave_out_compiler", "torch"]


def leave_out_compiler() -> None:
    """Put stand-ins where torch would import its compiler: 0.9 s and 340 modules.

    Optimizers only tell it what not to compile, and `torch.use_deterministic_algorithms` sets an option of it. No
    policy can allow it, and a worker could not run it.
    """
    compiler: Any = types.ModuleType("torch._dynamo")
    compiler.disable = _as_it_is
    compiler.graph_break = _not_compiled
    backend: Any = types.ModuleType("torch._inductor")
    backend.config = types.ModuleType("torch._inductor.config")
    whole: Any = torch
    whole._dynamo, whole._inductor = compiler, backend
    sys.modules.update({each.__name__: each for each in (compiler, backend, backend.config)})


def _as_it_is(function: Callable[..., Any], *options: Any, **more: Any) -> Callable[..., Any]:
    """Stand in for exempting a function from compilation: nothing is compiled."""
    return function


def _not_compiled() -> None:
    """Stand in for interrupting a compilation."""
