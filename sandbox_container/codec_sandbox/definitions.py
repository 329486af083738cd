"""What a candidate defines: the names it binds, the members of its classes, and its entry points."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from codec_sandbox.faults import Violation

_WITHOUT_CONTENT = (ast.expr_context, ast.operator, ast.cmpop, ast.unaryop, ast.boolop)
"""Nodes that say only what kind of node their parent is; they are every third one."""


def family(tree: ast.AST) -> tuple[list[ast.AST], dict[ast.AST, ast.AST]]:
    """Return the nodes of a tree that have content, in the order of `ast.walk`, and the parent of each.

    Every worker checks its candidate first, and to go through the tree takes longer than what is done with the nodes.
    """
    nodes, parents = [tree], dict[ast.AST, ast.AST]()
    for node in nodes:  # it grows meanwhile
        for name in node._fields:
            value = getattr(node, name, None)
            for child in value if isinstance(value, list) else (value,):
                if isinstance(child, ast.AST) and not isinstance(child, _WITHOUT_CONTENT):
                    nodes.append(child)
                    parents[child] = node
    return nodes, parents


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
    bound = {name for name, _ in bindings(ast.walk(tree))} if names else set[str]()
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


def bindings(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Yield (name, node) for each of `nodes` that binds a name other than by import."""
    for node in nodes:
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


def members(nodes: Sequence[ast.AST]) -> set[str]:
    """Return the names of the attributes and methods that the candidate, of which these are all nodes, defines."""
    stored = {n.attr for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    parts = (part for node in classes for part in node.body)
    return stored | {name for part in parts for name, _ in bindings(ast.walk(part))}
