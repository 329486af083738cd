"""What a candidate defines: the names it binds, the members of its classes, and its entry points."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codec_sandbox.faults import Violation


def missing_entry_points(tree: ast.Module, names: tuple[str, ...]) -> list[Violation]:
    """Check that the module defines functions that accept three positional arguments.

    Parameters
    ----------
    tree : ast.Module
        The candidate.
    names : tuple of str
        Of the functions it must define.

    Returns
    -------
    list of Violation
        One for each function that is missing or has the wrong signature.
    """
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    bound = {name for name, _ in bindings(tree)}
    found: list[Violation] = []
    for name in names:
        if name not in bound:
            found.append(Violation(0, 0, name, f"the module defines no {name}"))
        elif name in functions and not _takes_three(functions[name].args):
            message = "must accept three positional arguments: (frame or data, frame_index, config)"
            found.append(
                Violation(functions[name].lineno, functions[name].col_offset + 1, f"def {name}", message)
            )
    return found


def _takes_three(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    needs_keyword = any(default is None for default in arguments.kw_defaults)
    return required <= 3 and (positional >= 3 or arguments.vararg is not None) and not needs_keyword


def bindings(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield (name, node) for everything in `tree` that binds a name other than by import."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name, node
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node
            case ast.arg(arg=name):
                yield name, node
            case ast.ExceptHandler(name=str(name)):
                yield name, node
            case (
                ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name))
            ):
                yield name, node
            case _:
                pass


def members(tree: ast.AST) -> set[str]:
    """Return the names of the attributes and methods that the candidate itself defines."""
    stored = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return stored | {name for node in classes for part in node.body for name, _ in bindings(part)}
