"""Which names of a candidate stand for modules, and which members of modules it may use.

Modules are second class: a name bound to a module may only be followed by a dot, so every dotted name is known from the
text.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable

from codec_sandbox.policy import Policy

Refuse = Callable[[ast.AST, str, str], None]
"""Records a violation at a node: the construct and the message."""


class ImportedModules:
    """The modules that a candidate imports.

    Parameters
    ----------
    policy : Policy
    refuse : callable
        Records a violation.

    Attributes
    ----------
    modules : dict
        Name in the candidate -> dotted name of the module.
    """

    def __init__(self, policy: Policy, refuse: Refuse) -> None:
        self.policy, self.refuse = policy, refuse
        self.modules: dict[str, str] = {}
        self._refused: set[str] = set()

    def add(self, node: ast.Import) -> list[str]:
        """Take up ``import ...``, and return the names that it binds."""
        names: list[str] = []
        for alias in node.names:
            if alias.name not in self.policy.modules:
                self._refuse_import(node, alias.name, f"import {alias.name}")
            names.append(alias.asname or alias.name.split(".")[0])
            self._bind(node, names[-1], alias.name if alias.asname else names[-1])
        return names

    def add_from(self, node: ast.ImportFrom) -> dict[str, str]:
        """Take up ``from ... import ...``, and return the names that it binds, each with its dotted name."""
        module = node.module or ""
        if module == "__future__" and not node.level:
            return {}
        if node.level:
            message = "relative imports are refused: a candidate is one module"
            self.refuse(node, "from . import", message)
            return {}
        bound = {a.asname or a.name: f"{module}.{a.name}" for a in node.names if a.name != "*"}
        if module not in self.policy.modules and not any(n in self.policy.modules for n in bound.values()):
            self._refuse_import(node, module, f"from {module} import")
            return {}
        for alias in node.names:
            full = f"{module}.{alias.name}"
            if alias.name == "*":
                self.refuse(node, f"from {module} import *", "star imports are refused; name what you use")
            elif full in self.policy.modules:
                self._bind(node, alias.asname or alias.name, full)
            else:
                self.member(node, module, alias.name)
        return bound

    def module_of(self, node: ast.AST) -> str | None:
        """Return the dotted name of the module that an expression stands for, or None if it is no module."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.modules:
            return None
        module = self.modules[node.id]
        for name in reversed(names):
            module = f"{module}.{name}"
            if not self.is_module(module):
                return None
        return module

    def is_module(self, dotted: str) -> bool:
        """Whether a dotted name is an allowed module or a package of one."""
        return dotted in self.policy.modules or any(
            known.startswith(dotted + ".") for known in self.policy.modules
        )

    def member(self, node: ast.AST, module: str, name: str) -> bool:
        """Refuse ``module.name`` unless the policy has it; returns whether it has."""
        full = f"{module}.{name}"
        if module in self._refused:
            return False  # its import has been refused already
        names = self.policy.modules.get(module, frozenset())
        if name in names:
            return True
        hint = self.policy.hints.get(full)
        if hint is None:
            close = difflib.get_close_matches(name, names, n=3)
            hint = "not in the language policy" + (f"; did you mean {', '.join(close)}?" if close else "")
        self.refuse(node, full, hint)
        return False

    def _refuse_import(self, node: ast.AST, module: str, construct: str) -> None:
        roots = ", ".join(sorted({name.split(".")[0] for name in self.policy.modules}))
        parts = module.split(".")
        prefixes = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
        hint = next((self.policy.hints[name] for name in prefixes if name in self.policy.hints), None)
        self.refuse(node, construct, hint or f"not in the language policy; modules that are: {roots}")
        self._refused.update(name for name in prefixes if not self.is_module(name))

    def _bind(self, node: ast.AST, name: str, module: str) -> None:
        if self.modules.setdefault(name, module) != module:
            self.refuse(node, name, f"{name} is already the module {self.modules[name]}; use another name")
