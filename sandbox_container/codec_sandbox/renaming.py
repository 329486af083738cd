"""Gives a candidate's own names a suffix, so that they name nothing of anybody else.

The validator allows ``x._low`` and ``x.load`` where the candidate defines such a member, but which object ``x`` is, the
text does not tell. With the suffix, the attribute exists on the candidate's own objects only.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from codec_sandbox.definitions import bindings, family, members
from codec_sandbox.imports import ImportedModules
from codec_sandbox.policy import Policy
from codec_sandbox.validator import BY_NAME, DUNDER

SUFFIX = "_of_candidate"
"""Appended to a private name, and to a member that a library has under the same name. Messages do not show it."""

_ENUM_HOOKS = frozenset({"_generate_next_value_", "_ignore_", "_missing_", "_value_"})
_REGISTER = frozenset({"add_module", "register_buffer", "register_module", "register_parameter"})


def rename(tree: ast.Module, policy: Policy) -> None:
    """Rename the candidate's own names throughout its tree.

    Members of modules keep their names, and so do keywords that are no parameter of the candidate.

    Parameters
    ----------
    tree : ast.Module
        A candidate without a violation of `policy`. It is changed.
    policy : Policy
    """
    nodes, _ = family(tree)
    renaming = _Renaming(nodes, policy)
    for node in nodes:  # parents first, so that a module's name is still known by its members
        renaming.definition(node)
        renaming.use(node)


def original(text: str) -> str:
    """Remove the suffix from a message."""
    return text.replace(SUFFIX, "")


class _Renaming:
    def __init__(self, nodes: Sequence[ast.AST], policy: Policy) -> None:
        self.imports = ImportedModules(policy, lambda node, construct, message: None)
        imported: set[str] = set()
        for node in nodes:
            if isinstance(node, ast.Import):
                imported.update(self.imports.add(node))
            elif isinstance(node, ast.ImportFrom):
                imported.update(self.imports.add_from(node))
        own_members = members(nodes)
        bound = {name for name, _ in bindings(nodes)} | own_members | imported
        private = {name for name in bound if name.startswith("_") and not DUNDER.fullmatch(name)}
        foreign = own_members & policy.foreign_attributes.keys()
        self.own = {n for n in private if n.strip("_")} - policy.special_methods - _ENUM_HOOKS | foreign
        self.parameters = _parameters(nodes)

    def name(self, name: str) -> str:
        return name + SUFFIX if name in self.own else name

    def definition(self, node: ast.AST) -> None:
        """Rename what a node binds."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                node.name = self.name(node.name)
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                node.name = self.name(name)
            case ast.MatchMapping(rest=str(name)):
                node.rest = self.name(name)
            case ast.arg():
                node.arg = self.name(node.arg)
            case ast.alias():
                bound = node.asname or node.name
                node.asname = self.name(bound) if bound in self.own else node.asname
            case ast.Global() | ast.Nonlocal():
                node.names = [self.name(name) for name in node.names]
            case ast.Assign(targets=[ast.Name(id="__slots__")]):
                for part in ast.walk(node.value):
                    self.text(part)
            case _:
                pass

    def use(self, node: ast.AST) -> None:
        """Rename what a node refers to, also an attribute that it names as text."""
        match node:
            case ast.Name():
                node.id = self.name(node.id)
            case ast.Attribute() if self.imports.module_of(node.value) is None:
                node.attr = self.name(node.attr)
            case ast.MatchClass():
                node.kwd_attrs = [self.name(name) for name in node.kwd_attrs]
            case ast.keyword(arg=str(name)) if name in self.parameters:
                node.arg = self.name(name)
            case ast.Call(func=ast.Name(id=name), args=[_, text, *_]) if name in BY_NAME:
                self.text(text)
            case ast.Call(func=ast.Attribute(attr=name), args=[text, *_]) if name in _REGISTER:
                self.text(text)
            case _:
                pass

    def text(self, node: ast.AST) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = self.name(node.value)


def _parameters(nodes: Sequence[ast.AST]) -> set[str]:
    """Return the parameters of the candidate's functions, and the fields of its classes."""
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    fields = [part.target for node in classes for part in node.body if isinstance(part, ast.AnnAssign)]
    named = {target.id for target in fields if isinstance(target, ast.Name)}
    return named | {node.arg for node in nodes if isinstance(node, ast.arg)}
